"""Queue mails in the commit that causes them."""

from collections.abc import Mapping
from typing import Final

from application.languages import Language
from application.mail.message import Template
from application.outbox.tokens import OneTimeTokens
from application.ports import Clock, IdSource, Jobs
from domain.jobs import Job
from domain.one_time_token import TokenPurpose
from domain.storage import UnitOfWork
from domain.user import User
from domain.values import Email, JobId, UserId

MAIL: Final = "mail"
"""The kind of a job that sends a mail. It has an address and a template, or creates the token of a user's link."""

PASSWORD_RESET: Final = "password_reset"  # noqa: S105 - a kind of job
"""The kind of a job that looks up the account of an address, and mails it a link if there is one."""

SIGN_UP: Final = "sign_up"
"""The kind of a job that mails a link for a pending sign-up, or a notice to the owner of its address."""


class MailQueue:
    """Stages jobs that send mails. Their payloads contain addresses, but never a token."""

    def __init__(self, jobs: Jobs, ids: IdSource, clock: Clock, tokens: OneTimeTokens) -> None:
        self._jobs = jobs
        self._ids = ids
        self._clock = clock
        self.tokens: Final = tokens

    def stage_notice(self, unit: UnitOfWork, template: Template, to: Email, language: Language, **context: str) -> None:
        """Stage a mail without a link; `context` has the texts of `CONTEXT_KEYS` except `address` and `time`."""
        self._stage_mail(unit, self._ids.new(JobId), template, to, language, context)

    def stage_verification(self, unit: UnitOfWork, user: User, language: Language) -> None:
        """Stage a link that verifies a user's address. The job creates its token, to make sign-ups cheap."""
        self._stage(unit, self._ids.new(JobId), MAIL, language, _link(TokenPurpose.VERIFY_EMAIL, user))

    def stage_invitation(self, unit: UnitOfWork, user: User) -> None:
        """Stage a link with which a user sets their first password, in English, because another user caused it."""
        self._stage(unit, self._ids.new(JobId), MAIL, Language.ENGLISH, _link(TokenPurpose.ACCEPT_INVITATION, user))

    async def stage_email_change(self, unit: UnitOfWork, user: User, new: Email, language: Language) -> None:
        """Stage a token for a change of address, the mail to the new address with its link, and a notice to the old."""
        purpose, job_id = TokenPurpose.CONFIRM_EMAIL_CHANGE, self._ids.new(JobId)
        earlier = await self.tokens.find(unit, purpose, user.id)
        self.tokens.stage(unit, purpose, user, job_id, earlier=earlier, target=new.address)
        self._stage_mail(unit, job_id, Template.CONFIRM_EMAIL_CHANGE, new, language, _link(purpose, user))
        self.stage_notice(unit, Template.EMAIL_CHANGE_NOTICE, user.email, language, new_address=new.address)

    def stage_undo(self, unit: UnitOfWork, user: User, new: Email, language: Language) -> None:
        """Stage a token that restores a user's present address, and the mail to it with its link."""
        purpose, job_id = TokenPurpose.UNDO_EMAIL_CHANGE, self._ids.new(JobId)
        self.tokens.stage(unit, purpose, user, job_id, target=user.email.address, target_verified=user.email_verified)
        context = {"new_address": new.address, **_link(purpose, user)}
        self._stage_mail(unit, job_id, Template.EMAIL_CHANGED, user.email, language, context)

    async def stage_consequences(self, unit: UnitOfWork, before: User, after: User, language: Language) -> None:
        """Stage the effects of a direct change of a user: a notice to a replaced address, and void links.

        A new address voids links, and so does disabling the user.
        """
        is_other_email = after.email != before.email
        if is_other_email:
            new_address = after.email.address
            self.stage_notice(unit, Template.EMAIL_CHANGED_BY_ADMIN, before.email, language, new_address=new_address)
        if is_other_email or (before.active and not after.active):
            await self.tokens.stage_revocation(unit, before.id)

    def stage_password_reset(self, unit: UnitOfWork, email: Email, language: Language) -> None:
        """Stage the lookup of an address's account, which is mailed a link if it exists."""
        payload = {"email": email.address, "email_key": email.canonical}
        self._stage(unit, self._ids.new(JobId), PASSWORD_RESET, language, payload)

    def stage_sign_up(self, unit: UnitOfWork, sign_up_id: UserId, language: Language) -> None:
        """Stage the mail for a pending sign-up."""
        self._stage(unit, self._ids.new(JobId), SIGN_UP, language, {"id": sign_up_id})

    def _stage_mail(
        self,
        unit: UnitOfWork,
        job_id: JobId,
        template: Template,
        to: Email,
        language: Language,
        context: Mapping[str, str],
    ) -> None:
        self._stage(unit, job_id, MAIL, language, {"template": template.value, "address": to.address, **context})

    def _stage(
        self, unit: UnitOfWork, job_id: JobId, kind: str, language: Language, payload: Mapping[str, str]
    ) -> None:
        now = self._clock.now()
        payload = {"language": language.value, "at": now.isoformat(), **payload}
        self._jobs.stage(unit, Job.create(id=job_id, kind=kind, payload=payload, due_at=now))


def _link(purpose: TokenPurpose, user: User) -> Mapping[str, str]:
    return {"purpose": purpose.value, "user_id": str(user.id)}
