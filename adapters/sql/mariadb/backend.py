import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from typing import Any, ClassVar, Final, NamedTuple, cast

from asyncmy.connection import Connection as AsyncmyConnection
from asyncmy.errors import InterfaceError, InternalError, MySQLError, OperationalError
from sqlalchemy import URL, AdaptedConnection, Connection, Table, bindparam, event, func, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from adapters.sql.engine.backend import CERTIFIES_WRITES, TransactionCallback
from adapters.sql.engine.pools import ConnectionLost
from adapters.sql.engine.server import ServerBackend
from adapters.sql.engine.statements import BoundStatement, CompiledStatement, MultiRowInsert, Rows
from adapters.sql.mariadb.galera import join_cluster, migration_lease
from adapters.sql.mariadb.pool import AsyncmyPool, is_server_error
from adapters.sql.tables import IS_LIVE, USERS, owner_of
from adapters.tls import check_authorities, check_identity
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy, UserNotFound

_CONNECT_TIMEOUT_SECONDS: Final = 5
_MIGRATION_LOCK_SECONDS: Final = 60
_MAX_STATEMENT_SIZE: Final = 2_000_000  # in characters and bytes; a server accepts 16 MiB by default

# READ COMMITTED takes no gap locks, so inserts of different users do not block each other. The first comment is for
# MariaDB, the second for MySQL.
_SETTINGS: Final = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES', "
    "SESSION /*M! tx_isolation *//*!80000 transaction_isolation */ = 'READ-COMMITTED'"
)
_SHORT_LOCK_WAIT: Final = ", SESSION innodb_lock_wait_timeout = 1"  # seconds, the minimum

# A row changed since the snapshot; a deadlock, as which Galera also reports a commit that lost to another node; and the
# latter in MySQL's group replication.
_LOST_TO_OTHERS: Final = {1020, 1213, 3101}

# Definite rollbacks: also a disconnected Galera node, a server that has become read-only, and a hook that rejected the
# commit. After any other error at the commit, such as 1180, its outcome is unknown.
_ROLLED_BACK: Final = {*_LOST_TO_OTHERS, 1047, 1290, 1792, 3100}

_REJECTS_USER: Final = "MariaDB rejects the user or the password in the storage URL"
_DENIES: Final = "MariaDB denies a required privilege to the user in the storage URL, or is read-only"
_HINTS: Final = {
    **dict.fromkeys((1044, 1045, 1698), _REJECTS_USER),
    **dict.fromkeys((1142, 1143, 1227, 1290), _DENIES),
    1047: "this MariaDB is disconnected from its Galera cluster",
    1049: "MariaDB does not have the database in the storage URL",
}
"""Errors that an operator can fix."""

_LIVE_OWNERS: Final = (
    select(USERS.c.id)
    .where(USERS.c.id.in_(bindparam("owners", expanding=True)), IS_LIVE)
    .order_by(USERS.c.id)
    .with_for_update(read=True)
)

# The driver logs the server's warnings, which may contain a user's data.
logging.getLogger("asyncmy").setLevel(logging.ERROR)


class _Insert(NamedTuple):
    """A multi-row insert that first locks the owners, all of whom must be live."""

    owners: int
    lock: BoundStatement | None
    statements: Sequence[BoundStatement]


