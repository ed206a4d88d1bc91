"""Requests for mail, and the confirmations of its links."""

from typing import Final

from fastapi import Depends, Response

from domain.errors import (
    AlreadyVerified,
    EmailTaken,
    HasPassword,
    InvalidOneTimeToken,
    TooManyFailures,
    TooManyMailRequests,
    UsernameTaken,
    UserNotFound,
    WrongPassword,
)
from entrypoints.http.dependencies import (
    ClientAddress,
    ClientLanguage,
    CurrentAdmin,
    CurrentPrincipal,
    EmailChanges,
    EmailVerification,
    OwnId,
    PasswordLinks,
    UserIdInPath,
    signed_in_principal,
)
from entrypoints.http.problems import NOT_FOUND
from entrypoints.http.responses import BODY_ERRORS, accepted, error_responses, no_content
from entrypoints.http.routing import create_router
from entrypoints.http.schemas import (
    EmailChangeRequestBody,
    LinkConfirmationBody,
    PasswordLinkConfirmationBody,
    PasswordResetRequestBody,
)

router: Final = create_router(tags=["mail"])
signed_in_router: Final = create_router(tags=["mail"], dependencies=[Depends(signed_in_principal)])


@signed_in_router.post(
    "/auth/email-verification",
    status_code=202,
    response_class=Response,
    responses=accepted("A link is mailed to the caller's address.")
    | error_responses(AlreadyVerified, TooManyMailRequests),
)
async def request_email_verification(
    user_id: OwnId, verification: EmailVerification, address: ClientAddress, language: ClientLanguage
) -> Response:
    """Mail the caller a link that verifies their address."""
    await verification.request(user_id, address, language)
    return _accepted()


@router.post(
    "/auth/email-verification/confirm",
    status_code=204,
    responses=no_content("The address is verified.")
    | error_responses(*BODY_ERRORS, InvalidOneTimeToken, EmailTaken, UsernameTaken),
)
async def confirm_email_verification(body: LinkConfirmationBody, verification: EmailVerification) -> Response:
    """Verify the address that a link was mailed to, or complete a sign-up."""
    await verification.confirm(body.token)
    return _no_content()


@router.post(
    "/auth/password-reset",
    status_code=202,
    response_class=Response,
    responses=accepted("If an active account has the address, a link is mailed to it.")
    | error_responses(*BODY_ERRORS, TooManyMailRequests),
)
async def request_password_reset(
    body: PasswordResetRequestBody, links: PasswordLinks, address: ClientAddress, language: ClientLanguage
) -> Response:
    """Mail a link that sets a new password. The response is the same whether or not the account exists."""
    await links.request_reset(body.email, address, language)
    return _accepted()


@router.post(
    "/auth/password-reset/confirm",
    status_code=204,
    responses=no_content("The password is set.") | error_responses(*BODY_ERRORS, InvalidOneTimeToken),
)
async def confirm_password_reset(
    body: PasswordLinkConfirmationBody, links: PasswordLinks, address: ClientAddress, language: ClientLanguage
) -> Response:
    """Set a new password, verify the address that the link was mailed to, and end every session of the user."""
    await links.confirm_reset(body.token, body.new_password, address, language)
    return _no_content()


@signed_in_router.post(
    "/users/me/email-change",
    status_code=202,
    response_class=Response,
    responses=accepted("A link is mailed to the new address, and a notice to the old one.")
    | error_responses(*BODY_ERRORS, WrongPassword, TooManyFailures, TooManyMailRequests),
)
async def request_email_change(
    body: EmailChangeRequestBody,
    user_id: OwnId,
    changes: EmailChanges,
    caller: CurrentPrincipal,
    address: ClientAddress,
    language: ClientLanguage,
) -> Response:
    """Mail a link to another address, which becomes the caller's once it is confirmed."""
    await changes.request(
        caller,
        user_id,
        new_email=body.new_email,
        current_password=body.current_password,
        address=address,
        language=language,
    )
    return _accepted()


@router.post(
    "/auth/email-change/confirm",
    status_code=204,
    responses=no_content("The address is changed.") | error_responses(*BODY_ERRORS, InvalidOneTimeToken, EmailTaken),
)
async def confirm_email_change(body: LinkConfirmationBody, changes: EmailChanges, language: ClientLanguage) -> Response:
    """Change the address. The old one is mailed a link that undoes it for 72 hours."""
    await changes.confirm(body.token, language)
    return _no_content()


@router.post(
    "/auth/email-change/undo",
    status_code=204,
    responses=no_content("The old address is back.") | error_responses(*BODY_ERRORS, InvalidOneTimeToken, EmailTaken),
)
async def undo_email_change(body: LinkConfirmationBody, changes: EmailChanges, language: ClientLanguage) -> Response:
    """Restore the old address, end every session of the user, and mail a link that sets a new password."""
    await changes.undo(body.token, language)
    return _no_content()


@signed_in_router.post(
    "/users/{id}/invitation",
    status_code=202,
    response_class=Response,
    responses=accepted("A link is mailed to the user.") | error_responses(NOT_FOUND, UserNotFound, HasPassword),
)
async def invite_user(_: CurrentAdmin, user_id: UserIdInPath, links: PasswordLinks) -> Response:
    """Mail a user without a password a link by which they choose one. For admins."""
    await links.invite(user_id)
    return _accepted()


@router.post(
    "/auth/invitation/confirm",
    status_code=204,
    responses=no_content("The password is set.") | error_responses(*BODY_ERRORS, InvalidOneTimeToken),
)
async def confirm_invitation(
    body: PasswordLinkConfirmationBody, links: PasswordLinks, address: ClientAddress
) -> Response:
    """Set the first password of an invited user, and verify their address."""
    await links.accept_invitation(body.token, body.new_password, address)
    return _no_content()


def _accepted() -> Response:
    return Response(status_code=202)


def _no_content() -> Response:
    return Response(status_code=204)
