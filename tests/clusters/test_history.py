"""The history checker finds each anomaly that is planted, and none in a history without one."""

from dataclasses import replace
from typing import Final

import pytest

from tests.clusters.history import History, Operation, State, Stored, anomalies, with_operations

CREATE: Final = Operation("create", 0, 1, 201, "ann", email="ann@example.org", version=1)
PATCH: Final = Operation("patch", 2, 3, 200, "ann", version=2)
READ: Final = Operation("read", 4, 5, 200, "ann", version=2)
REMOVE: Final = Operation("remove", 6, 7, 204, "ann")
SIGN_IN: Final = Operation("sign_in", 2, 3, 200, "ann", session_id="s")
REFRESH: Final = Operation("refresh", 4, 5, 200, "ann", session_id="s", token="first")
REFUSED: Final = replace(REFRESH, started=20, ended=21, status=400)
UNKNOWN: Final = replace(REFRESH, status=503, code="storage_unavailable")
SIGNED_IN: Final = (CREATE, SIGN_IN)
AT_1: Final = {"ann": Stored("ann@example.org", 1)}
AT_2: Final = {"ann": Stored("ann@example.org", 2)}

SOUND: Final[list[tuple[History, State]]] = [
    ([], {}),
    ([CREATE, PATCH, READ], AT_2),
    ([CREATE, PATCH, READ, REMOVE], {}),
    ([CREATE, replace(PATCH, status=503, code="storage_unavailable", version=None), READ], AT_2),  # it was done
    ([CREATE, replace(PATCH, status=0, version=None), replace(READ, version=1)], {"ann": Stored("ann@example.org", 1)}),
    ([CREATE, PATCH, replace(PATCH, status=412, if_match=1, version=None)], AT_2),
    (
        [
            CREATE,
            PATCH,
            replace(REMOVE, status=503, code="storage_unavailable"),
            replace(READ, started=8, ended=9, status=404, version=None),
        ],
        {},
    ),
    ([CREATE, PATCH, Operation("create", 2, 3, 409, email="ann@example.org")], AT_2),
    ([CREATE, PATCH, replace(READ, started=2.5, version=1)], AT_2),  # it began before the patch had ended
    ([CREATE, REMOVE, replace(CREATE, user_id="ben", started=8, ended=9)], {"ben": Stored("ann@example.org", 1)}),
    ([*SIGNED_IN, REFRESH, replace(REFRESH, started=5, ended=6, token="second")], AT_1),
    ([*SIGNED_IN, REFRESH, replace(REFRESH, started=14, ended=14.9)], AT_1),  # a retry within the grace period
    ([*SIGNED_IN, REFRESH, REFUSED, replace(REFUSED, started=22, ended=23, token="second")], AT_1),  # it was used
    ([*SIGNED_IN, UNKNOWN, REFUSED], AT_1),
    ([*SIGNED_IN, UNKNOWN, replace(UNKNOWN, started=20, ended=21), replace(REFUSED, ended=25, token="second")], AT_1),
    ([*SIGNED_IN, REMOVE, REFUSED, replace(SIGN_IN, started=20, ended=21, status=400, session_id=None)], {}),
    ([*SIGNED_IN, replace(REMOVE, status=0), REFUSED], {}),
]

