from pathlib import Path

import pytest

from adapters.sql.storage import SqlStorage
from domain.errors import StorageUnavailable
from tests.servers.databases import Databases
from tests.servers.sql import execute
from tests.storage.database_contract import connected


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgresql://postgres@127.0.0.1",
        "mariadb://root@127.0.0.1/",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite://host/file.db",
        "sqlite:///what?.db",
        "sqlite:///what%00.db",
        "postgresql://127.0.0.1/database?require",
        "postgresql://127.0.0.1/database?sslmode=",
        "postgresql://127.0.0.1/database?secret=value",
        "postgresql://127.0.0.1/database?pooler=value",
        "postgresql://127.0.0.1/database?target_session_attrs=value",
        "postgresql://127.0.0.1/database?target_session_attrs=standby",
        "postgresql://127.0.0.1/database?host=value",
        "postgresql://value:5432,value:5432/database",
        "postgresql://value:5432,VALUE:5432/database",
        "postgresql://one:5432,value/database",
        "postgresql://[::1],value:5432/database",
        "postgresql://user:value@one:5432,two:value/database",
        "postgresql://one:5432,two:70000/database",
        "postgresql://one:70000/database",
        "mariadb://one:0/database",
        "postgresql://one:5432,,two:5432/database",
        "postgresql://one:5432,::1/database",
        "postgresql://one:5432,mariadb://value/database",
        "postgresql://one,two",
        "mariadb://one,two/database",
        "memory://",
        "no URL at all",
    ],
)
def test_a_url_that_leaves_something_open_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refusal:
        SqlStorage.open(url)
    assert "value" not in str(refusal.value).replace("option=value", "")


async def test_a_file_that_is_no_database_is_unavailable(databases: Databases) -> None:
    with databases.fresh("sqlite") as url:
        letter = Path(url.removeprefix("sqlite:///"))
        letter.write_text("This is a letter, not a database. " * 100)  # noqa: ASYNC240 - no other task is waiting
        async with connected(url) as storage:
            with pytest.raises(StorageUnavailable, match="not a SQLite database"):
                await storage.ping()
            with pytest.raises(StorageUnavailable, match="not a SQLite database"):
                await storage.prepare()


async def test_a_file_that_cannot_be_made_is_unavailable_and_not_merely_unprepared(tmp_path: Path) -> None:
    file = tmp_path / "test.db"
    file.symlink_to(tmp_path / "nowhere" / "test.db")
    async with connected(f"sqlite:///{file}") as storage:
        with pytest.raises(StorageUnavailable, match="cannot be opened"):
            await storage.prepare()


async def test_a_database_that_may_not_be_written_to_is_unavailable(databases: Databases) -> None:
    with databases.fresh("postgresql") as url:
        name = url.rpartition("/")[2]
        execute(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        async with connected(url) as storage:
            with pytest.raises(StorageUnavailable, match="read-only"):
                await storage.prepare()
