"""Conventions of command lines: completion, optional colours, documented exit codes."""

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.core
from typer.main import get_command

from entrypoints.cli.errors import ExitCode
from entrypoints.cli.main import app
from tests.cli.commands import PROGRAM, environment, userport


def commands() -> Iterator[tuple[str, ...]]:
    """Yield every command and group of commands."""
    pages: list[tuple[tuple[str, ...], object]] = [((), get_command(app))]
    for words, page in pages:
        yield words
        if isinstance(page, typer.core.TyperGroup):
            pages += [((*words, name), below) for name, below in page.commands.items()]


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_the_help_of_every_command_names_the_exit_codes(words: tuple[str, ...]) -> None:
    shown = userport(*words, "--help")
    assert shown.exit_code == 0
    assert "Exit codes: 0 success" in shown.text
    assert all(str(int(code)) in shown.text for code in ExitCode)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("userport se", "serve"), ("userport users im", "import"), ("userport serve --wor", "--workers")],
)
def test_the_tab_key_completes_commands_and_options(typed: str, offered: str) -> None:
    position = str(len(typed.split()) - 1)
    completed = userport(_USERPORT_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=position)
    assert (completed.exit_code, completed.text.split()) == (0, [offered])


def install_completion(home: Path, **variables: str) -> str:
    """Install completion for bash from a terminal, and return what the terminal shows."""
    master, terminal = pty.openpty()
    command = f"{' '.join(PROGRAM)} --install-completion; exit $?"
    with subprocess.Popen(  # noqa: S603 - our own program
        [shutil.which("bash") or "bash", "-c", command],
        env=environment(HOME=str(home), **variables),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        assert process.wait() == 0
    os.close(terminal)
    shown = os.read(master, 65_536).decode()
    os.close(master)
    return shown


@pytest.mark.slow
def test_completion_installs_itself_into_the_shell(tmp_path: Path) -> None:
    shown = install_completion(tmp_path)
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert str(script) in shown.replace("\r\n", "")
    assert str(script) in (tmp_path / ".bashrc").read_text()
    assert "complete -o default" in script.read_text()


@pytest.mark.slow
def test_a_terminal_shows_colours_unless_no_color_is_set(tmp_path: Path) -> None:
    environment_without = {"NO_COLOR": ""}
    assert "\x1b[" in install_completion(tmp_path, **environment_without)
    assert "\x1b[" not in install_completion(tmp_path, NO_COLOR="1")
