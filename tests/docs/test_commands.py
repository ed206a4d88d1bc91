import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.docs.console import Step, assert_alike, run, shown_in
from tests.servers.choice import SERVED, Kind
from tests.servers.databases import Databases, server_kind

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial" / "first-service.md"


def shown_on_one_database() -> Sequence[Step]:
    tour = shown_in(README, "Start", "A five-minute tour")
    tutorial = shown_in(TUTORIAL, "Errors, lists and posts", "Bring users in and take them out")
    return [*tour, *tutorial, *shown_in(ROOT / "docs" / "how-to" / "back-up.md", "SQLite")]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    return tmp_path_factory.mktemp("readme")


@pytest.mark.usefixtures("directory")
def test_commands_that_ask_for_a_sign_in_answer_as_shown(tmp_path: Path) -> None:
    shown = shown_in(TUTORIAL, "Sign in")
    assert_alike(shown, run(shown, tmp_path, {}))


@pytest.fixture(scope="module")
def answers(directory: Path) -> Sequence[Step]:
    return run(shown_on_one_database(), directory, {})


def test_commands_on_one_database_answer_as_shown(answers: Sequence[Step]) -> None:
    assert_alike(shown_on_one_database(), answers)


@pytest.mark.parametrize("kind", SERVED)
def test_commands_that_move_to_another_storage_answer_as_shown(
    request: pytest.FixtureRequest, directory: Path, databases: Databases, kind: Kind
) -> None:
    shown = shown_in(TUTORIAL, "Move to another storage")
    # A server of its own, because userport warns about one that could lose commits.
    with databases.own_server(kind, durable=True) as server:
        url = server_kind(kind).create(server.url)
        request.getfixturevalue("answers")  # requested here, because a skipped test needs no tour
        given = run(shown, directory, {"postgresql://userport:secret@localhost/userport": f"'{url}'"})
    assert_alike(shown, given)
