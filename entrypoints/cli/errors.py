"""How a command ends when it fails: one line for people and an exit code for scripts, never a traceback."""

import logging
import sys
import threading
from enum import IntEnum
from traceback import format_tb

import typer
from typer.exceptions import TyperException

from domain.errors import DomainError, StorageUnavailable
from entrypoints.environment import PREFIX, SettingsError

log = logging.getLogger("userport")


class ExitCode(IntEnum):
    """What a command ends with when not all is well."""

    FAILED = 1
    WRONG_USAGE = 2
    SOME_REFUSED = 3
    INTERRUPTED = 130


class CommandFailed(Exception):
    """A command cannot go on; the text is the line that is shown."""

    def __init__(self, line: str, exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(line)
        self.exit_code = exit_code


def told(error: BaseException) -> tuple[str, ExitCode]:
    """Put an error into one line, with the exit code to it. What a driver says is left out: it may hold a secret."""
    match error:
        case CommandFailed():
            return str(error), error.exit_code
        case TyperException():
            return f"{error.format_message()} (see --help)", ExitCode.WRONG_USAGE
        case SettingsError():
            return str(error), ExitCode.WRONG_USAGE
        case StorageUnavailable() if str(error) == error.sentence:
            return (
                "the storage cannot be reached: start its server, or correct --storage "
                f"({PREFIX}STORAGE), and then run: userport storage prepare"
            ), ExitCode.FAILED
        case DomainError():
            return str(error), ExitCode.FAILED
        case KeyboardInterrupt() | typer.Abort():
            return "interrupted", ExitCode.INTERRUPTED
        case OSError(filename=str() as name, strerror=str() as reason):
            return f"{name}: {reason}", ExitCode.FAILED
        case OSError(strerror=str() as reason):
            return reason, ExitCode.FAILED
        case _:
            return f"unexpected failure ({type(error).__name__}); userport --debug … tells where", ExitCode.FAILED


def end(error: BaseException) -> ExitCode:
    """Show the line of an error and return its exit code."""
    log.debug("%s raised at\n%s", type(error).__name__, "".join(format_tb(error.__traceback__)))
    line, exit_code = told(error)
    print(f"userport: {' '.join(line.split())}", file=sys.stderr)  # noqa: T201
    return exit_code


def hush_threads() -> None:
    """Let no thread of a driver print its traceback, as one does that outlives the event loop it reports to."""
    threading.excepthook = lambda died: log.debug("%s ended a thread", died.exc_type.__name__)
