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
_connections = partial(Bug, file="adapters/sql/connections.py")
_server_connections = partial(Bug, file="adapters/sql/dialects/server_connections.py")
_brief_reads = partial(Bug, file="adapters/sql/brief_reads.py", store="sqlite")
_reads = partial(Bug, file="adapters/sql/reads.py")
_commits = partial(Bug, file="adapters/sql/commits.py")
_writes = partial(Bug, file="adapters/sql/writes.py", store="sqlite")
_lookups = partial(Bug, file="adapters/sql/lookups.py", store="sqlite")
_searches = partial(Bug, file="adapters/sql/searches.py", store="sqlite")
_pages = partial(Bug, file="adapters/sql/pages.py", store="sqlite")
_sqlite = partial(Bug, file="adapters/sql/dialects/sqlite.py", store="sqlite")
_multi_row_inserts = partial(Bug, file="adapters/sql/dialects/multi_row_inserts.py", store="sqlite")
_array_inserts = partial(Bug, file="adapters/sql/dialects/array_inserts.py", store="postgresql")
_mariadb = partial(Bug, file="adapters/sql/dialects/mariadb.py", store="mariadb")
_postgresql = partial(Bug, file="adapters/sql/dialects/postgresql.py", store="postgresql")
_sessions_migration = partial(Bug, file="adapters/sql/migrations/versions/2026_11_21_sessions_and_sign_in_failures.py")
_migration = partial(Bug, file="adapters/sql/migrations/versions/2026_11_21_users_posts_and_credentials.py")
_types = partial(Bug, file="adapters/sql/types.py")
_constraints = partial(Bug, file="adapters/sql/constraints.py", store="sqlite")
_storage = partial(Bug, file="adapters/sql/storage.py", store="sqlite")

