from starlette.types import ASGIApp, Receive, Scope, Send

from application.jobs.traffic import Traffic


class TrafficMiddleware:
    """Counts requests, to which background jobs give way."""

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._traffic.add_request()
        await self._app(scope, receive, send)
