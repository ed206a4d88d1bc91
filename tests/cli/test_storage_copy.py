import asyncio
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.fill_storage import fill
from entrypoints.storage_by_url import open_storage
from tests.cli.commands import PROGRAM, environment, userport
from tests.http.service import running
from tests.servers.databases import Databases


@pytest.fixture
def source(databases: Databases) -> Iterator[str]:
    with databases.fresh("sqlite") as url:
        yield url


@pytest.fixture
def back(databases: Databases) -> Iterator[str]:
    with databases.fresh("sqlite") as url:
        yield url


def copied(source: str, target: str) -> str:
    """Run a copy and return its output."""
    ended = userport("storage", "copy", "--from", source, "--to", target)
    assert ended.exit_code == 0
    return ended.text


def exported(url: str) -> bytes:
    return userport("users", "export", "--storage", url).output


@contextmanager
def counting_users(url: str) -> Iterator[Callable[[], int]]:
    """Yield a function that returns the number of users over connections that stay open."""
    storage = open_storage(url)

    async def count() -> int:
        return await storage.unit_of_work().users.count()

    with asyncio.Runner() as runner:
        try:
            yield lambda: runner.run(count())
        finally:
            runner.run(storage.close())


def etags(url: str) -> list[str]:
    async def ask() -> list[str]:
        async with running(url) as service, service.connect() as client:
            users = (await client.get("/users")).json()
            return [(await client.get(f"/users/{user['id']}")).headers["etag"] for user in users]

    return asyncio.run(ask())


@pytest.mark.slow
def test_a_copy_there_and_back_again_ends_as_it_began(source: str, unprepared: str, back: str) -> None:
    asyncio.run(fill(source, users=250, posts=600))
    said = copied(source, unprepared)
    assert said.startswith(
        "Copied and verified: 250 users, 49 credentials, 55 sessions, 600 posts, 0 sign in failures, 0 secrets, "
        "0 jobs, 0 one time tokens, 0 pending sign ups and 0 sign in places. SHA-256 of "
    )
    assert copied(unprepared, back) == said
    assert exported(source) == exported(unprepared) == exported(back)
    assert len(exported(source).splitlines()) == 250
    assert etags(source) == etags(unprepared) == etags(back)


@pytest.mark.slow
def test_a_copy_that_was_killed_is_completed_by_the_same_command(source: str, unprepared: str) -> None:
    # DynamoDB Local is slow.
    users, posts = (1_600, 400) if unprepared.startswith("dynamodb:") else (3_000, 6_000)
    asyncio.run(fill(source, users=users, posts=posts))
    assert userport("storage", "prepare", "--storage", unprepared).exit_code == 0
    command = ("storage", "copy", "--from", source, "--to", unprepared)
    found = 0
    with counting_users(unprepared) as users_there:
        for _ in range(2):
            with subprocess.Popen(  # noqa: S603 - our own program
                (*PROGRAM, *command), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as process:
                while users_there() <= found:
                    process.send_signal(signal.SIGCONT)
                    time.sleep(0.03)
                    assert process.poll() is None, process.communicate()
                    process.send_signal(signal.SIGSTOP)  # the copy must not end while they are counted
                process.kill()
            assert process.returncode == -signal.SIGKILL
            found = users_there()
            assert 0 < found < users
    ended = userport(*command)
    assert ended.exit_code == 0
    assert f"{users} users" in ended.text
    assert f"{posts} posts" in ended.text
    assert "records were there already" in ended.text
    assert exported(source) == exported(unprepared)


def test_other_data_are_refused_in_one_line_and_left_alone(source: str, back: str) -> None:
    asyncio.run(fill(source, users=50, posts=50))
    asyncio.run(fill(back, users=50, posts=50, seed=2))
    before = exported(back)
    ended = userport("storage", "copy", "--from", source, "--to", back)
    assert (ended.exit_code, ended.text, len(ended.errors.splitlines())) == (1, "", 1)
    assert "the target holds other data" in ended.errors
    assert exported(back) == before


def test_an_unprepared_source_is_reported_with_the_command_that_prepares_it(source: str, back: str) -> None:
    ended = userport("storage", "copy", "--from", source, "--to", back)
    assert (ended.exit_code, len(ended.errors.splitlines())) == (1, 1)
    assert "userport storage prepare" in ended.errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "sqlite:///a.db"), "--to (USERPORT_COPY_TO) is missing"),
        (("--from", "sqlite:///a.db", "--to", "sqlite:///a.db"), "name the same storage"),
        (("--from", "memory://", "--to", "sqlite:///a.db"), "--from names a storage that exists within"),
        (("--from", "sqlite:///a.db", "--to", "memory://"), "--to names a storage that exists within"),
        (("--from", "sqlite:///a.db", "--to", "oracle://secret@host/a"), "must start with one of"),
        (("--to", "postgresql://user:secret@host"), "it does not name a database"),
    ],
)
def test_storages_that_cannot_be_copied_are_reported_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    ended = userport("storage", "copy", *arguments, cwd=tmp_path)
    assert (ended.exit_code, ended.text, len(ended.errors.splitlines())) == (2, "", 1)
    assert message in ended.errors
    assert "secret" not in ended.errors
    assert list(tmp_path.iterdir()) == []


def test_the_storages_can_be_named_in_the_environment(source: str, back: str) -> None:
    asyncio.run(fill(source, users=5, posts=5))
    ended = userport("storage", "copy", USERPORT_STORAGE=source, USERPORT_COPY_TO=back)
    assert ended.exit_code == 0
    assert exported(source) == exported(back)
