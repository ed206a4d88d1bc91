"""Mistakes in the SQL adapter. What only some database can get wrong is run on that one."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

_repositories = partial(Bug, file="adapters/sql/repositories.py")
_sign_in = partial(Bug, file="adapters/sql/sign_in_repositories.py", store="sqlite")
_text_range = partial(Bug, file="adapters/text_range.py", store="sqlite")
_staged = partial(Bug, file="adapters/sql/staged_writes.py", store="sqlite")
_rows = partial(Bug, file="adapters/sql/rows.py")
_database = partial(Bug, file="adapters/sql/database.py")
_sqlite = partial(Bug, file="adapters/sql/dialects/sqlite.py", store="sqlite")
_mariadb = partial(Bug, file="adapters/sql/dialects/mariadb.py", store="mariadb")
_postgresql = partial(Bug, file="adapters/sql/dialects/postgresql.py", store="postgresql")
_sessions_migration = partial(Bug, file="adapters/sql/migrations/versions/2026_11_21_sessions_and_sign_in_failures.py")
_migration = partial(Bug, file="adapters/sql/migrations/versions/2026_11_21_users_posts_and_credentials.py")
_types = partial(Bug, file="adapters/sql/types.py")
_constraints = partial(Bug, file="adapters/sql/constraints.py", store="sqlite")
_storage = partial(Bug, file="adapters/sql/storage.py", store="sqlite")

BUGS: Final[Sequence[Bug]] = (
    _staged(
        what="a change ignores the version",
        old="change.where(_key(table) == key, table.c.version == version)",
        new="change.where(_key(table) == key)",
    ),
    _staged(
        what="a change accepts any older version",
        old="table.c.version == version)",
        new="table.c.version <= version)",
    ),
    _staged(
        what="a removal ignores the version",
        old="self._change(table, key, version, table.delete())",
        new="self._append(lambda connection: connection.execute(table.delete().where(_key(table) == key)))",
    ),
    _staged(
        what="a change that met no record is fine",
        old="rowcount != 1:\n",
        new="rowcount > 1:\n",
    ),
    _staged(
        what="a failed commit stays staged",
        old="self._writes, self._added, self._touched = [], None, {}",
        new="pass",
    ),
    _staged(
        what="a row that is added late goes in too early",
        old="        self._added = None\n        self._writes.append(write)",
        new="        self._writes.append(write)",
    ),
    _staged(
        what="a requirement is met by any record that is there",
        old=".scalar_one_or_none() != value:",
        new=".scalar_one_or_none() is None:",
    ),
    _staged(
        what="a requirement is met by a record that is gone",
        old=".scalar_one_or_none() != value:",
        new=".scalar_one_or_none() not in (None, value):",
    ),
    _staged(
        what="a requirement is met by any older version",
        old="(await connection.execute(statement)).scalar_one_or_none() != value:",
        new="(found := (await connection.execute(statement)).scalar_one_or_none()) is None or found > value:",
    ),
    _staged(
        what="what a commit requires can be changed meanwhile",
        old="_key(column.table) == key).with_for_update()",
        new="_key(column.table) == key)",
        store="postgresql",
    ),
    _staged(
        what="what a commit requires can be changed meanwhile",
        old="_key(column.table) == key).with_for_update()",
        new="_key(column.table) == key)",
        store="mariadb",
    ),
    _staged(
        what="a requirement is compared by the database, which pads",
        old="""_key(column.table) == key).with_for_update()

        async def write(connection: AsyncConnection) -> None:
            # Compared here, since to MariaDB a text is equal to another one that ends with more spaces.
            if (await connection.execute(statement)).scalar_one_or_none() != value:""",
        new="""_key(column.table) == key, column == value).with_for_update()

        async def write(connection: AsyncConnection) -> None:
            if (await connection.execute(statement)).first() is None:""",
        store="mariadb",
    ),
    _repositories(
        what="a page begins with the record that it comes after",
        old="key < after if descending else key > after",
        new="key <= after if descending else key >= after",
        store="sqlite",
    ),
    _repositories(
        what="a page backwards goes on forwards",
        old="key < after if descending else key > after",
        new="key > after",
        store="sqlite",
    ),
    _repositories(
        what="a page is never in descending order",
        old="order_by(key.desc() if descending else key)",
        new="order_by(key)",
        store="sqlite",
    ),
    _repositories(
        what="a page ignores skip",
        old="return statement.offset(skip) if skip else statement",
        new="return statement",
        store="sqlite",
    ),
    _repositories(
        what="posts of all authors are listed",
        old="written = select(*POST_COLUMNS).where(POSTS.c.author_id == author_id)",
        new="written = select(*POST_COLUMNS)",
        store="sqlite",
    ),
    _repositories(
        what="a search uses LIKE and escapes nothing",
        old="return [key >= prefix] if end is None else [key >= prefix, key < end]",
        new='return [key.like(prefix + "%")]',
        store="sqlite",
    ),
    _text_range(
        what="a search stumbles over the surrogates",
        old='0xE000 if head[-1] == "\\ud7ff" else ord(head[-1]) + 1',
        new="ord(head[-1]) + 1",
    ),
    _text_range(
        what="a search takes the last of all characters for any other",
        old='head = prefix.rstrip("\\U0010ffff")',
        new="head = prefix[:-1]",
    ),
    _repositories(
        what="a search counts a user once for each key",
        old="return union(*",
        new='return __import__("sqlalchemy").union_all(*',
        store="sqlite",
    ),
    _repositories(
        what="a search leaves out usernames",
        old="(USERS.c.name_key, USERS.c.email_key, USERS.c.username_key)",
        new="(USERS.c.name_key, USERS.c.email_key)",
        store="sqlite",
    ),
    _repositories(
        what="users are found by their email as it is written",
        old="USERS.c.email_key == email.canonical",
        new="USERS.c.email == email.address",
        store="sqlite",
    ),
    _repositories(
        what="admins who are not active are listed with those who are",
        old="literal_execute=True), USERS.c.active)",
        new="literal_execute=True),)",
        store="sqlite",
    ),
    _repositories(
        what="active members are listed with the admins",
        old="(USERS.c.role == literal(Role.ADMIN.value, literal_execute=True), USERS.c.active)",
        new="(USERS.c.active,)",
        store="sqlite",
    ),
    _repositories(
        what="the last admins are listed for the first ones",
        old="USERS, None, limit, False, 0))\n\n    def add",
        new="USERS, None, limit, True, 0))\n\n    def add",
        store="sqlite",
    ),
    _sign_in(
        what="sessions are listed as they come",
        old=".order_by(SESSIONS.c.id)",
        new=".order_by(SESSIONS.c.user_id, SESSIONS.c.salt.desc())",
    ),
    _sign_in(
        what="sessions of all users are listed",
        old=".where(SESSIONS.c.user_id == user_id)",
        new="",
    ),
    _sign_in(
        what="expired failures are found a moment too late",
        old="expires_at <= moment",
        new="expires_at < moment",
    ),
    _sign_in(
        what="all expired failures are found at once",
        old=".order_by(expires_at).limit(limit)",
        new=".order_by(expires_at)",
    ),
    _rows(
        what="the email comes back folded",
        old="Email(email, email_key)",
        new="Email(email_key, email_key)",
        store="sqlite",
    ),
    _rows(
        what="an empty bio comes back as none",
        old="bio=None if bio is None else Bio(bio)",
        new="bio=Bio(bio) if bio else None",
        store="sqlite",
    ),
    _rows(what="the role comes back as mere text", old="role=Role(role)", new="role=role", store="sqlite"),
    _rows(what="names are searched unfolded", old="fold(user.name)", new="str(user.name)", store="sqlite"),
    _types(
        what="times come back in local time",
        old="value.replace(tzinfo=UTC)\n",
        new="value.replace(tzinfo=UTC).astimezone()\n",
        store="sqlite",
    ),
    _types(what="times come back without a zone", old="value.replace(tzinfo=UTC)\n", new="value\n", store="sqlite"),
    _types(
        what="lists of times lose their milliseconds",
        old="_MILLISECOND: Final = timedelta(milliseconds=1)",
        new="_MILLISECOND: Final = timedelta(seconds=1)",
        store="sqlite",
    ),
    _types(
        what="a tuple of times comes back as a list",
        old="else tuple(_EPOCH + number * _MILLISECOND for number in json.loads(value))",
        new="else [_EPOCH + number * _MILLISECOND for number in json.loads(value)]",
        store="sqlite",
    ),
    _types(
        what="no times come back as none",
        old="return None if value is None else tuple(",
        new='return None if value in (None, "[]") else tuple(',
        store="sqlite",
    ),
    _types(what="times lose their milliseconds", old="DATETIME(fsp=3)", new="DATETIME()", store="mariadb"),
    _types(
        what="keys are compared without case and accents",
        old="return dialect.type_descriptor(VARBINARY(4 * self.length))",
        new=(
            "import sqlalchemy as sa\n"
            '            return dialect.type_descriptor(sa.String(self.length, collation="utf8mb4_unicode_ci"))'
        ),
        store="mariadb",
    ),
    _types(
        what="keys are compared without trailing spaces",
        old="return dialect.type_descriptor(VARBINARY(4 * self.length))",
        new=(
            "import sqlalchemy as sa\n"
            '            return dialect.type_descriptor(sa.String(self.length, collation="utf8mb4_bin"))'
        ),
        store="mariadb",
    ),
    _types(
        what="keys are compared without case",
        old='"C" if dialect.name == "postgresql" else "BINARY"',
        new='"C" if dialect.name == "postgresql" else "NOCASE"',
        store="sqlite",
    ),
    _types(
        what="keys are sorted by a language",
        old='"C" if dialect.name == "postgresql"',
        new='"und-x-icu" if dialect.name == "postgresql"',
        store="postgresql",
    ),
    _constraints(what="a taken username is no conflict that is known", old="return UsernameTaken()", new="return None"),
    _constraints(
        what="a taken username is called a taken email", old="return UsernameTaken()", new="return EmailTaken()"
    ),
    _constraints(what="a taken id is called a taken email", old="return IdTaken()", new="return EmailTaken()"),
    _sqlite(what="foreign keys are off", old="PRAGMA foreign_keys = ON", new="PRAGMA foreign_keys = OFF"),
    _sqlite(what="a transaction takes the lock late", old='"BEGIN IMMEDIATE"', new='"BEGIN"'),
    _sqlite(
        what="a transaction is never begun, so each write stands for itself",
        old='connection.exec_driver_sql("BEGIN IMMEDIATE")',
        new='connection.exec_driver_sql("SELECT 1")',
    ),
    _sqlite(what="a missing table is an outage", old="return StorageNotPrepared()", new="return StorageUnavailable()"),
    _migration(
        what="posts outlive their author",
        old='name="fk_posts_author_id", ondelete="CASCADE"',
        new='name="fk_posts_author_id"',
        store="sqlite",
    ),
    _migration(
        what="credentials outlive their user",
        old='name="fk_credentials_user_id", ondelete="CASCADE"',
        new='name="fk_credentials_user_id"',
        store="sqlite",
    ),
    _migration(
        what="usernames are not unique",
        old='        sa.UniqueConstraint("username_key", name="uq_users_username_key"),\n',
        new="",
        store="sqlite",
    ),
    _migration(
        what="folded emails may not be longer than emails",
        old="types.ExactText(256)",
        new="types.ExactText(64)",
        store="mariadb",
    ),
    _migration(what="versions have 32 bits", old="sa.BigInteger()", new="sa.Integer()", store="postgresql"),
    _sessions_migration(
        what="sessions outlive their user",
        old='name="fk_sessions_user_id", ondelete="CASCADE"',
        new='name="fk_sessions_user_id"',
        store="sqlite",
    ),
    _sessions_migration(
        what="user agents know no emoji",
        old='"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"',
        new='"mysql_charset": "utf8mb3", "mysql_collate": "utf8mb3_bin"',
        store="mariadb",
    ),
    _sessions_migration(
        what="a user agent's length is counted in bytes",
        old="sa.String(200)",
        new="sa.VARBINARY(200)",
        store="mariadb",
    ),
    _sessions_migration(
        what="there is no room for a hundred moments",
        old='"moments", types.UtcTimes()',
        new='"moments", sa.String(1000)',
        store="postgresql",
    ),
    _sessions_migration(
        what="versions of failures have 32 bits",
        old="""UtcTimes(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("expires_at\"""",
        new="""UtcTimes(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("expires_at\"""",
        store="postgresql",
    ),
    _sessions_migration(
        what="a key may have failures twice",
        old='        sa.PrimaryKeyConstraint("key"),\n',
        new="",
        store="sqlite",
    ),
    _database(
        what="the failure of a write is swallowed",
        old="            raise self.dialect.meaning(error) or error from error",
        new="            return None",
        store="sqlite",
    ),
    _database(
        what="a lost server is reported in the driver's words",
        old="            raise StorageUnavailable from error\n        raise AssertionError",
        new="            raise\n        raise AssertionError",
        store="postgresql",
    ),
    _database(
        what="a connection is taken and never given back",
        old="            async with self._engine.connect() as connection:\n                yield connection",
        new="            connection = await self._engine.connect()\n            yield connection",
        store="sqlite",
    ),
    _database(
        what="a commit is forgotten",
        old="await connection.commit()",
        new="await connection.rollback()",
        store="sqlite",
    ),
    _storage(
        what="each write is committed by itself",
        old="                await write(connection)\n",
        new="                await write(connection)\n                await connection.commit()\n",
    ),
    _storage(
        what="an unprepared storage looks healthy",
        old='        revisions = await self._database.rows(text("SELECT version_num FROM alembic_version"))\n',
        new='        await self._database.rows(text("SELECT 1"))\n        return\n        revisions = ()\n',
    ),
    _mariadb(
        what="a deadlock is not repeated",
        old="return self._code(error) in {1020, 1213}",
        new="return False and self._code(error) in {1020, 1213}",
        allowed="the commit ends with TooBusy and has changed nothing",
    ),
    _mariadb(
        what="a taken email is told by the value, which a client chose",
        old="""r"for key '(?:\\w+\\.)?(\\w+)'\\Z\"""",
        new="""r"entry '(\\w+)\"""",
    ),
    _postgresql(
        what="a missing author is nobody's fault",
        old='            case "23503":\n                return conflict("fk")\n',
        new="",
    ),
)