BUGS: Final[Sequence[Bug]] = (
    _writes(
        what="a save ignores the version",
        old='table.c.version == bindparam("_version")',
        new='table.c.version * 0 <= bindparam("_version")',
    ),
    _writes(
        what="a save accepts any older version",
        old='table.c.version == bindparam("_version")',
        new='table.c.version <= bindparam("_version")',
    ),
    _writes(what="a save that met no record is fine", old="rowcount != 1:\n", new="rowcount > 1:\n"),
    _staged(
        what="a removal ignores the version",
        old="table.delete().where(key_of(table) == key, table.c.version == version)",
        new="table.delete().where(key_of(table) == key)",
    ),
    _staged(
        what="a removal accepts any older version",
        old="table.c.version == version)",
        new="table.c.version <= version)",
    ),
    _staged(what="a removal that met no record is fine", old="rowcount != 1:\n", new="rowcount > 1:\n"),
    _staged(
        what="a failed commit stays staged",
        old="self._writes, self._touched = [], {}\n        return",
        new="return",
    ),
    _staged(
        what="a row that is added late goes in too early",
        old="last = self._writes[-1] if self._writes else None",
        new="last = next((one for one in self._writes if isinstance(one, Addition) and one.table is table), None)",
    ),
    _staged(
        what="a column that becomes empty keeps its value",
        old="if name not in known or known[name] != value",
        new="if name not in known or (value is not None and known[name] != value)",
    ),
    _repositories(
        what="what a unit once read is taken for what is there",
        old="if before is not None and before.version == user.version - 1 else None",
        new="if before is not None else None",
        store="sqlite",
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
        old="connection.execute(statement).scalar_one_or_none() != value:",
        new="(found := connection.execute(statement).scalar_one_or_none()) is None or found > value:",
    ),
    _staged(
        what="what a commit requires can be changed meanwhile",
        old="key_of(column.table) == key).with_for_update()",
        new="key_of(column.table) == key)",
        store="postgresql",
    ),
    _staged(
        what="what a commit requires can be changed meanwhile",
        old="key_of(column.table) == key).with_for_update()",
        new="key_of(column.table) == key)",
        store="mariadb",
    ),
    _staged(
        what="a requirement is compared by the database, which pads",
        old="""key_of(column.table) == key).with_for_update()

        def write(connection: Connection) -> None:
            # Compared here, since to MariaDB a text is equal to another one that ends with more spaces.
            if connection.execute(statement).scalar_one_or_none() != value:""",
        new="""key_of(column.table) == key, column == value).with_for_update()

        def write(connection: Connection) -> None:
            if connection.execute(statement).first() is None:""",
        store="mariadb",
    ),
    _commits(
        what="of saves that go together, those that are too late are fine",
        old="versions.pop(save.key, None) == save.version_before",
        new="versions.pop(save.key, None) is not None",
        store="sqlite",
    ),
    _commits(
        what="two saves of a version that go together are both fine",
        old="versions.pop(save.key, None)",
        new="versions.get(save.key)",
        store="sqlite",
    ),
    _commits(
        what="saves that go together write whatever they find",
        old="if versions.pop(save.key, None) == save.version_before:",
        new="if save.key in versions:",
        store="sqlite",
    ),
    _commits(
        what="who was left out of those that go together is told it was applied",
        old="[id(save) in saved for save in saves]",
        new="[True for _ in saves]",
        store="sqlite",
    ),
    _commits(
        what="those that go together are told each other's outcomes",
        old="[id(save) in saved for save in saves]",
        new="sorted(id(save) in saved for save in saves)",
        store="sqlite",
    ),
    _commits(
        what="the refusal of one is told to all that went with it",
        old="            if len(writes) == 1:\n                return [False]\n            half",
        new="            return [TooBusy()] * len(writes)\n            half",
        store="sqlite",
    ),
    _commits(
        what="when a batch is halved, each half is told how the other one ended",
        old="[*await self._together(apply, writes[:half]), *await self._together(apply, writes[half:])]",
        new="[*await self._together(apply, writes[half:]), *await self._together(apply, writes[:half])]",
        store="sqlite",
    ),
    _postgresql(
        what="all wait for a row that one of them refers to and somebody has locked",
        old='{} if waits else {"lock_timeout": _SHORT_WAIT}',
        new="{}",
    ),
    _mariadb(
        what="all wait for a row that one of them refers to and somebody has locked",
        old='", SESSION innodb_lock_wait_timeout = 1"',
        new='""',
    ),
    _lookups(
        what="all who ask together are given the row of the first",
        old="[found.get(key) for key in keys]",
        new="[found.get(keys[0]) for _ in keys]",
    ),
    _lookups(
        what="rows are given out in the order in which they are found",
        old="[found.get(key) for key in keys]",
        new="[*rows, *[None] * (len(keys) - len(rows))]",
    ),
    _lookups(
        what="of several who ask for one row together, one is given it",
        old="found.get(key) for key",
        new="found.pop(key, None) for key",
    ),
    _lookups(
        what="of many keys that are asked for together, the last is lost",
        old='{"keys": keys}',
        new='{"keys": keys[:-1] or keys}',
    ),
    _lookups(
        what="rows found by another key are told apart by their ids",
        old="columns.index(key)",
        new="0",
    ),
    _pages(
        what="a page begins with the record that it comes after",
        old="key < after if descending else key > after",
        new="key <= after if descending else key >= after",
    ),
    _pages(
        what="a page backwards goes on forwards",
        old="key < after if descending else key > after",
        new="key > after",
    ),
    _pages(
        what="a page is never in descending order",
        old="order_by(key.desc() if descending else key)",
        new="order_by(key)",
    ),
    _pages(what="a page ignores skip", old='.offset(bindparam("skip", type_=Integer))', new=""),
    _pages(
        what="a small page ignores skip",
        old="_Page(after, limit, descending, skip, owner)",
        new="_Page(after, limit, descending, skip and limit > _FEW, owner)",
    ),
    _pages(
        what="a page that comes after a record begins at the start",
        old="page.after is None",
        new="not page.skip",
    ),
    _reads(
        what="posts of all authors are listed",
        old='.where(POSTS.c.author_id == bindparam("owner"))',
        new="",
        store="sqlite",
    ),
    _searches(
        what="a search uses LIKE and escapes nothing",
        old="key >= prefix if end is None else and_(key >= prefix, key < end)",
        new='key.like(prefix + "%")',
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
    _searches(
        what="a search finds a user once for each key",
        old="ids = union(*",
        new='ids = __import__("sqlalchemy").union_all(*',
    ),
    _searches(
        what="a search leaves out usernames",
        old="(USERS.c.name_key, USERS.c.email_key, USERS.c.username_key)",
        new="(USERS.c.name_key, USERS.c.email_key)",
    ),
    _searches(
        what="a search that finds many gives all there are",
        old="found.where(_unindexed(prefix))",
        new="found",
    ),
    _repositories(
        what="users are found by their email as it is written",
        old="row(email.canonical)",
        new="row(email.address)",
        store="sqlite",
    ),
    _repositories(
        what="of many emails, users are found by those as they are written",
        old="{email.canonical for",
        new="{email.address for",
        store="sqlite",
    ),
    _reads(
        what="admins who are not active are listed with those who are",
        old="literal_execute=True), USERS.c.active)",
        new="literal_execute=True),)",
        store="sqlite",
    ),
    _reads(
        what="active members are listed with the admins",
        old="(USERS.c.role == literal(Role.ADMIN.value, literal_execute=True), USERS.c.active)",
        new="(USERS.c.active,)",
        store="sqlite",
    ),
    _repositories(
        what="the last admins are listed for the first ones",
        old="active_admins.page(limit=limit)",
        new="active_admins.page(limit=limit, descending=True)",
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
    _rows(what="the role comes back as mere text", old="role=_ROLES[role]", new="role=role", store="sqlite"),
    _rows(what="names are searched unfolded", old="fold(user.name)", new="str(user.name)", store="sqlite"),
    _types(
        what="times come back in local time",
        old='datetime.fromisoformat(f"{value}+00:00")',
        new='datetime.fromisoformat(f"{value}+00:00").astimezone()',
        store="sqlite",
    ),
    _types(what="times come back without a zone", old='(f"{value}+00:00")', new="(value)", store="sqlite"),
    _types(what="times come back without a zone", old="value.replace(tzinfo=UTC)\n", new="value\n", store="mariadb"),
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
    _sqlite(what="foreign keys are off", old="foreign_keys = ON", new="foreign_keys = OFF"),
    _sqlite(what="a transaction takes the lock late", old='"BEGIN IMMEDIATE"', new='"BEGIN"'),
    _sqlite(
        what="a transaction is never begun, so each write stands for itself",
        old='connection.exec_driver_sql("BEGIN IMMEDIATE")',
        new='connection.exec_driver_sql("SELECT 1")',
    ),
    _sqlite(what="a missing table is an outage", old="return StorageNotPrepared()", new="return StorageUnavailable()"),
    _multi_row_inserts(
        what="of many rows, those that fill no statement are lost",
        old="while left := len(rows) - done:",
        new="while (left := len(rows) - done) and (not done or left >= 500):",
    ),
    _multi_row_inserts(
        what="of many rows, each statement after the first begins a row too early",
        old="rows[done : done + taken]",
        new="rows[done and done - 1 : (done and done - 1) + taken]",
    ),
    _multi_row_inserts(
        what="many rows go in column by column",
        old="chain.from_iterable(zip(*columns, strict=True))",
        new="chain.from_iterable(columns)",
    ),
    _multi_row_inserts(
        what="many rows are given the time of the first",
        old="[written[value] for value in values]",
        new="[written[values[0]] for _ in values]",
    ),
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
    _migration(
        what="versions of users have 32 bits",
        old="""sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger()""",
        new="""sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer()""",
        store="postgresql",
    ),
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
        what="a commit is forgotten",
        old="connection.commit()",
        new="connection.rollback()",
        store="sqlite",
    ),
    _server_connections(
        what="a connection is taken and never given back",
        old="connection = await stack.enter_async_context(self._engine.connect())",
        new="connection = await self._engine.connect()",
        store="postgresql",
    ),
    _connections(
        what="whoever has used a file leaves no room for others",
        old="        running.add_done_callback(release)\n",
        new="",
        store="sqlite",
    ),
    _brief_reads(
        what="a brief read fails where it would have to wait, and does not tell why",
        old="return await self.patient.read(statement, parameters)",
        new="raise",
    ),
    _pages(
        what="all who ask for pages together are given the first one's",
        old="[outcomes[page] for page in pages]",
        new="[outcomes[pages[0]] for _ in pages]",
    ),
    _commits(
        what="each write is committed by itself",
        old="            for work in works:\n                work(connection)\n",
        new="            for work in works:\n                work(connection) or connection.commit()\n",
        store="sqlite",
    ),
    _storage(
        what="an unprepared storage looks healthy",
        old="        rows = await self._database.rows(_REVISIONS)\n",
        new="        await self._database.rows(select(1))\n        return\n        rows = ()\n",
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
    _array_inserts(
        what="rows that are added together mix their values",
        old="[row[column.name] for row in rows]",
        new="sorted((row[column.name] for row in rows), key=str)",
    ),
    _array_inserts(
        what="texts that are too long are cut off where rows are added together",
        old="Text() if isinstance(column.type, String) else column.type",
        new="column.type",
    ),
)
