import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import URL, Column, Connection, Table, func, select
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.sql.dml import Insert

from adapters.sql.constraints import conflict
from adapters.sql.dialects.server_dialect import ServerDialect
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy

_CONNECT_TIMEOUT_SECONDS: Final = 5
_MIGRATION_LOCK_SECONDS: Final = 60

# The driver logs what the server warns of, and that may hold a user's data.
logging.getLogger("asyncmy").setLevel(logging.ERROR)


class MariaDB(ServerDialect):
    """MariaDB by asyncmy. Error numbers: MariaDB's reference, "Error codes"."""

    options = frozenset({"ssl_ca", "ssl_cert", "ssl_key"})

    def driver_url(self, url: URL) -> URL:
        self.check_database(url)
        return url.set(drivername="mysql+asyncmy").update_query_dict({"charset": "utf8mb4"})

    def connect_args(self, *, waits: bool) -> Mapping[str, Any]:
        # READ COMMITTED takes no gap locks, so that inserts of different users do not wait for each other.
        setting = "SET SESSION sql_mode = 'STRICT_ALL_TABLES', SESSION tx_isolation = 'READ-COMMITTED'"
        if not waits:
            setting += ", SESSION innodb_lock_wait_timeout = 1"  # a second, the least that there is
        return {"connect_timeout": _CONNECT_TIMEOUT_SECONDS, "init_command": setting}

    def meaning(self, error: DBAPIError) -> DomainError | None:
        match self._code(error):
            case 1062:
                # The end of the message: what stands before it is the value, which a client chose.
                key = re.search(r"for key '(?:\w+\.)?(\w+)'\Z", str(self._argument(error, 1)))
                return conflict("pk" if key is None or key[1] == "PRIMARY" else key[1])
            case 1216 | 1452:
                return conflict("fk")
            case 1146:
                return StorageNotPrepared()
            case 1020 | 1040 | 1203 | 1205 | 1213:  # lost to others, too many connections, lock wait
                return TooBusy()
            case 1044 | 1045 | 1698:
                return StorageUnavailable("MariaDB refuses the user or the password in the storage URL")
            case 1142 | 1143 | 1227 | 1290:
                return StorageUnavailable("MariaDB denies the user in the storage URL a privilege, or is read-only")
            case 1049:
                return StorageUnavailable("MariaDB has no database of the name in the storage URL")
        lost = error.connection_invalidated or isinstance(error, InterfaceError | InternalError | OperationalError)
        return StorageUnavailable() if lost else None

    def is_garbled(self, error: DBAPIError) -> bool:
        return isinstance(error, InternalError) and not isinstance(self._code(error), int)

    def may_be_repeated(self, error: DBAPIError) -> bool:
        return self._code(error) in {1020, 1213}  # changed since the snapshot, deadlock

    def upsert(self, table: Table, key: Column[Any], values: Mapping[str, Any]) -> Insert:
        return insert(table).values(values).on_duplicate_key_update(dict(values))

    @contextmanager
    def migration_lock(self, connection: Connection) -> Iterator[None]:
        # Of the session, since each DDL statement ends the transaction.
        name = func.concat("userport.", func.database())
        if not connection.scalar(select(func.get_lock(name, _MIGRATION_LOCK_SECONDS))):
            raise TooBusy("another process is preparing this storage")
        try:
            yield
        finally:
            connection.execute(select(func.release_lock(name)))

    @classmethod
    def _code(cls, error: DBAPIError) -> object:
        return cls._argument(error, 0)

    @staticmethod
    def _argument(error: DBAPIError, place: int) -> object:
        arguments = error.orig.args if error.orig else ()
        if arguments and isinstance(arguments[0], Exception):  # as SQLAlchemy wraps the driver's own
            arguments = arguments[0].args
        return arguments[place] if place < len(arguments) else None
