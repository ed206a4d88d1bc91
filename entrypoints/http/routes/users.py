from functools import partial
from typing import Annotated, Final

from fastapi import Depends, Query, Request, Response
from pydantic import Field

from application.languages import Language
from application.principal import ANONYMOUS, Principal
from domain.errors import (
    ConfirmationRequired,
    EmailTaken,
    FieldError,
    InvalidInput,
    LastAdmin,
    NotPermitted,
    NotSignedIn,
    TooManyFailures,
    UsernameTaken,
    UserNotFound,
    VersionMismatch,
    WrongPassword,
)
from domain.values import SearchPrefix, UserId
from entrypoints.http.dependencies import (
    ClientAddress,
    ClientLanguage,
    CurrentAdmin,
    CurrentPrincipal,
    PasswordChanges,
    TokenMode,
    UserIdInPath,
    UserPageReader,
    Users,
    container_of,
    signed_in_principal,
)
from entrypoints.http.examples import USER
from entrypoints.http.paging import INVALID_CURSOR, PageQuery, link_header, raise_incompatible, read_cursor
from entrypoints.http.problems import NOT_FOUND
from entrypoints.http.representations import (
    IfMatch,
    KnownTags,
    encode_users,
    expected_versions,
    is_known,
    not_modified,
    page_response,
    user_response,
    users_response,
)
from entrypoints.http.responses import (
    BODY_ERRORS,
    User,
    accepted,
    changed,
    created,
    error_responses,
    found,
    no_content,
    page_of,
)
from entrypoints.http.routing import create_router
from entrypoints.http.schemas import (
    ADMIN_FIELDS,
    NewUser,
    NewUserBody,
    PasswordChangeBody,
    UserPatch,
    UserPatchBody,
    UserReplacement,
    UserReplacementBody,
)
from entrypoints.settings import SignUp

router: Final = create_router(prefix="/users", tags=["users"], dependencies=[Depends(signed_in_principal)])
sign_up_router: Final = create_router(prefix="/users", tags=["users"])

_CHANGE_ERRORS: Final = error_responses(
    *BODY_ERRORS,
    UserNotFound,
    EmailTaken,
    UsernameTaken,
    VersionMismatch,
    token_mode=[NotPermitted, ConfirmationRequired, LastAdmin],
)


class UserListQuery(PageQuery):
    """The query parameters of a list of users."""

    email: str | None = Field(default=None, description="Only the user with this email, ignoring case.")
    username: str | None = Field(default=None, description="Only the user with this username, ignoring case.")
    search: str | None = Field(
        default=None,
        description="Only users whose name, email or username starts with this text of 1 to 100 characters, ignoring "
        "case; by id, on one page. Can be combined with `limit`, `order` and `count` only.",
        json_schema_extra={"minLength": 1, "maxLength": SearchPrefix.MAX_LENGTH},
    )

    def check_combination(self) -> None:
        super().check_combination()
        if self.search is not None:
            for other in ("cursor", "offset", "email", "username"):
                if getattr(self, other) is not None:
                    raise_incompatible(other, "search")


@sign_up_router.post(
    "",
    status_code=201,
    response_model=User,
    responses=created(USER)
    | accepted("What was sent waits until the link that is mailed is confirmed.", "token")
    | error_responses(*BODY_ERRORS, EmailTaken, UsernameTaken, token_mode=[NotPermitted]),
    openapi_extra={"security": [{}]},  # anonymous callers may sign up
)
async def create_user(
    request: Request,
    body: NewUserBody,
    users: Users,
    caller: CurrentPrincipal,
    address: ClientAddress,
    language: ClientLanguage,
    token_mode: TokenMode,
) -> Response:
    """Create a user. Anonymous callers may sign up, unless the operator has switched that off.

    A sign-up is mailed a link that verifies the address. If the operator requires verification first, the response is
    202, and the link creates the user.
    """
    container = container_of(request)
    is_sign_up = not caller.is_admin
    if is_sign_up and container.settings().sign_up is SignUp.FALSE:
        raise NotSignedIn if caller is ANONYMOUS else NotPermitted
    _check_permitted(caller, body)
    new = body.to_use_case()
    if is_sign_up and container.settings().sign_up is SignUp.VERIFIED:
        await container.sign_ups().request(new, address, language)
        return Response(status_code=202)
    user = await users.register(new, address, verify_in=language if is_sign_up else None)
    return user_response(user, token_mode=token_mode, created=True)


