from typing import Final, Literal

from fastapi import Request, Response
from pydantic import BaseModel

from entrypoints.http.dependencies import container_of
from entrypoints.http.problems import DRAINING, problem_response
from entrypoints.http.responses import HEALTHY, error_responses
from entrypoints.http.routing import create_router

router: Final = create_router(prefix="/health", tags=["health"])


class Health(BaseModel):
    """The service is healthy."""

    status: Literal["ok"]


@router.get("/live", response_model=Health, responses=HEALTHY | error_responses(uses_storage=False))
async def check_liveness() -> Response:
    """Return 200 while the process runs."""
    return _healthy()


@router.get("/ready", response_model=Health, responses=HEALTHY | error_responses(DRAINING))
async def check_readiness(request: Request) -> Response:
    """Return 200 when the storage answers and the process is not about to stop."""
    if request.scope["state"].get(DRAINING.code):
        return problem_response(request.scope, *DRAINING)
    await container_of(request).storage().ping()
    return _healthy()


def _healthy() -> Response:
    return Response(
        Health(status="ok").model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json"
    )
