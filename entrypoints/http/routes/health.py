from typing import Final, Literal

from fastapi import Request, Response
from pydantic import BaseModel

from entrypoints.http.app_state import container_of
from entrypoints.http.openapi import HEALTHY, error_responses
from entrypoints.http.routing import create_router

router: Final = create_router(prefix="/health", tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


# Liveness asks no storage, so there is nothing that could be away.
_ALIVE: Final = {status: answer for status, answer in (HEALTHY | error_responses()).items() if status != 503}


@router.get("/live", response_model=Health, responses=_ALIVE)
async def check_liveness() -> Response:
    """Answer as long as the process runs."""
    return _well()


@router.get("/ready", response_model=Health, responses=HEALTHY | error_responses())
async def check_readiness(request: Request) -> Response:
    """Answer when the storage does, too."""
    await container_of(request).storage().ping()
    return _well()


def _well() -> Response:
    return Response(Health().model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json")
