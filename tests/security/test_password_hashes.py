import asyncio
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import argon2
import argon2.low_level
import bcrypt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import adapters.security.hash_formats.argon2 as argon2_format
from adapters.security.password_hasher import ThreadedPasswordHasher
from domain.errors import TooBusy
from domain.values import Password
from tests.security.known_hashes import AT_THEIR_MAKERS_COST, LONG, MADE, PLAIN, KnownHash

RIGHT: Final = Password(PLAIN)
WRONG: Final = Password(f"{PLAIN}!")

# One of each format, as cheap as the format allows.
ARGON2: Final = "$argon2id$v=19$m=64,t=1,p=1$2nvPudfam1Oqda6VEuJc6w$0FBdv7jYXG0PUJmTTnTcWRia5rtfN1Ict3WElYwuxfQ"
BCRYPT: Final = "$2b$04$Vn/mDEZWmko8pUjHLxVGQeA6fAJ8rb.L59vlhVSynOCfRH458DmmS"
DJANGO_SCRYPT: Final = "scrypt$2$saltsalt$8$1$U5olOiJCRWr3FNz0hp6KAcsS4C652btuYWQH5Jx00BI="
PHC_SCRYPT: Final = "$scrypt$ln=1,r=8,p=1$sXauNSYkJGTsXQvB2FsrpQ$GXwdGQg+54Qo3wy4OXuCN1MSkfuAzAYSNR2MrXeyynQ"
PBKDF2: Final = "pbkdf2_sha256$1$saltsalt$pDfYWHCMth90al8KprABots5jUOon8lCZsXSRm7M6y0="


@pytest.fixture(scope="module")
def hasher() -> ThreadedPasswordHasher:
    return ThreadedPasswordHasher()


