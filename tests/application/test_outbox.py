"""Mails that jobs send: repeated, late, failing, and with another key."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

import pytest

from adapters.memory.storage import MemoryUnitOfWork
from adapters.runtime.domain_names import IdnaDomainNames
from adapters.runtime.system import Uuid7Source
from adapters.security.link_secrets import HkdfLinkSecrets
from adapters.security.signing_keys import SigningKeys
from application.jobs.queue import JobQueue
from application.languages import Language
from application.links.context import LinkContext
from application.links.password_links import PasswordLinkService
from application.links.sign_up import SignUpService
from application.links.verification import EmailVerificationService
from application.mail.errors import MailBlocked, MailDeferred, MailRefused
from application.mail.message import Template
from application.outbox.delivery import MailDelivery
from application.outbox.queue import MailQueue
from application.outbox.throttle import MailThrottle
from application.outbox.tokens import OneTimeTokens
from application.passwords import Passwords
from application.ports import JobBlocked, JobDelayed, JobFailed
from application.storage_secret import StorageSecret
from application.users.service import NewUser, UserChanges, UserService
from domain.errors import InvalidOneTimeToken, TooManyMailRequests, UserNotFound
from domain.jobs import JOBS, Job
from domain.one_time_token import LinkToken, TokenPurpose
from domain.user import User
from domain.values import Id
from tests.application.fakes import ConflictingStorage, ManualClock, OneCommonPassword, ReadableHasher
from tests.http.mailbox import Mailbox, token_of

NEW: Final = "a long and quiet password"
ENGLISH: Final = Language.ENGLISH


class World:
    """Every use case of links, on one storage in memory, with a key that can be replaced."""

    def __init__(self, storage: ConflictingStorage, clock: ManualClock, secret: StorageSecret) -> None:
        self.storage, self.clock, self.mailbox = storage, clock, Mailbox()
        ids, names = Uuid7Source(), IdnaDomainNames()
        passwords = Passwords(ReadableHasher(), OneCommonPassword())
        self.secrets = HkdfLinkSecrets(SigningKeys.new())
        self.tokens = OneTimeTokens(clock, lambda: self.secrets)
        self.mails = MailQueue(JobQueue(), ids, clock, self.tokens)
        throttle = MailThrottle(clock, secret, 5, 20)
        self.users = UserService(storage, clock, ids, names, passwords, self.mails)
        context = LinkContext(storage, clock, names, passwords, self.mails, throttle)
        self.sign_ups = SignUpService(context, ids, self.users)
        self.verification = EmailVerificationService(context, self.sign_ups)
        self.links = PasswordLinkService(context)
        self.delivery = MailDelivery(storage, clock, self.tokens, self.mailbox, "https://users.example.com/app")

    async def jobs(self) -> list[Job]:
        return list(await self.storage.unit_of_work().records(JOBS).page(limit=100))

    async def do(self, job: Job) -> None:
        await self.delivery.handlers[job.kind](job)

    async def user(self, user: User) -> User:
        return await self.users.get(user.id)


@pytest.fixture
def world(storage: ConflictingStorage, clock: ManualClock, secret: StorageSecret) -> World:
    return World(storage, clock, secret)


@pytest.fixture
async def ann(world: World) -> User:
    return await world.users.register(NewUser(email="ann@example.org", name="Ann", password="correct horse"))


async def requested_reset(world: World) -> Job:
    await world.links.request_reset("ann@example.org", None, ENGLISH)
    return (await world.jobs())[-1]


async def test_a_repeated_job_sends_the_same_link_and_message_id_although_it_was_sent_before(
    world: World, ann: User
) -> None:
    reset = await requested_reset(world)
    await world.verification.request(ann.id, None, ENGLISH)
    verification = (await world.jobs())[-1]
    for job in (reset, verification):
        for _ in range(3):
            await world.do(job)
            world.clock.move(seconds=30)
        first, *others = world.mailbox.mails
        assert others == [first, first]
        assert first.message_id == job.id
        world.mailbox.mails.clear()


async def test_a_job_that_is_repeated_after_its_link_was_used_sends_nothing_and_revives_nothing(
    world: World, ann: User
) -> None:
    job = await requested_reset(world)
    await world.do(job)
    token = token_of(world.mailbox.mails.pop())
    await world.links.confirm_reset(token, NEW, None, ENGLISH)
    await world.do(job)
    assert world.mailbox.mails == []
    with pytest.raises(InvalidOneTimeToken):
        await world.links.confirm_reset(token, f"{NEW} 2", None, ENGLISH)


async def test_a_job_that_is_repeated_after_a_newer_request_leaves_the_newer_link_alone(
    world: World, ann: User
) -> None:
    older = await requested_reset(world)
    newer = await requested_reset(world)
    for job in (newer, older):
        await world.do(job)
    latest, voided = map(token_of, world.mailbox.mails)
    with pytest.raises(InvalidOneTimeToken):
        await world.links.confirm_reset(voided, NEW, None, ENGLISH)
    await world.links.confirm_reset(latest, NEW, None, ENGLISH)


async def test_a_link_that_has_expired_is_not_mailed_and_its_job_says_so(world: World, ann: User) -> None:
    reset = await requested_reset(world)
    await world.verification.request(ann.id, None, ENGLISH)
    verification = (await world.jobs())[-1]
    world.clock.move(hours=24)
    for job in (reset, verification):
        with pytest.raises(JobFailed, match="expired"):
            await world.do(job)
    assert world.mailbox.mails == []


@pytest.mark.parametrize(
    ("purpose", "lifetime"),
    [
        (TokenPurpose.VERIFY_EMAIL, timedelta(hours=24)),
        (TokenPurpose.RESET_PASSWORD, timedelta(minutes=30)),
        (TokenPurpose.CONFIRM_EMAIL_CHANGE, timedelta(hours=24)),
        (TokenPurpose.UNDO_EMAIL_CHANGE, timedelta(hours=72)),
        (TokenPurpose.ACCEPT_INVITATION, timedelta(days=7)),
    ],
)
async def test_a_token_works_until_its_lifetime_ends(
    world: World, ann: User, purpose: TokenPurpose, lifetime: timedelta
) -> None:
    unit = world.storage.unit_of_work()
    job_id = (await requested_reset(world)).id
    world.tokens.stage(unit, purpose, ann, job_id)
    await unit.commit()
    token = world.tokens.link_token(purpose, ann.id, job_id).text
    world.clock.time += lifetime - timedelta(seconds=1)
    assert (await world.tokens.redeem(world.storage.unit_of_work(), purpose, token)).user == ann
    world.clock.move(seconds=1)
    with pytest.raises(InvalidOneTimeToken):
        await world.tokens.redeem(world.storage.unit_of_work(), purpose, token)


async def test_a_mail_that_goes_out_after_the_key_was_replaced_has_a_link_that_works(world: World, ann: User) -> None:
    await world.verification.request(ann.id, None, ENGLISH)
    verification = (await world.jobs())[-1]
    new = NewUser(email="ben@example.org", name="Ben")
    await world.sign_ups.request(new, None, ENGLISH)
    sign_up = (await world.jobs())[-1]
    world.secrets = HkdfLinkSecrets(SigningKeys.new())
    await world.do(verification)
    await world.do(sign_up)
    for mail in world.mailbox.mails:
        await world.verification.confirm(token_of(mail))
    assert (await world.user(ann)).email_verified
    assert await world.users.find(email="ben@example.org")


async def test_a_link_that_was_mailed_works_after_the_key_was_replaced(world: World, ann: User) -> None:
    await world.verification.request(ann.id, None, ENGLISH)
    await world.do((await world.jobs())[-1])
    world.secrets = HkdfLinkSecrets(SigningKeys.new())
    await world.verification.confirm(token_of(world.mailbox.mails[0]))
    assert (await world.user(ann)).email_verified


async def test_a_server_that_refuses_a_mail_fails_its_job_and_one_that_defers_it_delays_it(
    world: World, ann: User
) -> None:
    job = await requested_reset(world)
    world.mailbox.failures = [MailDeferred("451 try later"), MailRefused("550 no such mailbox")]
    with pytest.raises(JobDelayed, match="451 try later"):
        await world.do(job)
    with pytest.raises(JobFailed, match="550 no such mailbox"):
        await world.do(job)
    await world.do(job)
    await world.links.confirm_reset(token_of(world.mailbox.mails[0]), NEW, None, ENGLISH)


async def test_a_mail_that_an_operator_has_to_unblock_blocks_its_job(world: World, ann: User) -> None:
    job = await requested_reset(world)
    world.mailbox.failures = [MailBlocked("it refuses the user or the password (535)")]
    with pytest.raises(JobBlocked, match="the password"):
        await world.do(job)


async def test_a_sign_up_stages_one_job_and_the_job_creates_the_token(world: World) -> None:
    user = await world.users.register(NewUser(email="ben@example.org", name="Ben"), verify_in=ENGLISH)
    assert await world.tokens.find(world.storage.unit_of_work(), TokenPurpose.VERIFY_EMAIL, user.id) is None
    (job,) = await world.jobs()
    await world.do(job)
    await world.verification.confirm(token_of(world.mailbox.mails[0]))
    assert (await world.user(user)).email_verified


async def test_a_repeated_mail_after_the_key_was_replaced_has_a_link_that_works(world: World, ann: User) -> None:
    await world.verification.request(ann.id, None, ENGLISH)
    (job,) = await world.jobs()
    world.mailbox.failures = [MailDeferred("451 try later")]
    with pytest.raises(JobDelayed):
        await world.do(job)
    world.secrets = HkdfLinkSecrets(SigningKeys.new())
    await world.do(job)
    await world.verification.confirm(token_of(world.mailbox.mails[0]))


async def test_a_link_that_its_user_no_longer_needs_is_not_mailed(world: World, ann: User) -> None:
    ben = await world.users.register(NewUser(email="ben@example.org", name="Ben"), verify_in=ENGLISH)
    await world.links.invite(ben.id)
    verification, invitation = await world.jobs()
    await world.verification.request(ben.id, None, ENGLISH)
    *_, newer = await world.jobs()
    await world.do(newer)
    await world.verification.confirm(token_of(world.mailbox.mails.pop()))
    await world.do(verification)
    await world.users.change(ben.id, UserChanges(active=False))
    await world.do(invitation)
    await world.users.remove(ben.id)
    await world.do(invitation)
    assert world.mailbox.mails == []


@pytest.mark.parametrize("changes", [UserChanges(email="new@example.org"), UserChanges(active=False), None])
async def test_a_user_who_changes_while_the_token_is_created_is_mailed_no_link_that_does_not_work(
    world: World, storage: ConflictingStorage, ann: User, changes: UserChanges | None
) -> None:
    await world.verification.request(ann.id, None, ENGLISH)
    (job,) = await world.jobs()

    async def change() -> None:
        if changes is None:
            await world.users.remove(ann.id)
        else:
            await world.users.change(ann.id, changes)

    storage.before_commit.append(change)
    with suppress(JobDelayed):
        await world.do(job)
    await world.do(job)
    assert world.mailbox.mails == []


async def test_an_account_that_is_gone_or_disabled_when_the_job_runs_is_not_mailed(world: World, ann: User) -> None:
    reset = await requested_reset(world)
    await world.users.change(ann.id, UserChanges(active=False))
    await world.do(reset)
    await world.users.remove(ann.id)
    await world.do(reset)
    assert world.mailbox.mails == []


@pytest.mark.parametrize("email", ["ann@example.org", "unknown@example.org"])
async def test_a_request_for_a_reset_or_a_sign_up_reads_nothing_about_an_account(
    world: World, ann: User, monkeypatch: pytest.MonkeyPatch, email: str
) -> None:
    unit_of_work = world.storage.unit_of_work

    def without_users() -> MemoryUnitOfWork:
        unit = unit_of_work()
        monkeypatch.setattr(unit, "users", None)
        return unit

    monkeypatch.setattr(world.storage, "unit_of_work", without_users)
    await world.links.request_reset(email, "192.0.2.1", ENGLISH)
    await world.sign_ups.request(NewUser(email=email, name="Ann", password=NEW), "192.0.2.1", ENGLISH)


async def test_a_mail_is_complete(world: World, ann: User) -> None:
    await world.verification.request(ann.id, None, Language.GERMAN)
    requested_at = world.clock.now()
    world.clock.move(minutes=3)
    await world.do((await world.jobs())[-1])
    (mail,) = world.mailbox.mails
    assert (mail.template, mail.to, mail.language) == (Template.VERIFY_EMAIL, "ann@example.org", "de")
    assert mail.date == requested_at
    assert mail.context["link"].startswith("https://users.example.com/app/account/verify-email#token=")
    assert "token" not in repr(mail)


async def test_what_is_queued_holds_no_token(world: World, ann: User) -> None:
    await requested_reset(world)
    await world.verification.request(ann.id, None, ENGLISH)
    payloads: list[Mapping[str, str]] = [job.payload for job in await world.jobs()]
    for job in await world.jobs():
        await world.do(job)
    for mail in world.mailbox.mails:
        assert token_of(mail)[22:] not in str(payloads)


async def test_the_loser_of_two_requests_at_once_is_counted_and_staged_all_the_same(
    world: World, storage: ConflictingStorage, ann: User
) -> None:
    # The rival creates both the counter and the token first.
    storage.before_commit.append(lambda: world.verification.request(ann.id, "192.0.2.1", ENGLISH))
    await world.verification.request(ann.id, "192.0.2.1", ENGLISH)
    assert len(await world.jobs()) == 2
    for _ in range(3):
        await world.verification.request(ann.id, "192.0.2.1", ENGLISH)
    with pytest.raises(TooManyMailRequests):
        await world.verification.request(ann.id, "192.0.2.1", ENGLISH)
    assert len(await world.jobs()) == 5


async def test_a_user_who_is_disabled_during_a_request_gets_no_link(
    world: World, storage: ConflictingStorage, ann: User
) -> None:
    storage.before_commit.append(lambda: world.users.change(ann.id, UserChanges(active=False)))
    with pytest.raises(UserNotFound):
        await world.verification.request(ann.id, None, ENGLISH)
    assert await world.jobs() == []


def test_a_secret_has_256_bits_that_follow_from_key_and_record_alone() -> None:
    keys = SigningKeys.new()
    one, same, other = (HkdfLinkSecrets(each) for each in (keys, SigningKeys.read(keys.to_pem()), SigningKeys.new()))
    assert len(one.derive("a")) == LinkToken.SECRET_BYTES == 32
    assert one.derive("a") == same.derive("a")
    assert len({one.derive("a"), one.derive("b"), other.derive("a")}) == 3


def test_a_token_is_read_as_it_was_written_and_hides_its_secret() -> None:
    token = LinkToken(Id("0193a7c5-0000-7000-8000-000000000001"), bytes(range(32)))
    assert LinkToken.parse(token.text) == token
    assert "secret" not in repr(token)
