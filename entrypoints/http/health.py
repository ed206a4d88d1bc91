from typing import Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from entrypoints.http.dependencies import container_of
from entrypoints.http.openapi import HEALTHY, refusals

router: Final = APIRouter(prefix="/health", tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


# Liveness asks no storage, so there is nothing that could be away.
_ALIVE: Final = {status: answer for status, answer in (HEALTHY | refusals()).items() if status != 503}


@router.get("/live", name="check_liveness", responses=_ALIVE)
async def check_liveness(response: Response) -> Health:
    """Answer as long as the process runs."""
    response.headers["Cache-Control"] = "no-store"
    return Health()


@router.get("/ready", name="check_readiness", responses=HEALTHY | refusals())
async def check_readiness(request: Request, response: Response) -> Health:
    """Answer when the storage does, too."""
    response.headers["Cache-Control"] = "no-store"
    await container_of(request).storage().ping()
    return Health()