PLANTED: Final[list[tuple[str, History, State]]] = [
    ("is lost", [CREATE, PATCH], {}),
    ("is lost", [CREATE, replace(REMOVE, status=503, code="too_busy")], {}),
    ("is at version 1, but version 2", [CREATE, PATCH], {"ann": Stored("ann@example.org", 1)}),
    ("although the removal was acknowledged", [CREATE, REMOVE], {"ann": Stored("ann@example.org", 1)}),
    ("2 users have the email", [CREATE], {**AT_2, "ben": Stored("ann@example.org", 1)}),
    (
        "was given to two users",
        [CREATE, replace(CREATE, user_id="ben", started=8, ended=9)],
        {**AT_2, "ben": Stored("x", 1)},
    ),
    ("2 writes made version 2", [CREATE, PATCH, replace(PATCH, started=2.1)], AT_2),
    ("a patch of version 1 made version 3", [CREATE, replace(PATCH, if_match=1, version=3)], {"ann": Stored("x", 3)}),
    ("version 2 was read, but it is at version 1", [CREATE, READ], AT_1),
    ("a read answered version 1 after a patch of version 2", [CREATE, PATCH, replace(READ, version=1)], AT_2),
    (
        "a patch answered version 2 after a patch of version 2",
        [CREATE, PATCH, replace(PATCH, started=4, ended=5)],
        AT_2,
    ),
    ("a read succeeded after the removal", [CREATE, REMOVE, replace(READ, started=8, ended=9)], {}),
    ("404 without a removal", [CREATE, PATCH, replace(READ, status=404, version=None)], AT_2),
    (
        "refused without a newer one",
        [CREATE, replace(PATCH, status=412, if_match=1, version=None)],
        {"ann": Stored("x", 1)},
    ),
    ("which was free", [CREATE, PATCH, Operation("create", 2, 3, 409, email="ben@example.org")], AT_2),
    ("session s: is lost", [*SIGNED_IN, replace(REFRESH, status=400)], AT_1),
    ("session s: is lost", [*SIGNED_IN, REFRESH, replace(REFUSED, token="second")], AT_1),
    ("session s: is lost", [*SIGNED_IN, REFRESH, replace(REFRESH, started=13, ended=13.9, status=400)], AT_1),
    ("session s: is lost", [*SIGNED_IN, replace(UNKNOWN, code="too_busy"), REFUSED], AT_1),
    ("a refresh token was accepted twice", [*SIGNED_IN, REFRESH, replace(REFRESH, started=15.1, ended=16)], AT_1),
    (
        "succeeded after a used token had ended the session",
        [*SIGNED_IN, REFRESH, REFUSED, replace(REFRESH, started=22, ended=23, token="second")],
        AT_1,
    ),
    ("a refresh succeeded after the removal", [*SIGNED_IN, REMOVE, replace(REFRESH, started=8, ended=9)], {}),
    ("a sign_in succeeded after the removal", [CREATE, REMOVE, replace(SIGN_IN, started=8, ended=9)], {}),
    ("a sign_in was refused without a removal", [CREATE, replace(SIGN_IN, status=400)], AT_1),
    ("answered with 400", [CREATE, PATCH, replace(READ, status=400, version=None)], AT_2),
    (
        "refused without a newer one",
        [*SIGNED_IN, replace(PATCH, started=4, ended=5, status=412, if_match=1, version=None)],
        AT_1,
    ),
    ("answered with 500", [CREATE, PATCH, replace(READ, status=500, version=None)], AT_2),
    ("503 without Retry-After", [CREATE, PATCH, Operation("read", 2, 3, 503, "ann", retry_after=False)], AT_2),
]


@pytest.mark.parametrize(("history", "state"), SOUND)
def test_a_sound_history_has_no_anomaly(history: History, state: State) -> None:
    assert anomalies(history, state) == []


def test_a_read_may_show_what_a_failover_undoes_where_that_is_allowed() -> None:
    unacknowledged = replace(PATCH, status=0, version=None)
    history = [CREATE, unacknowledged, READ, replace(READ, started=8, ended=9, version=1)]
    state = {"ann": Stored("ann@example.org", 1)}
    assert anomalies(history, state)
    assert anomalies(history, state, durable_reads=False) == []
    history.append(replace(PATCH, started=10, ended=11))  # after the failover
    assert anomalies(history, AT_2)
    assert anomalies(history, AT_2, durable_reads=False) == []


@pytest.mark.parametrize(("text", "history", "state"), PLANTED)
def test_a_planted_anomaly_is_found(text: str, history: History, state: State) -> None:
    assert any(text in found for found in anomalies(history, state))


def test_an_anomaly_is_shown_with_the_operations_on_what_it_names() -> None:
    ben = replace(CREATE, user_id="ben", email="ben@example.org")
    history = [CREATE, ben, replace(REFRESH, status=500, token="secret-of-ann")]
    (anomaly,) = anomalies(history, {**AT_1, "ben": Stored("ben@example.org", 1)})
    shown = with_operations(anomaly, history)
    assert anomaly in shown
    assert shown.count("user_id='ann'") == 2
    assert "ben" not in shown
    assert "secret" not in shown
    by_email = with_operations("2 users have the email ben@example.org", history)
    assert by_email.count("Operation(") == by_email.count("user_id='ben'") == 1