@router.get(
    "",
    response_model=list[User],
    responses=page_of(USER) | error_responses(INVALID_CURSOR, InvalidInput, token_mode=[NOT_FOUND]),
)
async def list_users(
    _: CurrentAdmin,
    query: Annotated[UserListQuery, Query()],
    users: Users,
    pages: UserPageReader,
    token_mode: TokenMode,
) -> Response:
    """List users in creation order, one page at a time. Follow `Link` until it is absent."""
    query.check_combination()
    if query.search is not None:
        items = await users.search(query.search, limit=query.limit, descending=query.descending)
        total = await users.count(query.search) if query.count else None
        return users_response(items, query.total_header(total), token_mode=token_mode)
    list_name = query.list_name("users")
    if query.email is not None or query.username is not None:
        return await _find(query, users, token_mode)
    after = None if query.cursor is None else UserId(read_cursor(list_name, query.cursor))
    read = partial(users.list, descending=query.descending)
    encode = partial(encode_users, token_mode=token_mode)
    page = await pages.read(read, encode, after=after, skip=query.offset or 0, max_items=query.limit)
    total = await users.count() if query.count else None
    return page_response(page, {**link_header(query, "/users", list_name, page), **query.total_header(total)})


@router.get("/{id}", response_model=User, responses=found(USER) | error_responses(UserNotFound))
async def get_user(user_id: UserIdInPath, known: KnownTags, users: Users, token_mode: TokenMode) -> Response:
    """Get a user."""
    user = await users.get(user_id)
    return not_modified(user) if is_known(user, known) else user_response(user, token_mode=token_mode)


@router.put(
    "/{id}",
    response_model=User,
    responses=changed(USER) | _CHANGE_ERRORS,
)
async def replace_user(
    user_id: UserIdInPath,
    body: UserReplacementBody,
    if_match: IfMatch,
    users: Users,
    caller: CurrentPrincipal,
    language: ClientLanguage,
    token_mode: TokenMode,
) -> Response:
    """Replace all writable fields of a user except the password; an omitted optional field is cleared."""
    _check_permitted(caller, body)
    changed_user = await users.change(
        user_id,
        body.to_use_case(),
        expected_versions(user_id, if_match),
        may_change_email=caller.is_admin,
        language=language if caller.user_id == user_id else Language.ENGLISH,
    )
    return user_response(changed_user, token_mode=token_mode)


@router.patch(
    "/{id}",
    response_model=User,
    responses=changed(USER) | _CHANGE_ERRORS,
)
async def update_user(
    user_id: UserIdInPath,
    body: UserPatchBody,
    if_match: IfMatch,
    users: Users,
    caller: CurrentPrincipal,
    language: ClientLanguage,
    token_mode: TokenMode,
) -> Response:
    """Change some fields of a user (JSON Merge Patch, RFC 7396)."""
    _check_permitted(caller, body)
    changed_user = await users.change(
        user_id,
        body.to_use_case(),
        expected_versions(user_id, if_match),
        may_change_email=caller.is_admin,
        language=language if caller.user_id == user_id else Language.ENGLISH,
    )
    return user_response(changed_user, token_mode=token_mode)


@router.delete(
    "/{id}",
    status_code=204,
    responses=no_content("The user is deleted.")
    | error_responses(UserNotFound, VersionMismatch, token_mode=[LastAdmin]),
)
async def delete_user(user_id: UserIdInPath, if_match: IfMatch, users: Users) -> Response:
    """Delete a user and everything the user owns."""
    await users.remove(user_id, expected_versions(user_id, if_match))
    return Response(status_code=204)


@router.put(
    "/{id}/password",
    status_code=204,
    responses=no_content("The password is changed.")
    | error_responses(*BODY_ERRORS, WrongPassword, UserNotFound, TooManyFailures),
)
async def change_password(
    user_id: UserIdInPath,
    body: PasswordChangeBody,
    passwords: PasswordChanges,
    caller: CurrentPrincipal,
    address: ClientAddress,
    language: ClientLanguage,
) -> Response:
    """Change a user's password, and end all other sessions of the user."""
    if body.current_password is None and not caller.is_admin:
        raise InvalidInput((FieldError("current_password", "required", "is required"),))
    await passwords.change(
        user_id,
        current=body.current_password,
        new=body.new_password,
        caller=caller,
        address=address,
        language=language,
    )
    return Response(status_code=204)


def _check_permitted(caller: Principal, body: NewUser | UserReplacement | UserPatch) -> None:
    if not caller.is_admin and body.model_fields_set & ADMIN_FIELDS:
        raise NotPermitted


async def _find(query: UserListQuery, users: Users, token_mode: bool) -> Response:
    """Respond with the one user that matches the filters, or none. No cursor leads to a second page."""
    if query.cursor is not None:
        read_cursor(query.list_name("one user"), query.cursor)
    user = await users.find(email=query.email, username=query.username)
    total = 0 if user is None else 1
    items = [user] if user is not None and not query.offset else []
    return users_response(items, query.total_header(total if query.count else None), token_mode=token_mode)
