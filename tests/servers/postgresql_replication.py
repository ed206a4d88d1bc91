"""A PostgreSQL of our own with two standbys, of which at least one has every commit, on the loopback interface."""

from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.parse import quote

from tests.servers.choice import give_up
from tests.servers.postgresql import KIND, PostgresqlProcess
from tests.servers.process import add_links, wait_until
from tests.servers.sql import execute, query

_STANDBYS = 2


class ReplicatedPostgresql(PostgresqlProcess):
    """A primary, or a standby of another server. All have the same password."""

    options = ("fsync=off", "full_page_writes=off", "synchronous_standby_names=ANY 1 (*)", "wal_keep_size=256")

    def __init__(self, programs: Path) -> None:
        super().__init__(programs)
        self.primary: ReplicatedPostgresql | None = None

    @property
    def connection_info(self) -> str:
        address = f"host=127.0.0.1 port={self.peer_port}"
        return f"{address} user=userport password='{self.password}' application_name={self.port}"

    def initialize(self) -> None:
        if self.primary is None:
            super().initialize()
        else:
            source = (
                "--dbname",
                self.primary.connection_info,
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
            )
            self.run(self.programs / "pg_basebackup", "--pgdata", self.directory / "data", *source)

    def position(self) -> int:
        """Return how much of its primary's log a standby has: what it received, or kept from before its last start."""
        # It looks for its primary when it has replayed all that it kept.
        wait_until(lambda: query(self.url, "SELECT pg_last_wal_receive_lsn() IS NOT NULL") == [(True,)])
        latest = "greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
        ((position,),) = query(self.url, f"SELECT pg_wal_lsn_diff({latest}, '0/0')")
        return int(position)

    def promote(self) -> None:
        execute(self.url, "SELECT pg_promote()")

    def follow(self, primary: "ReplicatedPostgresql") -> None:
        info = primary.connection_info.replace("'", "''")
        execute(self.url, f"ALTER SYSTEM SET primary_conninfo = '{info}'", "SELECT pg_reload_conf()")


class PostgresqlReplication:
    """Starts when it is entered, and is complete then."""

    def __init__(self, *, has_links: bool = False) -> None:
        """With `has_links`, servers and clients reach each server through its `link`."""
        programs = KIND.find_programs()
        if programs is None:
            give_up("postgresql", KIND.how_to_get_it)
        self.primary, *self.standbys = [ReplicatedPostgresql(programs) for _ in range(1 + _STANDBYS)]
        for standby in self.standbys:
            standby.primary, standby.password = self.primary, self.primary.password
        self._has_links = has_links
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            if self._has_links:
                add_links((self.primary, *self.standbys), ends)
            ends.enter_context(self.primary)
            for standby in self.standbys:
                ends.enter_context(standby)
            self.wait_for_standbys()
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, with the standbys first."""
        hosts = ",".join(f"127.0.0.1:{server.peer_port}" for server in (*self.standbys, self.primary))
        return f"postgresql://userport:{quote(self.primary.password, safe='')}@{hosts}/{database}"

    def wait_for_standbys(self) -> None:
        streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        wait_until(lambda: query(self.primary.url, streaming) == [(len(self.standbys),)])

    def fail_over(self) -> ReplicatedPostgresql:
        """Promote the standby that has received most of the log; return the former primary, which still runs."""
        former = self.primary
        self.primary, *self.standbys = sorted(self.standbys, key=ReplicatedPostgresql.position, reverse=True)
        self.primary.promote()
        for standby in self.standbys:
            standby.follow(self.primary)
        self.wait_for_standbys()
        return former
