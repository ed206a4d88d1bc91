import os
import subprocess

from tests.servers.process import children, kill_family, wait_until


def test_no_process_of_a_killed_server_is_left_to_answer() -> None:
    command = ["sh", "-c", "sleep 60 & sleep 60 & wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:  # noqa: S603 - as above
        assert parent.stdout is not None
        wait_until(lambda: len(children(parent.pid)) == 2)
        kill_family(parent.pid)
        os.set_blocking(parent.stdout.fileno(), False)
        assert parent.stdout.read() == b""  # None while a process has it open
