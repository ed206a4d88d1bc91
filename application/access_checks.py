"""Who it is that sends an access token."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from application.callers import Caller
from application.ports import Access, Clock, TokenSigner
from domain.errors import DomainError, InvalidAccessToken
from domain.session import SESSIONS
from domain.storage import Storage
from domain.user import Role

_SECONDS_REMEMBERED: Final = 0.5
_MOST_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Remembered:
    access: Access
    caller: Caller | None = None
    failure: DomainError | None = None
    checked_at: float = -float("inf")
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class AccessChecks:
    """Tells who a token speaks for, and whether they may still come in.

    A token is verified once; its session and its user are read again when they were last read half a second ago. So
    whatever ends a session, disables a user or takes a role away works within that time in every process, and
    a busy token costs two reads a second. Nothing that has to be known is taken for granted while the storage is away.
    """

    def __init__(
        self, storage: Storage, clock: Clock, signer: TokenSigner, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._signer = signer
        self._monotonic = monotonic
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()

    async def caller(self, token: str, *, anew: bool = False) -> Caller:
        """Tell who a token speaks for; `anew`, for what matters most, by what is so now.

        Raises `InvalidAccessToken`, and what the storage port may raise.
        """
        came = self._monotonic()
        known = self._remembered.get(token)
        now = self._clock.now()
        if known is None:
            known = _Remembered(self._signer.verify(token, now))
            self._remember(token, known)
        elif now >= known.access.expires_at:
            self._remembered.pop(token, None)
            raise InvalidAccessToken
        if not anew and (caller := self._fresh(known)) is not None:
            return caller
        async with known.turn:
            # Requests that come together learn it from one reading, also when it fails or takes long: if each waited
            # for one of its own, after the others', a storage that is away would keep the last of them for minutes.
            if known.checked_at < came and (anew or self._fresh(known) is None):
                await self._check(known)
            caller, failure = known.caller, known.failure
        if failure is not None:
            raise failure.with_traceback(None)  # or it would grow by what each of them adds
        if caller is None:
            self._remembered.pop(token, None)
            raise InvalidAccessToken
        return caller

    def _fresh(self, known: _Remembered) -> Caller | None:
        return known.caller if self._monotonic() - known.checked_at < _SECONDS_REMEMBERED else None

    async def _check(self, known: _Remembered) -> None:
        begun = self._monotonic()
        try:
            known.caller, known.failure = await self._read(known.access), None
        except DomainError as failure:
            known.caller, known.failure = None, failure
        known.checked_at = begun

    async def _read(self, access: Access) -> Caller | None:
        unit = self._storage.unit_of_work()
        session, user = await asyncio.gather(
            unit.records(SESSIONS).get(access.session_id), unit.users.get(access.user_id)
        )
        if session is None or session.user_id != access.user_id or session.has_expired(self._clock.now()):
            return None
        if user is None or not user.active:
            return None
        return Caller(user.id, session.id, user.role is Role.ADMIN)

    def _remember(self, token: str, known: _Remembered) -> None:
        self._remembered[token] = known
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)
