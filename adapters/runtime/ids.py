from uuid_utils import uuid7

from application.ports import AnyId


class Uuid7Source:
    """Ids that sort by creation (RFC 9562, section 5.7), strictly so within a process."""

    def new(self, id_type: type[AnyId]) -> AnyId:
        return id_type(str(uuid7()))
