from typing import Final

from fastapi import Depends, Response

from entrypoints.http.authentication import CurrentPrincipal, signed_in_principal
from entrypoints.http.dependencies import OwnId, OwnSessions, SessionIdInPath
from entrypoints.http.openapi import OWN_SESSIONS, REMOVED, error_responses
from entrypoints.http.representations import Session, sessions_response
from entrypoints.http.routing import create_router

router: Final = create_router(prefix="/auth/sessions", tags=["auth"], dependencies=[Depends(signed_in_principal)])


@router.get("", response_model=list[Session], responses=OWN_SESSIONS | error_responses(with_tokens=[401]))
async def list_sessions(user_id: OwnId, sessions: OwnSessions, caller: CurrentPrincipal) -> Response:
    """List one's own sessions, oldest first."""
    return sessions_response(await sessions.list(user_id), caller.session_id)


@router.delete("/{id}", status_code=204, responses=REMOVED | error_responses(404, with_tokens=[401]))
async def end_session(user_id: OwnId, session_id: SessionIdInPath, sessions: OwnSessions) -> Response:
    """End one of one's own sessions; its access tokens are refused within a second."""
    await sessions.end(user_id, session_id)
    return Response(status_code=204)
