from typing import Final

from fastapi import Depends, Response

from domain.errors import SessionNotFound
from entrypoints.http.dependencies import CurrentPrincipal, OwnId, OwnSessions, SessionIdInPath, signed_in_principal
from entrypoints.http.representations import sessions_response
from entrypoints.http.responses import SESSIONS, Session, error_responses, no_content
from entrypoints.http.routing import create_router

router: Final = create_router(prefix="/auth/sessions", tags=["auth"], dependencies=[Depends(signed_in_principal)])


@router.get("", response_model=list[Session], responses=SESSIONS | error_responses())
async def list_sessions(user_id: OwnId, sessions: OwnSessions, caller: CurrentPrincipal) -> Response:
    """List the caller's own sessions, oldest first."""
    return sessions_response(await sessions.list(user_id), caller.session_id)


@router.delete(
    "/{id}", status_code=204, responses=no_content("The session has ended.") | error_responses(SessionNotFound)
)
async def end_session(user_id: OwnId, session_id: SessionIdInPath, sessions: OwnSessions) -> Response:
    """End one of the caller's own sessions; its access tokens are rejected within a second."""
    await sessions.end(user_id, session_id)
    return Response(status_code=204)
