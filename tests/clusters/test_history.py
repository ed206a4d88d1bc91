"""The history checker finds each anomaly that is planted, and none in a history without one."""

from dataclasses import replace
from typing import Final

import pytest

from tests.clusters.history import Content, History, Operation, State, Stored, anomalies, with_operations


def unknown(operation: Operation) -> Operation:
    """Return an operation of which the outcome is unknown; so is the user whom it created."""
    user_id = None if operation.kind == "create" else operation.user_id
    return replace(operation, status=503, code="storage_unavailable", user_id=user_id, version=None, content=None)


ANN: Final = Content("ann@example.org", "Ann")
ANNA: Final = Content("ann@example.org", "Anna")
ELSEWHERE: Final = Content("anna@example.org", "Anna")

CREATE: Final = Operation("create", 0, 1, 201, "ann", email=ANN.email, name="Ann", version=1, content=ANN)
PATCH: Final = Operation("patch", 2, 3, 200, "ann", name="Anna", version=2, content=ANNA)
MOVE: Final = replace(PATCH, email=ELSEWHERE.email, content=ELSEWHERE)
READ: Final = Operation("read", 4, 5, 200, "ann", version=2, content=ANNA)
READ_1: Final = replace(READ, version=1, content=ANN)
REMOVE: Final = Operation("remove", 6, 7, 204, "ann")
SIGN_IN: Final = Operation("sign_in", 2, 3, 200, "ann", session_id="s")
REFRESH: Final = Operation("refresh", 4, 5, 200, "ann", session_id="s", token="first")
REFUSED: Final = replace(REFRESH, started=20, ended=21, status=400)
UNKNOWN: Final = unknown(REFRESH)
SIGNED_IN: Final = (CREATE, SIGN_IN)
AT_1: Final = {"ann": Stored(ANN, 1)}
AT_2: Final = {"ann": Stored(ANNA, 2)}
MOVED: Final = {"ann": Stored(ELSEWHERE, 2)}

BEN: Final = Content("ben@example.org", "Ben")
BEN_AS_ANN: Final = Content(ANN.email, "Ben")
BEN_ELSEWHERE: Final = Content("ben@example.net", "Ben")
CREATE_BEN: Final = replace(CREATE, user_id="ben", email=BEN.email, name="Ben", content=BEN)
TAKE: Final = Operation("patch", 4, 5, 200, "ben", email=ANN.email, version=2, content=BEN_AS_ANN)
GIVE_UP: Final = replace(TAKE, started=6, ended=7, email=BEN_ELSEWHERE.email, version=3, content=BEN_ELSEWHERE)
BEN_AT_2: Final = {"ben": Stored(BEN_AS_ANN, 2)}
BEN_AT_3: Final = {"ben": Stored(BEN_ELSEWHERE, 3)}

RETURN: Final = replace(MOVE, started=8, ended=9, email=ANN.email, version=3, content=ANNA)
AT_3: Final = {"ann": Stored(ANNA, 3)}
TAKEN: Final = Operation("create", 10, 11, 409, email=ANN.email, name="Ann")

