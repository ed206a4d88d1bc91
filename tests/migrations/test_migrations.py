import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from adapters.sql.migrations import revisions
from adapters.sql.schema import MIGRATIONS, migration_config
from adapters.sql.storage import SqlStorage
from adapters.sql.tables import METADATA
from adapters.storage_contract.examples import a_full_user, some_failures
from adapters.storage_contract.steps import StorageContents, add, read_all
from domain.errors import StorageNotPrepared
from tests.storage.database_contract import connected

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
REVISIONS = [
    script.revision for script in reversed(list(ScriptDirectory.from_config(migration_config()).walk_revisions()))
]


@pytest.fixture
def alembic(url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Run Alembic's command line in the repository's root."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("USERPORT_STORAGE", url)

    def run(name: str, *arguments: Any, **options: Any) -> object:
        return getattr(command, name)(Config("alembic.ini"), *arguments, **options)

    return run


def test_every_migration_goes_up_and_down_and_up_again(url: str, alembic: Callable[..., object]) -> None:
    for revision in REVISIONS:
        alembic("upgrade", revision)
        before = schema_of(url)
        alembic("downgrade", "-1")
        assert schema_of(url) != before
        alembic("upgrade", revision)
        assert schema_of(url) == before
    assert set(METADATA.tables) <= set(schema_of(url))


def test_the_revisions_are_known_without_alembic() -> None:
    scripts = ScriptDirectory.from_config(migration_config())
    assert revisions() == (set(REVISIONS), set(scripts.get_heads()))


def test_going_all_the_way_down_leaves_no_table_behind(url: str, alembic: Callable[..., object]) -> None:
    alembic("upgrade", "head")
    alembic("downgrade", "base")
    assert set(schema_of(url)) == {"alembic_version"}


def test_the_models_and_the_migrations_agree(url: str, alembic: Callable[..., object]) -> None:
    alembic("upgrade", "head")
    assert look_at(url, lambda connection: compare_metadata(migrations_on(connection), METADATA)) == []


def test_a_changed_model_is_noticed_by_autogenerate(url: str, alembic: Callable[..., object]) -> None:
    alembic("upgrade", "head")
    look_at(url, lambda connection: connection.execute(text("DROP INDEX ix_users_name_key" + on_users(connection))))
    differences = look_at(url, lambda connection: compare_metadata(migrations_on(connection), METADATA))
    assert [difference[0] for difference in differences] == ["add_index"]


def test_autogenerate_writes_a_migration_that_makes_the_same_schema(
    url: str, alembic: Callable[..., object], tmp_path: Path
) -> None:
    alembic("upgrade", "head")
    expected = schema_of(url)
    alembic("downgrade", "base")
    # As if no migration existed yet.
    scripts = Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations", ignore=shutil.ignore_patterns("2*.py")))
    config = Config("alembic.ini")
    config.set_main_option("script_location", str(scripts))
    command.revision(config, "from nothing", autogenerate=True)
    command.upgrade(config, "head")
    assert schema_of(url) == expected
    command.downgrade(config, "base")
    command.upgrade(config, "head")
    assert schema_of(url) == expected


async def test_an_empty_database_is_not_prepared_until_it_is(url: str) -> None:
    async with connected(url) as storage:
        with pytest.raises(StorageNotPrepared):
            await storage.ping()
        await storage.prepare()
        await storage.ping()


async def test_a_schema_that_a_newer_userport_has_migrated_can_still_be_used(url: str) -> None:
    async with connected(url) as storage:
        assert isinstance(storage, SqlStorage)
        await storage.prepare()

        pretence = text("UPDATE alembic_version SET version_num = 'from_the_future'")
        await storage.database.migrate(lambda connection: connection.execute(pretence))
        await storage.ping()
        await storage.prepare()  # as an older server does when it starts on an embedded storage
        await storage.ping()


async def test_a_migration_that_was_interrupted_goes_on_where_it_stopped(url: str) -> None:
    def interrupt(connection: Connection) -> None:
        # The state after an interruption in MariaDB, which commits each statement on its own.
        connection.execute(text("DROP TABLE sign_in_failures"))
        connection.execute(text("DROP TABLE samples"))
        connection.execute(text("DELETE FROM alembic_version"))

    async with connected(url) as storage:
        assert isinstance(storage, SqlStorage)
        await storage.prepare()
        user, failures = a_full_user(), some_failures()
        await add(storage, user)
        await storage.database.migrate(interrupt)
        with pytest.raises(StorageNotPrepared):
            await storage.ping()
        await storage.prepare()
        await storage.ping()
        await add(storage, failures)
        assert await read_all(storage) == StorageContents.of(user, failures)


async def test_several_processes_may_prepare_one_database_at_once(url: str) -> None:
    async with connected(url) as one, connected(url) as other, connected(url) as third:
        await asyncio.gather(*(storage.prepare() for storage in (one, other, third)))
        await third.ping()


def look_at(url: str, look: Callable[[Connection], T]) -> T:
    async def run() -> T:
        async with connected(url) as storage:
            assert isinstance(storage, SqlStorage)
            return await storage.database.migrate(look)

    return asyncio.run(run())


def schema_of(url: str) -> dict[str, Any]:
    def describe(connection: Connection) -> dict[str, Any]:
        inspector = inspect(connection)
        return {
            table: (
                [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)],
                inspector.get_pk_constraint(table)["constrained_columns"],
                sorted(str(index["name"]) for index in inspector.get_indexes(table)),
                sorted(str(unique["name"]) for unique in inspector.get_unique_constraints(table)),
                sorted(str(key["name"]) for key in inspector.get_foreign_keys(table)),
            )
            for table in inspector.get_table_names()
        }

    return look_at(url, describe)


def migrations_on(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection)


def on_users(connection: Connection) -> str:
    return " ON users" if connection.dialect.name == "mysql" else ""
