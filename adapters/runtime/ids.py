from uuid_utils import uuid7

from application.ports import AnyId


class Uuid7Source:
    """UUIDv7 (RFC 9562, section 5.7), strictly increasing within a process."""

    def new(self, id_type: type[AnyId]) -> AnyId:
        return id_type(str(uuid7()))
