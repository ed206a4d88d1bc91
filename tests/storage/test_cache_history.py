"""No read through the cache is stale, and the search for stale reads finds the bugs that are planted."""

import pytest

from entrypoints.cli.session import run_async
from tests.servers.databases import Databases
from tests.storage.cache_history import (
    MAX_AGE_SECONDS,
    Bug,
    Commit,
    History,
    Read,
    is_excused,
    prepare,
    record_history,
    stale_reads,
)

READS = 12_000
MINUTES = 0.2
"""The longest that a busy machine may take for them."""


def test_a_read_is_stale_that_misses_a_commit_answered_before_it_began() -> None:
    commits = [Commit("ann", 1, 1.0), Commit("ann", 2, 2.0), Commit("ann", 3, 3.0), Commit("ben", 9, 1.0)]
    missing, fresh, ahead = Read("ann", 1, 3.5), Read("ann", 2, 3.0), Read("ann", 4, 3.5)
    assert stale_reads(History(commits, [missing, fresh, ahead, Read("cat", 1, 9.0)])) == [(missing, 1.5)]


def recorded(databases: Databases, *, faults: bool = False, bug: Bug | None = None) -> History:
    with databases.own_server("redis") as redis, databases.fresh("sqlite") as url:
        run_async(prepare(url))
        return record_history(redis, url, READS, minutes=MINUTES, faults=faults, bug=bug)


@pytest.mark.slow
def test_no_read_is_stale_while_redis_answers_and_none_by_more_than_two_seconds_otherwise(databases: Databases) -> None:
    history = recorded(databases, faults=True)
    assert history.lookups["hit"]
    assert history.faults
    stale = stale_reads(history)
    assert [(read, lag) for read, lag in stale if not is_excused(history, read) or lag > MAX_AGE_SECONDS] == []


@pytest.mark.slow
@pytest.mark.parametrize("bug", ["invalidates nothing", "forgets what a removed user owned"])
def test_a_planted_bug_is_found(databases: Databases, bug: Bug) -> None:
    assert stale_reads(recorded(databases, bug=bug))
