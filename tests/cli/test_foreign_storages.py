"""Third-party storage packages, valid and broken: each error is one line."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from entrypoints.storage_schemes import storage_offers
from tests.cli.commands import CommandResult, userport

GOOD = """
from adapters.memory.storage import MemoryStorage
from adapters.storage_plugin import StoragePlugin

KIND = StoragePlugin(lambda url, record_types: MemoryStorage(record_types))
"""

Install: TypeAlias = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install packages with one module each for the duration of a test."""

    def install(
        module: str = "toy", content: str = GOOD, scheme: str = "toy", value: str = "toy:KIND", extra: str = ""
    ) -> None:
        (tmp_path / f"{module}.py").write_text(content)
        information = tmp_path / f"userport_{module}-1.0.dist-info"
        information.mkdir()
        provides = f"Provides-Extra: {extra}\n" if extra else ""
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: userport-{module}\nVersion: 1.0\n{provides}"
        )
        (information / "entry_points.txt").write_text(f"[userport.storages]\n{scheme} = {value}\n")
        monkeypatch.syspath_prepend(tmp_path)

    storage_offers.cache_clear()
    yield install
    storage_offers.cache_clear()
    for module in ("toy", "other_toy"):
        sys.modules.pop(module, None)


def ping(url: str = "toy://user:secret@host/place") -> CommandResult:
    return userport("storage", "ping", "--storage", url)


def open_error(url: str = "toy://user:secret@host/place") -> str:
    """Ping a storage that cannot be opened, and return the only line of the error."""
    ended = ping(url)
    assert (ended.exit_code, ended.output) == (2, b"")
    (line,) = ended.errors.splitlines()
    assert "secret" not in line
    return line.removeprefix("userport: ")


def test_a_storage_that_a_package_offers_is_opened_by_its_scheme(install: Install) -> None:
    install()
    assert ping().exit_code == 0


def test_an_unknown_scheme_is_answered_with_those_that_are_installed(install: Install) -> None:
    install()
    for url in ("tay://user:secret@host", "TOY://secret", "toy:secret", "secret", "://secret"):
        line = open_error(url)
        assert line.startswith("the storage URL must start with one of: ")
        assert {"sqlite://", "toy://"} <= set(line.rpartition(": ")[2].split(", "))


@pytest.mark.parametrize("scheme", ["toy", "toy+tls"])
def test_a_missing_driver_is_reported_with_the_command_that_installs_it(install: Install, scheme: str) -> None:
    install(content="import no_such_driver", scheme=scheme, extra="toy")
    line = open_error(f"{scheme}://secret")
    assert line == f"{scheme}:// needs the package no_such_driver: pip install 'userport-toy[toy]'"


def test_a_driver_that_is_only_missed_when_a_url_is_opened_is_reported_too(install: Install) -> None:
    content = GOOD.replace("MemoryStorage(record_types)", "__import__('no_such_driver')")
    install(content=content, extra="toy")
    assert open_error() == "toy:// needs the package no_such_driver: pip install 'userport-toy[toy]'"


@pytest.mark.parametrize("extra", ["", "other"])
def test_no_extra_is_named_that_the_package_does_not_have(install: Install, extra: str) -> None:
    install(content="import no_such_driver", extra=extra)
    assert open_error() == "toy:// needs the package no_such_driver"


def test_two_packages_that_offer_one_scheme_are_both_named(install: Install) -> None:
    install()
    install(module="other_toy", value="other_toy:KIND")
    assert open_error() == ("several packages offer toy://; uninstall all but one: userport-other_toy and userport-toy")


def test_an_entry_point_that_is_not_a_plugin_is_reported(install: Install) -> None:
    install(content="KIND = object()")
    assert open_error() == "the package that offers toy:// is broken: toy:KIND is not a StoragePlugin"


@pytest.mark.parametrize(
    ("content", "value", "reason"),
    [
        (GOOD, "gone:KIND", "ModuleNotFoundError"),
        (GOOD, "gone.further:KIND", "ModuleNotFoundError"),
        (GOOD, "toy.further:KIND", "ModuleNotFoundError"),
        (GOOD, "toy:GONE", "AttributeError"),
        ("from adapters.storage_plugin import Gone", "toy:KIND", "ImportError"),
        ("raise RuntimeError('secret')", "toy:KIND", "RuntimeError"),
        ("KIND = ", "toy:KIND", "SyntaxError"),
    ],
)
def test_a_storage_that_cannot_be_loaded_is_reported(install: Install, content: str, value: str, reason: str) -> None:
    install(content=content, value=value)
    assert open_error() == f"the package that offers toy:// is broken: {value} cannot be loaded ({reason})"


def test_a_url_that_the_storage_rejects_is_reported_with_the_reason(install: Install) -> None:
    install(content=f"{GOOD}\ndef refuse(*_):\n    raise ValueError('it is too long')\n\nKIND = StoragePlugin(refuse)")
    assert open_error() == "the storage URL is wrong: it is too long"


def test_a_package_that_is_broken_is_no_trouble_for_other_schemes(install: Install) -> None:
    install(content="raise RuntimeError")
    assert ping("memory://").exit_code == 0
