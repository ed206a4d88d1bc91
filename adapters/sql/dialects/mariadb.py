import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from sqlalchemy import URL, Column, Connection, Insert, Table, bindparam, func, select
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError

from adapters.sql.connections import Work
from adapters.sql.dialects.server_dialect import ServerDialect
from adapters.sql.inserts import Rows
from adapters.sql.tables import IS_LIVE, USERS, live_owner, owner_of
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy, UserNotFound

_CONNECT_TIMEOUT_SECONDS: Final = 5
_MIGRATION_LOCK_SECONDS: Final = 60
_LIVE_OWNERS: Final = (
    select(USERS.c.id)
    .where(USERS.c.id.in_(bindparam("owners", expanding=True)), IS_LIVE)
    .order_by(USERS.c.id)
    .with_for_update(read=True)
)

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

    def meaning(self, error: DBAPIError) -> DomainError | str | None:
        match self._code(error):
            case 1062:
                # The end of the message: what stands before it is the value, which a client chose.
                key = re.search(r"for key '(?:\w+\.)?(\w+)'\Z", str(self._argument(error, 1)))
                return key and key[1]
            case 1048:
                column = re.search(r"'(\w+)'", str(self._argument(error, 1)))
                return column and f"NULL {column[1]}"
            case 1216 | 1452:
                return "FOREIGN KEY"
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

    def insertion(self, table: Table, rows: Rows) -> Work[None]:
        owner = owner_of(table)

        def insert(connection: Connection) -> None:
            if owner is None:
                connection.execute(table.insert(), rows)
            elif len(rows) == 1:
                connection.execute(_insert_owned(table, owner), {**rows[0], "_owner": rows[0][owner.name]})
            else:  # a subquery for each row would cost more than the row
                owners = {row[owner.name] for row in rows}
                if len(connection.execute(_LIVE_OWNERS, {"owners": sorted(owners)}).all()) < len(owners):
                    raise UserNotFound
                connection.execute(table.insert(), rows)

        return insert

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


@cache
def _insert_owned(table: Table, owner: Column[Any]) -> Insert:
    values = {column.name: bindparam(column.name, type_=column.type) for column in table.columns}
    return table.insert().values({**values, owner.name: live_owner(bindparam("_owner"))})
