from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection


def make_durable(engine: Engine) -> None:
    """Let SQLite keep what it has acknowledged, and wait for its turn to write, as userport's does."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up)


def _set_up(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 30000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
