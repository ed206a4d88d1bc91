"""Run `userport` through its entry point."""

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
"""For commands that a test interrupts, and that therefore need a process of their own."""

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code and output of a command."""

    exit_code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        return self.output.decode()


def environment(**variables: str) -> Mapping[str, str]:
    """Return the environment of a command, without the settings of the developer."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("USERPORT_")}
    return inherited | {"PYTHONPATH": str(ROOT)} | variables


def userport(*arguments: object, cwd: Path | None = None, pipe: bytes = b"", **variables: str) -> CommandResult:
    """Run a command in this process, because a new process takes a second to start."""
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
        logger.setLevel(logging.NOTSET)  # `--debug` changes it
        for text in texts.values():
            text.flush()
            text.detach()  # it would close the buffer that is read below
    said = errors.getvalue().decode()
    assert "Traceback" not in said
    return CommandResult(int(ended.value.code or 0), output.getvalue(), said)