class MariaDB(ServerBackend[AsyncmyPool]):
    """Backend for MariaDB and MySQL. Error numbers: MariaDB's reference, "Error codes"."""

    options: ClassVar = frozenset({"ssl_ca", "ssl_cert", "ssl_key"})

    def __init__(self, url: URL, conflicts: Mapping[str, type[DomainError]]) -> None:
        _check_tls({name: str(value) for name, value in url.query.items()})
        super().__init__(url.set(drivername="mysql+asyncmy").update_query_dict({"charset": "utf8mb4"}), conflicts)
        event.listen(self.engine, "connect", _join_cluster)
        self._live_owners: Final = CompiledStatement(_LIVE_OWNERS, self.dialect)
        self._insert_statement: Final = cache(partial(MultiRowInsert, dialect=self.dialect))

    async def insert(self, table: Table, rows: Rows) -> None:
        try:
            await self._inserts.run(partial(_insert, self._bind_insert(table, rows)))
        except ConnectionLost as error:
            raise StorageUnavailable from error
        except MySQLError as error:
            raise self.translate_error(error) from error

    def insertion(self, table: Table, rows: Rows) -> TransactionCallback[None]:
        bound = self._bind_insert(table, rows)

        def insert(connection: Connection) -> None:
            if bound.lock and len(connection.exec_driver_sql(*bound.lock).all()) < bound.owners:
                raise UserNotFound
            for text, arguments in bound.statements:
                connection.exec_driver_sql(text, arguments)

        return insert

    @contextmanager
    def migration_lock(self, connection: Connection) -> Iterator[None]:
        # A session lock, because each DDL statement ends the transaction.
        name = func.concat("userport.", func.database())
        if not connection.scalar(select(func.get_lock(name, _MIGRATION_LOCK_SECONDS))):
            raise TooBusy("another process is preparing this storage")
        try:
            # The lock is one of this node. DDL of two nodes at once would break the connections of both.
            with migration_lease(connection) if connection.info[CERTIFIES_WRITES] else nullcontext():
                yield
        finally:
            connection.execute(select(func.release_lock(name)))

    def _engine_args(self) -> Mapping[str, Any]:
        return _connect_args(_SETTINGS)

    def _pool(self, size: int, url_args: Mapping[str, Any], *, lock_waits: bool) -> AsyncmyPool:
        settings = _SETTINGS if lock_waits else _SETTINGS + _SHORT_LOCK_WAIT
        return AsyncmyPool(size, {**url_args, **_connect_args(settings)})

    def _bind_insert(self, table: Table, rows: Rows) -> _Insert:
        owner = owner_of(table)
        if owner is None or len(rows) == 1:
            return _Insert(0, None, _bind_all(self._insert_statement(table, checks_owner=True), rows))
        # A subquery for the owner of each row would cost more than the row.
        owners = sorted({row[owner.name] for row in rows})
        statements = _bind_all(self._insert_statement(table, checks_owner=False), rows)
        return _Insert(len(owners), self._live_owners.bind({"owners": owners}), statements)

    def _is_garbled(self, error: BaseException) -> bool:
        return isinstance(error, MySQLError) and not is_server_error(error)

    def _is_transient(self, error: BaseException) -> bool:
        return _code(error) in _LOST_TO_OTHERS

    def _is_rolled_back(self, error: BaseException) -> bool:
        return _code(error) in _ROLLED_BACK

    def _classify_error(self, error: BaseException) -> DomainError | str | None:
        match _code(error):
            case 1062:
                # Match the end of the message: the value before it is chosen by a client.
                return _name(error, r"for key '(?:\w+\.)?(\w+)'\Z")
            case 1048:
                return "NULL " + _name(error, r"'(\w+)'")
            case 1216 | 1452:
                return "FOREIGN KEY"
            case 1146:
                return StorageNotPrepared()
            case 1040 | 1203 | 1205:  # too many connections, lock wait
                return TooBusy()
            case int(code) if code in _LOST_TO_OTHERS:
                return TooBusy()
            case int(code) if code in _HINTS:
                return StorageUnavailable(_HINTS[code])
        is_lost = isinstance(error, InterfaceError | InternalError | OperationalError)
        return StorageUnavailable() if is_lost else None


def _join_cluster(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    record.info[CERTIFIES_WRITES] = cast("AdaptedConnection", connection).run_async(join_cluster)


def _connect_args(settings: str) -> Mapping[str, Any]:
    return {"connect_timeout": _CONNECT_TIMEOUT_SECONDS, "init_command": settings}


def _bind_all(insert: MultiRowInsert, rows: Rows) -> Sequence[BoundStatement]:
    """Bind rows to statements small enough for the server."""
    chunks: list[list[tuple[object, ...]]] = []
    size = _MAX_STATEMENT_SIZE
    for row in insert.values(rows):
        row_size = sum(len(value) for value in row if isinstance(value, str | bytes))
        if size + row_size > _MAX_STATEMENT_SIZE:
            chunks.append([])
            size = 0
        chunks[-1].append(row)
        size += row_size
    return [insert.bind(chunk) for chunk in chunks]


async def _insert(insert: _Insert, connection: AsyncmyConnection) -> None:
    async with connection.cursor() as cursor:
        if insert.lock is None and len(insert.statements) == 1:
            await cursor.execute(*insert.statements[0])
            return
        await connection.begin()
        if insert.lock and await cursor.execute(*insert.lock) < insert.owners:
            await connection.rollback()
            raise UserNotFound
        try:
            for statement in insert.statements:
                await cursor.execute(*statement)
        except MySQLError:
            await connection.rollback()
            raise
        try:
            await connection.commit()
        except MySQLError as error:
            if _code(error) in _ROLLED_BACK:
                raise
            connection.close()
            raise StorageUnavailable from error  # not repeated: the transaction may have been committed


def _code(error: BaseException) -> object:
    return error.args[0] if isinstance(error, MySQLError) and error.args else None


def _name(error: BaseException, pattern: str) -> str:
    found = re.search(pattern, str(error.args[1]))
    return found[1] if found else ""


def _check_tls(options: Mapping[str, str]) -> None:
    if "ssl_ca" in options:
        check_authorities("the file of its option ssl_ca", options["ssl_ca"])
    if "ssl_cert" in options:
        check_identity("the file of its option ssl_cert, or of ssl_key,", options["ssl_cert"], options.get("ssl_key"))
    elif "ssl_key" in options:
        raise ValueError("its option ssl_key is the key of a certificate, which ssl_cert must name")
