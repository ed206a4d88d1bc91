"""How a failed command ends: one line for people, an exit code for scripts, and no traceback."""

import logging
import sys
import threading
from enum import IntEnum
from traceback import format_tb
from typing import Final

import typer
from typer.exceptions import TyperException

from domain.errors import DomainError, StorageUnavailable
from entrypoints.environment import PREFIX, SettingsError

log = logging.getLogger("userport")


class ExitCode(IntEnum):
    """The exit codes of commands that did not succeed."""

    FAILED = 1
    WRONG_USAGE = 2
    SOME_REJECTED = 3
    INTERRUPTED = 130


EXIT_CODES: Final = (
    f"Exit codes: 0 success; {ExitCode.FAILED} failure; {ExitCode.WRONG_USAGE} wrong usage or setting; "
    f"{ExitCode.SOME_REJECTED} an import rejected some records; {ExitCode.INTERRUPTED} interrupted."
)


class CommandFailed(Exception):
    """A command cannot continue; the text is the line to print."""

    def __init__(self, line: str, exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(line)
        self.exit_code = exit_code


def format_error(error: BaseException) -> tuple[str, ExitCode]:
    """Return the message for an error, and its exit code. A driver's own text is omitted: it may contain a secret."""
    match error:
        case CommandFailed():
            return str(error), error.exit_code
        case TyperException():
            return f"{error.format_message()} (see --help)", ExitCode.WRONG_USAGE
        case SettingsError() | StorageUnavailable(is_url_wrong=True):
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
            return f"unexpected failure ({type(error).__name__}); run userport --debug … to see where", ExitCode.FAILED


def end(error: BaseException) -> ExitCode:
    """Print the message for an error and return its exit code."""
    log.debug("%s raised at\n%s", type(error).__name__, "".join(format_tb(error.__traceback__)))
    line, exit_code = format_error(error)
    print(f"userport: {' '.join(line.split())}", file=sys.stderr)  # noqa: T201
    return exit_code


def silence_thread_tracebacks() -> None:
    """Log exceptions of threads instead of printing tracebacks: a driver's thread may outlive its event loop."""
    threading.excepthook = lambda died: log.debug("%s ended a thread", died.exc_type.__name__)