SOUND: Final[list[tuple[History, State]]] = [
    ([], {}),
    ([CREATE, PATCH, READ], AT_2),
    ([CREATE, PATCH, READ, REMOVE], {}),
    ([CREATE, unknown(PATCH), READ], AT_2),  # it was done
    ([CREATE, unknown(PATCH), READ_1], AT_1),
    ([CREATE, PATCH, replace(PATCH, status=412, if_match=1, version=None)], AT_2),
    (
        [
            CREATE,
            PATCH,
            unknown(REMOVE),
            replace(READ, started=8, ended=9, status=404, version=None),
        ],
        {},
    ),
    ([CREATE, PATCH, Operation("create", 2, 3, 409, email="ann@example.org")], AT_2),
    ([CREATE, PATCH, replace(READ_1, started=2.5)], AT_2),  # it began before the patch had ended
    ([CREATE, REMOVE, replace(CREATE, user_id="ben", started=8, ended=9)], {"ben": Stored(ANN, 1)}),
    ([*SIGNED_IN, REFRESH, replace(REFRESH, started=5, ended=6, token="second")], AT_1),
    ([*SIGNED_IN, REFRESH, replace(REFRESH, started=14, ended=14.9)], AT_1),  # a retry within the grace period
    ([*SIGNED_IN, REFRESH, REFUSED, replace(REFUSED, started=22, ended=23, token="second")], AT_1),  # it was used
    ([*SIGNED_IN, UNKNOWN, REFUSED], AT_1),
    ([*SIGNED_IN, UNKNOWN, replace(UNKNOWN, started=20, ended=21), replace(REFUSED, ended=25, token="second")], AT_1),
    ([*SIGNED_IN, REMOVE, REFUSED, replace(SIGN_IN, started=20, ended=21, status=400, session_id=None)], {}),
    ([*SIGNED_IN, unknown(REMOVE), REFUSED], {}),
    ([CREATE, replace(REMOVE, ended=10.5), TAKEN], {}),  # the removal had not ended
    ([CREATE, unknown(REMOVE), TAKEN], AT_1),
    ([CREATE, replace(MOVE, ended=10.5), TAKEN], MOVED),
    ([CREATE, MOVE, unknown(CREATE), TAKEN], MOVED),
    ([CREATE, CREATE_BEN, MOVE, TAKE, replace(READ, content=ELSEWHERE), TAKEN], {**MOVED, **BEN_AT_2}),
    ([CREATE, CREATE_BEN, MOVE, replace(TAKE, started=2.5)], {**MOVED, **BEN_AT_2}),  # at once
    ([CREATE, CREATE_BEN, MOVE, TAKE, GIVE_UP, RETURN], {**AT_3, **BEN_AT_3}),
    (  # Ben had it before Ann returned, and his response came later
        [CREATE, CREATE_BEN, MOVE, GIVE_UP, replace(RETURN, started=6.5), replace(TAKE, ended=10)],
        {**AT_3, **BEN_AT_3},
    ),
    (
        [
            CREATE_BEN,
            unknown(replace(REMOVE, user_id="ben", started=2, ended=3)),
            TAKE,
            replace(CREATE, started=8, ended=9),
        ],
        AT_1,
    ),
    ([CREATE, MOVE, RETURN, TAKEN], AT_3),
    ([CREATE, replace(PATCH, email=ANN.email)], AT_2),
    ([CREATE, replace(PATCH, ended=16.9)], AT_2),
]

