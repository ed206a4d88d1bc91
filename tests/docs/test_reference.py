"""The reference pages list every setting and every command."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from entrypoints.cli.errors import ExitCode
from entrypoints.cli.main import app
from entrypoints.environment import COPY_TARGET, PREFIX
from entrypoints.settings import Settings

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "reference"
COMMANDS: Final = (REFERENCE / "commands.md").read_text()
SETTINGS: Final = dict(
    re.findall(rf"^\| `({PREFIX}\w+)` \|[^|]*\| ([^|]*) \|", (REFERENCE / "settings.md").read_text(), re.MULTILINE)
)


def _documented(default: object) -> str:
    if default is None or default == ():
        return "none"
    text = str(default).lower() if isinstance(default, bool) else str(default).removesuffix(".0")
    return f"`{text}`"


def test_every_setting_is_documented() -> None:
    assert SETTINGS.keys() == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {COPY_TARGET}


def test_a_documented_default_is_the_real_one() -> None:
    for name, field in Settings.model_fields.items():
        if name != "auth":
            assert SETTINGS[f"{PREFIX}{name.upper()}"] == _documented(field.default)


def _commands() -> Iterator[str]:
    pages: list[tuple[str, object]] = [("userport", get_command(app))]
    for words, page in pages:
        if isinstance(page, TyperGroup):
            pages += [(f"{words} {name}", below) for name, below in page.commands.items()]
        else:
            yield words


@pytest.mark.parametrize("command", list(_commands()))
def test_every_command_is_documented(command: str) -> None:
    assert re.search(rf"^\| `{command}\b", COMMANDS, re.MULTILINE)


@pytest.mark.parametrize("exit_code", [0, *map(int, ExitCode)])
def test_every_exit_code_is_documented(exit_code: int) -> None:
    assert re.search(rf"^\| {exit_code} \|", COMMANDS, re.MULTILINE)
