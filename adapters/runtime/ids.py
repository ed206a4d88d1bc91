from uuid_utils import uuid7

from domain.values import PostId, SessionId, UserId


class Uuid7Source:
    """Ids that sort by creation (RFC 9562, section 5.7), strictly so within a process."""

    def user_id(self) -> UserId:
        return UserId(str(uuid7()))

    def post_id(self) -> PostId:
        return PostId(str(uuid7()))

    def session_id(self) -> SessionId:
        return SessionId(str(uuid7()))
