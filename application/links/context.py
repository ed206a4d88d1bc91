"""What the use cases of links share."""

from dataclasses import dataclass, field

from application.concurrency import OptimisticRetry
from application.outbox.queue import MailQueue
from application.outbox.throttle import MailThrottle
from application.passwords import Passwords
from application.ports import Clock, DomainNames
from domain.storage import Storage, UnitOfWork
from domain.user import User
from domain.values import Email


@dataclass(frozen=True, slots=True)
class LinkContext:
    """The ports and services that every use case of links needs."""

    storage: Storage
    clock: Clock
    domain_names: DomainNames
    passwords: Passwords
    mails: MailQueue
    throttle: MailThrottle
    retry: OptimisticRetry = field(default_factory=OptimisticRetry)

    def parse_email(self, text: str) -> Email:
        return Email.parse(text, self.domain_names.to_ascii)

    def stage_user(self, unit: UnitOfWork, user: User, *, email_verified: bool, email: Email | None = None) -> None:
        """Stage the effect of a link on a user; one that changes nothing is required to be as it was read."""
        changed = user.change(now=self.clock.now(), email=email or user.email, email_verified=email_verified)
        if changed is user:
            unit.users.require(user)
        else:
            unit.users.save(changed)
