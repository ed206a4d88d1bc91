from adapters.metrics.metrics import Metrics
from application.sessions.token_issuer import TokenPair
from application.sign_in.attempt import ClientInfo
from application.sign_in.service import SignInService
from domain.errors import InvalidCredentials, InvalidRefreshToken, RefreshTokenReused, TooManyFailures


class MeasuredSignIns:
    """Counts the outcomes of sign-ins and refreshes; wraps the service. Overloads and outages are not counted."""

    def __init__(self, inner: SignInService, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def sign_in(self, name: str, password: str, client: ClientInfo) -> TokenPair:
        try:
            tokens = await self._inner.sign_in(name, password, client)
        except InvalidCredentials:
            self._metrics.count_sign_in("failure")
            raise
        except TooManyFailures:
            self._metrics.count_sign_in("throttled")
            raise
        self._metrics.count_sign_in("success")
        return tokens

    async def refresh(self, token: str) -> TokenPair:
        try:
            tokens = await self._inner.refresh(token)
        except InvalidRefreshToken as error:
            self._metrics.count_refresh("reused" if isinstance(error, RefreshTokenReused) else "failure")
            raise
        self._metrics.count_refresh("repeated" if tokens.is_repeated else "success")
        return tokens

    async def revoke(self, token: str) -> None:
        await self._inner.revoke(token)
