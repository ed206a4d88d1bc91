from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection


def make_durable(engine: Engine) -> None:
    """Configure SQLite to keep acknowledged writes and to wait for its write lock, as userport does."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up)


def _set_up(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 30000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