@pytest.fixture(scope="module")
def quick_hasher() -> ThreadedPasswordHasher:
    """A hasher whose own hashes, which also stand in for unreadable ones, are cheap."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "adapters.security.password_hasher.PasswordHasher",
            lambda **costs: argon2.PasswordHasher(**{**costs, "time_cost": 1, "memory_cost": 64}),
        )
        return ThreadedPasswordHasher()


# Supported hashes


async def test_a_password_verifies_against_its_own_hash_alone(hasher: ThreadedPasswordHasher) -> None:
    made = await hasher.hash(RIGHT)
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert made != await hasher.hash(RIGHT)
    assert await hasher.verify(RIGHT, made)
    assert not await hasher.verify(WRONG, made)
    assert hasher.can_verify(made)
    assert not hasher.is_outdated(made)


@pytest.mark.parametrize(
    "made",
    [*MADE, *(pytest.param(made, marks=pytest.mark.slow) for made in AT_THEIR_MAKERS_COST)],
    ids=lambda made: f"{made.maker}: {made.password_hash[:24]}",
)
async def test_hashes_that_others_made_verify(hasher: ThreadedPasswordHasher, made: KnownHash) -> None:
    assert hasher.can_verify(made.password_hash)
    assert await hasher.verify(Password(made.password), made.password_hash)
    assert not await hasher.verify(Password(f"!{made.password}"), made.password_hash)


async def test_bcrypt_reads_72_bytes_and_no_form_around_it_less(hasher: ThreadedPasswordHasher) -> None:
    longer = Password(f"{LONG} and more")
    for made in MADE:
        if made.password == LONG:
            is_plain_bcrypt = made.password_hash.startswith(("$2", "bcrypt$"))
            assert await hasher.verify(longer, made.password_hash) is is_plain_bcrypt


@pytest.mark.parametrize("guess", ["a\0a", "a\0b", "a\0", "\0", "a" + "\0" * 80])
async def test_a_nul_makes_no_other_password_good_for_bcrypt(hasher: ThreadedPasswordHasher, guess: str) -> None:
    for password in (b"a", b"a\0a"):
        made = bcrypt.hashpw(password, bcrypt.gensalt(4)).decode()
        assert not await hasher.verify(Password(guess), made)


async def test_a_nul_is_a_character_like_others_elsewhere(hasher: ThreadedPasswordHasher) -> None:
    made = await hasher.hash(Password("some\0thing"))
    assert await hasher.verify(Password("some\0thing"), made)
    assert not await hasher.verify(Password("some"), made)


# Rejected hashes


def with_parts(password_hash: str, **parts: str) -> str:
    for old, new in parts.items():
        name = old.rstrip("_")
        assert f"{name}=" in password_hash
        value = password_hash.partition(f"{name}=")[2].partition(",")[0].partition("$")[0]
        password_hash = password_hash.replace(f"{name}={value}", f"{name}={new}")
    return password_hash


@pytest.mark.parametrize("cheapest", [ARGON2, BCRYPT, DJANGO_SCRYPT, PHC_SCRYPT, PBKDF2])
def test_the_cheapest_of_each_form_is_known(hasher: ThreadedPasswordHasher, cheapest: str) -> None:
    assert hasher.can_verify(cheapest)


@pytest.mark.parametrize(
    "affordable",
    [
        with_parts(ARGON2, m="262144", t="16", p="8"),
        BCRYPT.replace("$04$", "$15$"),
        DJANGO_SCRYPT.replace("$2$", "$262144$").replace("$1$", "$4$"),
        with_parts(PHC_SCRYPT, ln="17", r="8", p="8"),
        with_parts(PHC_SCRYPT, ln="14", r="8", p="16"),
        PBKDF2.replace("$1$", "$5000000$"),
    ],
)
def test_what_costs_some_seconds_is_bearable(hasher: ThreadedPasswordHasher, affordable: str) -> None:
    assert hasher.can_verify(affordable)


TOO_EXPENSIVE: Final = [
    with_parts(ARGON2, m="262145"),
    with_parts(ARGON2, m="63"),
    with_parts(ARGON2, t="17"),
    with_parts(ARGON2, p="9"),
    with_parts(ARGON2, m="9" * 400),
    BCRYPT.replace("$04$", "$16$"),
    BCRYPT.replace("$04$", "$31$"),
    BCRYPT.replace("$04$", "$03$"),
    DJANGO_SCRYPT.replace("$2$", "$524288$"),
    DJANGO_SCRYPT.replace("$8$", "$33$"),
    DJANGO_SCRYPT.replace("$1$", "$17$"),
    with_parts(PHC_SCRYPT, ln="19"),
    with_parts(PHC_SCRYPT, ln="18", r="9"),
    with_parts(PHC_SCRYPT, ln="18", p="5"),
    with_parts(PHC_SCRYPT, ln="99", r="99", p="99"),
    PBKDF2.replace("$1$", "$5000001$"),
    PBKDF2.replace("$1$", "$99999999$"),
]

MALFORMED: Final = [
    "",
    "secret",
    "!",
    f" {ARGON2}",
    f"{ARGON2}\n",
    f"{ARGON2}=",
    ARGON2[:-1] + "R",  # unused bits that are not zero
    ARGON2[:-2] + "x",  # not a whole number of bytes
    ARGON2.replace("v=19", "v=20"),
    ARGON2.replace("m=64", "m=064"),
    ARGON2.replace("p=1", "p=1,data=AAAA"),
    ARGON2.replace("$2nvPudfam1Oqda6VEuJc6w", "$2nvP"),
    ARGON2.replace("2nvP", "2nv\u00e9"),
    ARGON2.replace("m=64", "m=\u0666\u0664"),
    f"django{ARGON2}",
    f"bcrypt${ARGON2}",
    BCRYPT.replace("$2b$", "$2x$"),
    BCRYPT.replace("$2b$", "$2$"),
    BCRYPT.replace("VGQe", "VGQf"),
    f"{BCRYPT[:-1]}T",
    BCRYPT[:-1],
    f"{BCRYPT}.",
    f"bcrypt_sha1${BCRYPT}",
    DJANGO_SCRYPT.replace("$2$", "$3$"),
    DJANGO_SCRYPT.replace("$2$", "$1$"),
    DJANGO_SCRYPT.replace("$saltsalt$", "$$"),
    DJANGO_SCRYPT.replace("saltsalt", "s" * 129),
    DJANGO_SCRYPT.replace("saltsalt", "salt salt"),
    with_parts(PHC_SCRYPT, ln="16", r="1"),  # RFC 7914, section 2: less than 2^(128 · r / 8)
    with_parts(PHC_SCRYPT, ln="0"),
    PBKDF2.replace("$1$", "$0$"),
    PBKDF2.replace("$1$", "$-1$"),
    PBKDF2.replace("sha256", "sha1"),
    PBKDF2.replace("sha256", "md5"),
    PBKDF2.replace("=", ""),
    "md5$salt$7edde3da10a9ac5b9a1a2a9ee1b1f1a1",
    "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68OTLiBFdcbYEdFCoEOfaS35inz1",
    "x" * 513,
    "\ud800",
]


async def test_what_is_malformed_or_too_dear_is_known_beforehand_and_never_verifies(
    hasher: ThreadedPasswordHasher, quick_hasher: ThreadedPasswordHasher
) -> None:
    for text in (*TOO_EXPENSIVE, *MALFORMED):
        assert not hasher.can_verify(text), text
        assert hasher.is_outdated(text), text
        assert not await quick_hasher.verify(RIGHT, text), text


hashes = st.one_of(
    st.text(max_size=600),
    st.sampled_from([ARGON2, BCRYPT, DJANGO_SCRYPT, PHC_SCRYPT, PBKDF2, f"bcrypt_sha256${BCRYPT}", f"argon2{ARGON2}"]),
    st.builds(
        # Cheap hashes with a small change, which still have their format, or nearly.
        lambda whole, at, put: whole[: at % len(whole)] + put + whole[at % len(whole) + 1 :],
        st.sampled_from([ARGON2, BCRYPT, DJANGO_SCRYPT, PHC_SCRYPT, PBKDF2]),
        st.integers(min_value=14, max_value=120),
        st.sampled_from(["", "$", "=", "/", ".", "+", "1", "a", "Z", "\0", "\u00e9"]),
    ),
)


@settings(max_examples=60, deadline=None)
@example(password_hash=ARGON2, secret="\0" * 300)
@given(password_hash=hashes, secret=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
async def test_no_stored_text_and_no_password_makes_verifying_raise(
    hasher: ThreadedPasswordHasher, quick_hasher: ThreadedPasswordHasher, password_hash: str, secret: str
) -> None:
    assert not await quick_hasher.verify(Password(secret), password_hash)
    assert hasher.can_verify(password_hash) or hasher.is_outdated(password_hash)


# Equal time with and without a user


@pytest.mark.parametrize("stored", [None, "no hash at all", *TOO_EXPENSIVE[:2]])
async def test_an_unknown_user_takes_the_same_work_as_a_known_one(
    hasher: ThreadedPasswordHasher, monkeypatch: pytest.MonkeyPatch, stored: str | None
) -> None:
    done: list[tuple[object, ...]] = []

    def spy(password: bytes, salt: bytes, *cost: Any) -> bytes:
        done.append((password, len(salt), *cost))
        return argon2.low_level.hash_secret_raw(password, salt, *cost)

    made = await hasher.hash(RIGHT)
    monkeypatch.setattr(argon2_format, "hash_secret_raw", spy)
    assert await hasher.verify(RIGHT, made)
    assert not await hasher.verify(RIGHT, stored)
    known_seconds, unknown_seconds = done
    assert unknown_seconds == known_seconds


# Outdated hashes


def test_what_is_weaker_than_today_is_outdated(hasher: ThreadedPasswordHasher) -> None:
    today = with_parts(ARGON2, m="19456", t="2")
    stronger = with_parts(ARGON2, m="65536", t="3", p="4")
    assert [hasher.is_outdated(fine) for fine in (today, stronger, f"argon2{today}")] == [False] * 3
    weaker = [
        with_parts(today, m="19455"),
        with_parts(today, t="1"),
        today.replace("v=19", "v=16"),
        today.replace("argon2id", "argon2i"),
        today.replace("argon2id", "argon2d"),
        today.replace("WRia5rtfN1Ict3WElYwuxfQ", "WQ"),  # a shorter digest
        today.replace("$2nvPudfam1Oqda6VEuJc6w", "$2nvPudfam1M"),  # a shorter salt
    ]
    assert all(hasher.can_verify(weak) for weak in weaker)
    assert all(hasher.is_outdated(weak) for weak in weaker)


@pytest.mark.parametrize("form", [BCRYPT, DJANGO_SCRYPT, PHC_SCRYPT, PBKDF2])
def test_every_other_form_is_outdated(hasher: ThreadedPasswordHasher, form: str) -> None:
    assert hasher.is_outdated(form)


# Threads


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Make every check block until this event is set."""
    finish = threading.Event()

    def wait(*_: object) -> bytes:
        finish.wait(10)
        return b""

    monkeypatch.setattr(argon2_format, "hash_secret_raw", wait)
    yield finish
    finish.set()


