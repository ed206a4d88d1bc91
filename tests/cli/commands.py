"""Runs `userport` as people do, through the program's own door."""

import logging
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

import pytest

from entrypoints.cli.main import run

PROGRAM: Final = (sys.executable, "-m", "entrypoints.cli")
"""For a command that a test must be able to interrupt, and that therefore has to be a process of its own."""

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended, and what it said."""

    exit_code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        return self.output.decode()


def environment(**variables: str) -> Mapping[str, str]:
    """Make the environment of a command, without any setting of whoever runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("USERPORT_")}
    return inherited | {"PYTHONPATH": str(ROOT)} | variables


def userport(*arguments: object, cwd: Path | None = None, pipe: bytes = b"", **variables: str) -> CommandResult:
    """Run a command in this process, for one of its own takes a second to start."""
    output, errors = BytesIO(), BytesIO()
    logger, handlers = logging.getLogger("userport"), logging.getLogger().handlers.copy()
    with TemporaryFile() as stdin, pytest.MonkeyPatch.context() as patch:
        stdin.write(pipe)
        stdin.seek(0)
        texts: dict[str, TextIOWrapper] = {
            "stdin": TextIOWrapper(stdin),
            "stdout": TextIOWrapper(output),
            "stderr": TextIOWrapper(errors),
        }
        for name, text in texts.items():
            patch.setattr(sys, name, text)
        patch.setattr(sys, "argv", ["userport", *map(str, arguments)])
        patch.setattr(os, "environ", dict(environment(**variables)))
        patch.setattr(threading, "excepthook", threading.excepthook)
        patch.setattr(logging.getLogger(), "handlers", handlers)
        patch.setattr(logger, "handlers", [])
        if cwd is not None:
            patch.chdir(cwd)
        with pytest.raises(SystemExit) as ended:
            run()
        logger.setLevel(logging.NOTSET)  # which --debug changes
        for text in texts.values():
            text.flush()
            text.detach()  # or it would close what is read below
    said = errors.getvalue().decode()
    assert "Traceback" not in said
    return CommandResult(int(ended.value.code or 0), output.getvalue(), said)