PLANTED: Final[list[tuple[str, History, State]]] = [
    ("is lost", [CREATE, PATCH], {}),
    ("is lost", [CREATE, replace(REMOVE, status=503, code="too_busy")], {}),
    ("is at version 1, but version 2", [CREATE, PATCH], AT_1),
    ("although the removal was acknowledged", [CREATE, REMOVE], AT_1),
    ("2 users have the email", [CREATE], {**AT_2, "ben": Stored(ANN, 1)}),
    (
        "was given to two users",
        [CREATE, replace(CREATE, user_id="ben", started=8, ended=9)],
        {**AT_2, "ben": Stored(BEN, 1)},
    ),
    ("was given to two users", [CREATE, CREATE_BEN, TAKE, REMOVE], BEN_AT_2),
    ("was given to two users", [CREATE, CREATE_BEN, replace(MOVE, status=409), TAKE], {**AT_1, **BEN_AT_2}),
    (
        "was given to two users",
        [CREATE, CREATE_BEN, TAKE, replace(MOVE, started=6, ended=7)],
        {**MOVED, **BEN_AT_2},
    ),
    (
        "was given to two users",  # Ann came back before Ben moved
        [CREATE, CREATE_BEN, MOVE, TAKE, RETURN, replace(GIVE_UP, started=10, ended=11)],
        {**AT_3, **BEN_AT_3},
    ),
    (
        "was given to two users",  # she had moved and returned
        [CREATE, CREATE_BEN, MOVE, RETURN, replace(TAKE, started=10, ended=11)],
        {**AT_3, **BEN_AT_2},
    ),
    (
        "was given to two users",  # Ben gave it up soon
        [CREATE, CREATE_BEN, TAKE, replace(GIVE_UP, started=0.5)],
        {**AT_1, **BEN_AT_3},
    ),
    ("2 writes made version 2", [CREATE, PATCH, replace(PATCH, started=2.1)], AT_2),
    ("a patch of version 1 made version 3", [CREATE, replace(PATCH, if_match=1, version=3)], {"ann": Stored(ANNA, 3)}),
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
        AT_1,
    ),
    ("which was free", [CREATE, PATCH, Operation("create", 2, 3, 409, email="ben@example.org")], AT_2),
    ("which was free", [CREATE, REMOVE, TAKEN], {}),
    ("which was free", [CREATE, MOVE, TAKEN], MOVED),
    ("which was free", [CREATE, replace(PATCH, status=409, email=ANN.email, version=None)], AT_1),  # its own
    (
        "which was free",  # the outcome of taking it is unknown, but it was given up later
        [CREATE, CREATE_BEN, MOVE, unknown(TAKE), GIVE_UP, TAKEN],
        {**MOVED, **BEN_AT_3},
    ),
    (
        "which was free",  # she took it before she gave it up, although both ran at once
        [
            replace(CREATE, email=None),
            replace(RETURN, started=2, version=2),
            replace(MOVE, started=3, ended=9.5, version=3),
            TAKEN,
        ],
        {"ann": Stored(ELSEWHERE, 3)},
    ),
    (
        "which was free",
        [CREATE_BEN, unknown(replace(TAKE, ended=9)), replace(REMOVE, user_id="ben"), TAKEN],
        {},
    ),
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
    ("got no response in 1.0 s", [CREATE, PATCH, replace(READ, status=0, version=None)], AT_2),
    ("was answered after 15.1 s", [CREATE, replace(PATCH, ended=17.1)], AT_2),
    ("version 2 has 2 contents", [CREATE, PATCH, replace(READ, content=ANN)], AT_2),
    ("version 2 has 2 contents", [CREATE, PATCH], {"ann": Stored(ANN, 2)}),
    ("version 1 has 2 contents", [CREATE, replace(READ_1, content=ANNA), replace(READ_1, started=6, ended=7)], AT_1),
    ("with other content than it wrote", [CREATE, replace(PATCH, content=ANN)], {"ann": Stored(ANN, 2)}),
    ("with other content than it wrote", [CREATE, replace(MOVE, content=ANNA)], AT_2),
    ("503 without Retry-After", [CREATE, PATCH, Operation("read", 2, 3, 503, "ann", retry_after=False)], AT_2),
]


@pytest.mark.parametrize(("history", "state"), SOUND)
def test_a_sound_history_has_no_anomaly(history: History, state: State) -> None:
    assert anomalies(history, state) == []


def test_a_read_may_show_what_a_failover_undoes_where_that_is_allowed() -> None:
    unacknowledged = unknown(PATCH)
    history = [CREATE, unacknowledged, READ, replace(READ_1, started=8, ended=9)]
    assert anomalies(history, AT_1)
    assert anomalies(history, AT_1, durable_reads=False) == []
    history.append(replace(PATCH, started=10, ended=11))  # after the failover
    assert anomalies(history, AT_2)
    assert anomalies(history, AT_2, durable_reads=False) == []
    annie = Content(ANN.email, "Annie")
    history[-1] = replace(history[-1], name="Annie", content=annie)
    assert anomalies(history, {"ann": Stored(annie, 2)}, durable_reads=False) == []
    history[2] = replace(READ, content=Content(ANN.email, "Nobody"))  # that was never written
    assert anomalies(history, {"ann": Stored(annie, 2)}, durable_reads=False)
    history[1:3] = [READ, replace(PATCH, ended=13, version=3)]  # repeated after the failover
    assert anomalies(history, AT_3)
    assert anomalies(history, AT_3, durable_reads=False) == []


@pytest.mark.parametrize(("text", "history", "state"), PLANTED)
def test_a_planted_anomaly_is_found(text: str, history: History, state: State) -> None:
    assert any(text in found for found in anomalies(history, state))


def test_an_anomaly_is_shown_with_the_operations_on_what_it_names() -> None:
    history = [CREATE, CREATE_BEN, replace(REFRESH, status=500, token="secret-of-ann")]
    (anomaly,) = anomalies(history, {**AT_1, "ben": Stored(BEN, 1)})
    shown = with_operations(anomaly, history)
    assert anomaly in shown
    assert shown.count("user_id='ann'") == 2
    assert "ben" not in shown
    assert "secret" not in shown
    by_email = with_operations("2 users have the email ben@example.org", history)
    assert by_email.count("Operation(") == by_email.count("user_id='ben'") == 1
