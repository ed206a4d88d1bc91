"""No mail is lost in a crash, or sent for what was not committed. `python -m tests.mail` takes longer, on any store."""

import json
import subprocess
import sys

import pytest

from tests.cli.commands import ROOT, environment


@pytest.mark.cluster
def test_processes_that_are_killed_lose_no_mail_and_send_none_without_a_user() -> None:
    command = (sys.executable, "-m", "tests.mail", "--store", "sqlite", "--kills", "6")
    ended = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)  # noqa: S603
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads(ended.stdout)["accepted"] > 0
