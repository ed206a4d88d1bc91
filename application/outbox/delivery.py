"""Send queued mails: the handlers of the jobs that `queue` stages."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from application.mail.errors import MailBlocked, MailDeferred, MailRefused
from application.mail.message import CONTEXT_KEYS, Mail, Template
from application.outbox.queue import MAIL, PASSWORD_RESET, SIGN_UP
from application.outbox.tokens import OneTimeTokens, version_of
from application.ports import Clock, JobBlocked, JobDelayed, JobFailed, JobHandler, MailSender
from domain.credential import CREDENTIALS
from domain.errors import IdTaken, StaleVersion, UserNotFound
from domain.jobs import Job
from domain.one_time_token import ONE_TIME_TOKENS, LinkToken, OneTimeToken, TokenPurpose, token_key, token_subject
from domain.pending_sign_up import PENDING_SIGN_UPS
from domain.storage import Storage
from domain.user import User
from domain.values import Email, UserId

_TEMPLATES: Final[Mapping[TokenPurpose, Template]] = {
    TokenPurpose.VERIFY_EMAIL: Template.VERIFY_EMAIL,
    TokenPurpose.RESET_PASSWORD: Template.RESET_PASSWORD,
    TokenPurpose.ACCEPT_INVITATION: Template.INVITATION,
}
_SIGN_UP_PAGE: Final = "verify-email"
_EXPIRED: Final = "the link has expired before it could be sent"


class MailDelivery:
    """Sends the mail of a job. If the mail has become obsolete, the job ends without sending it.

    A link that a newer one has voided is still mailed: both were requested, and a repeated job must send the same mail.
    """

    def __init__(
        self, storage: Storage, clock: Clock, tokens: OneTimeTokens, sender: MailSender, public_url: str
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._tokens = tokens
        self._sender = sender
        self._public_url = public_url

    @property
    def handlers(self) -> Mapping[str, JobHandler]:
        """The handlers, by the kind of job."""
        return {MAIL: self._send_mail, PASSWORD_RESET: self._send_password_reset, SIGN_UP: self._send_sign_up}

    async def _send_mail(self, job: Job) -> None:
        link = None
        if "purpose" in job.payload:
            purpose, user_id = TokenPurpose(job.payload["purpose"]), UserId(job.payload["user_id"])
            if "template" not in job.payload:
                return await self._send_new_link(job, purpose, await self._storage.unit_of_work().users.get(user_id))
            key = token_key(purpose, token_subject(purpose, user_id, job.id))
            stored = await self._storage.unit_of_work().records(ONE_TIME_TOKENS).get(key)
            link = await self._link(job, purpose, user_id, stored)
            if link is None:
                return None
        return await self._send(job, Template(job.payload["template"]), job.payload["address"], link)

    async def _send_password_reset(self, job: Job) -> None:
        email = Email(job.payload["email"], job.payload["email_key"])
        user = await self._storage.unit_of_work().users.find_by_email(email)
        await self._send_new_link(job, TokenPurpose.RESET_PASSWORD, user)

    async def _send_new_link(self, job: Job, purpose: TokenPurpose, user: User | None) -> None:
        if user is None or not user.active or (purpose is TokenPurpose.VERIFY_EMAIL and user.email_verified):
            return
        stored = await self._make_token(job, purpose, user)
        link = await self._link(job, purpose, user.id, stored)
        if link is not None:
            await self._send(job, _TEMPLATES[purpose], user.email.address, link)

    async def _make_token(self, job: Job, purpose: TokenPurpose, user: User) -> OneTimeToken:
        """Create the token of a request, unless it exists, or a later request has replaced it; return what is stored.

        The user may change at the same time, so they are compared with it afterwards.
        """
        requested_at = _requested_at(job)
        if self._clock.now() >= requested_at + purpose.lifetime:
            raise JobFailed(_EXPIRED)  # a used token may have been purged, so it must not be created again
        unit = self._storage.unit_of_work()
        earlier = await self._tokens.find(unit, purpose, user.id)
        if earlier is not None and earlier.request_id >= job.id:
            return earlier
        version = 0 if purpose is TokenPurpose.ACCEPT_INVITATION else None
        if purpose is TokenPurpose.RESET_PASSWORD:
            version = version_of(await unit.records(CREDENTIALS).get(user.id))
        created = self._tokens.stage(
            unit, purpose, user, job.id, requested_at=requested_at, earlier=earlier, credential_version=version
        )
        try:
            await unit.commit()
        except (IdTaken, StaleVersion, UserNotFound):
            raise JobDelayed("the account has changed at the same time") from None
        return created

    async def _send_sign_up(self, job: Job) -> None:
        unit = self._storage.unit_of_work()
        pending = await unit.records(PENDING_SIGN_UPS).get(job.payload["id"])
        if pending is None:
            return
        owner = await unit.users.find_by_email(pending.address)
        if owner is not None:
            if owner.active:
                await self._send(job, Template.SIGN_UP_ADDRESS_TAKEN, owner.email.address, None)
            return
        token = self._tokens.sign_up_token(pending.id)
        if pending.digest != token.digest:
            unit.records(PENDING_SIGN_UPS).save(pending.with_digest(token.digest))
            await unit.commit()
        await self._send(job, Template.SIGN_UP, pending.email, self._url(_SIGN_UP_PAGE, token))

    async def _link(self, job: Job, purpose: TokenPurpose, user_id: UserId, stored: OneTimeToken | None) -> str | None:
        """Return the link of a request, or None if it was used, or voided other than by a newer one.

        `stored` is the latest token of the purpose.
        """
        unit = self._storage.unit_of_work()
        user = await unit.users.get(user_id)
        if user is None:
            return None
        if stored is None or self._clock.now() >= stored.expires_at:
            raise JobFailed(_EXPIRED)
        token = self._tokens.link_token(purpose, user_id, job.id)
        if stored.request_id == job.id:
            if stored.is_void or not stored.is_valid_for(user):
                return None
            if stored.digest != token.digest:  # the signing key has been replaced
                unit.records(ONE_TIME_TOKENS).save(stored.with_digest(token.digest))
                await unit.commit()
        return self._url(purpose.value.replace("_", "-"), token)

    def _url(self, page: str, token: LinkToken) -> str:
        return f"{self._public_url}/account/{page}#token={token.text}"

    async def _send(self, job: Job, template: Template, to: str, link: str | None) -> None:
        requested_at = _requested_at(job)
        available = {
            **job.payload,
            "address": to,
            "time": f"{requested_at:%Y-%m-%d %H:%M} UTC",
            **({} if link is None else {"link": link}),
        }
        mail = Mail(
            template=template.value,
            to=to,
            language=job.payload["language"],
            context={name: available[name] for name in CONTEXT_KEYS[template]},
            message_id=job.id,
            date=requested_at,
        )
        try:
            await self._sender.send(mail)
        except MailRefused as error:
            raise JobFailed(str(error)) from error
        except MailDeferred as error:
            raise JobDelayed(str(error)) from error
        except MailBlocked as error:
            raise JobBlocked(str(error)) from error


def _requested_at(job: Job) -> datetime:
    return datetime.fromisoformat(job.payload["at"])


async def _wait_for_key(_: Job) -> None:
    raise JobBlocked("mail needs the signing key that the servers have: set USERPORT_SIGNING_KEY")


HANDLERS_WITHOUT_KEY: Final[Mapping[str, JobHandler]] = dict.fromkeys((MAIL, PASSWORD_RESET, SIGN_UP), _wait_for_key)
"""The handlers of a process without the signing key, which cannot create links."""
