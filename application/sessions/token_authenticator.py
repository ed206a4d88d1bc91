"""Authenticate requests by access token."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from application.ports import AccessTokenClaims, Clock, TokenSigner
from application.principal import Principal
from domain.errors import DomainError, InvalidAccessToken
from domain.session import SESSIONS
from domain.storage import Storage
from domain.user import Role

_CACHE_SECONDS: Final = 0.5
_MAX_CACHED_TOKENS: Final = 10_000


@dataclass(slots=True)
class _CachedToken:
    """A verified token, and the result of the last read of its session and user."""

    claims: AccessTokenClaims
    principal: Principal | None = None
    failure: DomainError | None = None
    checked_at: float = -float("inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class TokenAuthenticator:
    """Authenticates access tokens, and notices a revocation within half a second.

    A token's signature is verified once. Its session and user are read again after half a second. Ending a session,
    disabling a user or removing a role therefore takes effect within that time in every process, and a busy token costs
    two reads a second. Once the cached result expires, a storage outage fails the request.
    """

    def __init__(
        self, storage: Storage, clock: Clock, signer: TokenSigner, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._signer = signer
        self._monotonic = monotonic
        self._cache: OrderedDict[str, _CachedToken] = OrderedDict()

    async def authenticate(self, token: str, *, bypass_cache: bool = False) -> Principal:
        """Return the principal that a token authenticates.

        With `bypass_cache`, session and user are always read.

        Raises:
            InvalidAccessToken: The token is malformed, forged, expired or revoked.
            StorageUnavailable: The storage cannot be read; or any other error of the storage port.
        """
        arrived_at = self._monotonic()
        cached = self._cache.get(token)
        now = self._clock.now()
        if cached is None:
            cached = _CachedToken(self._signer.verify(token, now))
            self._add(token, cached)
        elif now >= cached.claims.expires_at:
            self._cache.pop(token, None)
            raise InvalidAccessToken
        if not bypass_cache and (principal := self._fresh(cached)) is not None:
            return principal
        async with cached.lock:
            # Concurrent requests share one read, even if it fails or is slow. With a read each, one after another, an
            # unreachable storage would block the last request for minutes.
            if cached.checked_at < arrived_at and (bypass_cache or self._fresh(cached) is None):
                await self._refresh(cached)
            principal, failure = cached.principal, cached.failure
        if failure is not None:
            raise failure.with_traceback(None)  # the instance is shared, and each raise extends its traceback
        if principal is None:
            self._cache.pop(token, None)
            raise InvalidAccessToken
        return principal

    def verify_again(self) -> None:
        """Discard all cached verifications, after the keys have changed."""
        self._cache.clear()

    def _fresh(self, cached: _CachedToken) -> Principal | None:
        return cached.principal if self._monotonic() - cached.checked_at < _CACHE_SECONDS else None

    async def _refresh(self, cached: _CachedToken) -> None:
        started_at = self._monotonic()
        try:
            cached.principal, cached.failure = await self._read(cached.claims), None
            cached.checked_at = started_at
        except DomainError as failure:
            cached.principal, cached.failure = None, failure
            cached.checked_at = self._monotonic()  # callers that waited share the failure

    async def _read(self, claims: AccessTokenClaims) -> Principal | None:
        unit = self._storage.unit_of_work()
        sessions = unit.records(SESSIONS)
        session, user = await asyncio.gather(sessions.get(claims.session_id), unit.users.get(claims.user_id))
        if session is None or session.user_id != claims.user_id or session.has_expired(self._clock.now()):
            return None
        if user is None or not user.active:
            return None
        return Principal(user.id, session.id, user.role is Role.ADMIN)

    def _add(self, token: str, cached: _CachedToken) -> None:
        self._cache[token] = cached
        if len(self._cache) > _MAX_CACHED_TOKENS:
            self._cache.popitem(last=False)
