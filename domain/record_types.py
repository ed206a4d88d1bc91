"""All record types. Code that walks every type, such as a copy, includes a type once it is listed here."""

from collections.abc import Sequence
from typing import Any, Final

from domain.credential import CREDENTIALS
from domain.jobs import JOBS
from domain.one_time_token import ONE_TIME_TOKENS
from domain.pending_sign_up import PENDING_SIGN_UPS
from domain.post import POSTS
from domain.records import RecordType
from domain.secret import SECRETS
from domain.session import SESSIONS
from domain.sign_in_failures import SIGN_IN_FAILURES
from domain.sign_in_places import SIGN_IN_PLACES

RECORD_TYPES: Final[Sequence[RecordType[Any]]] = (
    CREDENTIALS,
    SESSIONS,
    POSTS,
    SIGN_IN_FAILURES,
    SECRETS,
    JOBS,
    ONE_TIME_TOKENS,
    PENDING_SIGN_UPS,
    SIGN_IN_PLACES,
)