async def test_few_work_some_wait_and_the_rest_is_refused(slow: threading.Event) -> None:
    hasher = ThreadedPasswordHasher()
    asked = [asyncio.create_task(hasher.verify(RIGHT, None)) for _ in range(100)]
    _, waiting = await asyncio.wait(asked, timeout=0.2)
    at_work = max(1, len(os.sched_getaffinity(0)) // 2)
    assert len(waiting) == at_work + 64
    with pytest.raises(TooBusy):
        await hasher.hash(RIGHT)
    slow.set()
    ended = Counter(type(result) for result in await asyncio.gather(*asked, return_exceptions=True))
    assert ended == {bool: at_work + 64, TooBusy: 100 - at_work - 64}
    assert not await hasher.verify(RIGHT, None)


async def test_a_cancelled_call_makes_room(slow: threading.Event) -> None:
    hasher = ThreadedPasswordHasher()
    asked = [asyncio.create_task(hasher.verify(RIGHT, None)) for _ in range(60)]
    await asyncio.wait(asked, timeout=0.1)
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)
    slow.set()
    assert not await asyncio.wait_for(hasher.verify(RIGHT, None), 5)


# Elsewhere the hasher does not change the priority: only on Linux does a thread have a nice value of its own
# (setpriority(2), "C library/kernel differences"); on other systems, lowering it would slow down the whole process.
@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
async def test_its_threads_give_way_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    seen: list[int] = []

    def look(*_: object) -> bytes:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return b""

    monkeypatch.setattr(argon2_format, "hash_secret_raw", look)
    await ThreadedPasswordHasher().verify(RIGHT, None)
    assert seen == [min(before + 10, 19)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before  # the caller's thread


async def test_other_tasks_run_at_the_same_time(hasher: ThreadedPasswordHasher) -> None:
    checks = asyncio.gather(*(hasher.verify(RIGHT, None) for _ in range(5)))
    turns = 0
    while not checks.done():
        await asyncio.sleep(0.001)
        turns += 1
    await checks
    assert turns > 4 * 5  # in the event loop's own thread, a check would leave only a turn or two to others


async def test_a_bcrypt_hash_is_not_renewed_by_a_password_whose_end_it_never_saw() -> None:
    hasher = ThreadedPasswordHasher()
    old = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert await hasher.verify(Password("x" * 72 + "wrong"), old)
    assert hasher.is_outdated(old)
    assert hasher.is_outdated(old, Password("x" * 72))
    assert not hasher.is_outdated(old, Password("x" * 72 + "wrong"))
