"""The object graph. Tests replace the storage with `container.storage.override(...)`."""

from typing import TYPE_CHECKING

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Dependency, Factory, Object, Selector, Singleton

from adapters.runtime.system import SystemClock, Uuid7Source
from adapters.security.common_passwords import MostCommonPasswords
from adapters.security.system_secrets import SystemSecrets
from application.expired_records import ExpiredRecords
from application.jobs.queue import JobQueue
from application.jobs.service import JobService
from application.jobs.traffic import Traffic
from application.jobs.worker import JobWorker
from application.links.context import LinkContext
from application.links.email_change import EmailChangeService
from application.links.password_links import PasswordLinkService
from application.links.sign_up import SignUpService
from application.links.verification import EmailVerificationService
from application.outbox.delivery import HANDLERS_WITHOUT_KEY, MailDelivery
from application.outbox.queue import MailQueue
from application.outbox.throttle import MailThrottle
from application.outbox.tokens import OneTimeTokens
from application.passwords import Passwords
from application.ports import DomainNames, MailSender, PasswordHasher
from application.posts.service import PostService
from application.sessions.own_sessions import OwnSessionService
from application.sessions.token_authenticator import TokenAuthenticator
from application.sign_in.service import SignInService
from application.sign_in.throttle import SignInThrottle
from application.storage_secret import StorageSecret
from application.transfer.user_export import UserExport
from application.transfer.user_import import UserImport
from application.users.current_password import CurrentPasswords
from application.users.password_changes import PasswordChangeService
from application.users.service import UserService
from domain.storage import Storage
from entrypoints.ended_requests import open_ended_requests
from entrypoints.mail_sender import open_mail_sender
from entrypoints.metrics import job_counter, measure_sign_ins, measure_storage, open_metrics, setting_gauges
from entrypoints.read_cache import cache_reads
from entrypoints.settings import Settings
from entrypoints.signing_keys import SigningKeyReload, open_link_secrets, open_signer, read_signing_keys
from entrypoints.storage_by_url import open_storage
from entrypoints.telemetry import trace_jobs, trace_storage

if TYPE_CHECKING:
    from adapters.tracing.export import Tracing

# Adapters whose libraries most commands do without are imported when the object is first needed.


def _open_domain_names() -> DomainNames:
    from adapters.runtime.domain_names import IdnaDomainNames

    return IdnaDomainNames()


def _open_password_hasher() -> PasswordHasher:
    from adapters.security.password_hasher import ThreadedPasswordHasher

    return ThreadedPasswordHasher()


class Container(DeclarativeContainer):
    """Provides the objects of one service, each created on first use."""

    settings = Dependency(instance_of=Settings)

    tracing: Object["Tracing | None"] = Object(None)
    metrics = Singleton(open_metrics)
    store: Singleton[Storage] = Singleton(open_storage, settings.provided.storage)
    measured = Singleton(measure_storage, Singleton(trace_storage, store, settings, tracing), metrics)
    storage: Singleton[Storage] = Singleton(cache_reads, measured, settings, metrics)
    ended_requests = Singleton(open_ended_requests, settings, metrics)
    clock = Singleton(SystemClock)
    ids = Singleton(Uuid7Source)
    domain_names = Singleton(_open_domain_names)
    password_hasher = Singleton(_open_password_hasher)
    passwords = Singleton(Passwords, password_hasher, Singleton(MostCommonPasswords))
    jobs = Singleton(JobQueue)

    secrets = Singleton(SystemSecrets)
    signing_keys = Singleton(read_signing_keys, settings)
    signer = Singleton(open_signer, settings, signing_keys)

    link_secrets = Singleton(open_link_secrets, signing_keys)
    one_time_tokens = Singleton(OneTimeTokens, clock, link_secrets.provider)
    mail_sender: Singleton[MailSender] = Singleton(open_mail_sender, settings)
    mail_queue: Singleton[MailQueue] = Singleton(MailQueue, jobs, ids, clock, one_time_tokens)
    mails: Selector[MailQueue | None] = Selector(settings.provided.mode, open=Object(None), token=mail_queue)

    users = Singleton(
        UserService,
        storage,
        clock,
        ids,
        domain_names,
        passwords,
        mails,
        needs_admin=settings.provided.asks_for_tokens,
    )
    posts = Singleton(PostService, storage, clock, ids)
    storage_secret = Singleton(StorageSecret, storage, secrets)
    sign_in_throttle = Singleton(
        SignInThrottle,
        storage,
        clock,
        storage_secret,
        settings.provided.sign_in_failures_per_account,
        settings.provided.sign_in_failures_per_address,
    )
    sign_ins = Singleton(
        measure_sign_ins,
        Singleton(
            SignInService, storage, clock, ids, secrets, domain_names, passwords, sign_in_throttle, signer, mail_queue
        ),
        metrics,
    )
    token_authenticator = Singleton(TokenAuthenticator, storage, clock, signer)
    key_reload = Singleton(SigningKeyReload, settings, signing_keys, token_authenticator.provided.verify_again)
    own_sessions = Singleton(OwnSessionService, storage, clock)
    password_changes = Singleton(PasswordChangeService, storage, passwords, sign_in_throttle, mails)

    mail_throttle = Singleton(
        MailThrottle, clock, storage_secret, settings.provided.mails_per_account, settings.provided.mails_per_address
    )
    links = Singleton(LinkContext, storage, clock, domain_names, passwords, mail_queue, mail_throttle)
    sign_ups = Singleton(SignUpService, links, ids, users)
    email_verification = Singleton(EmailVerificationService, links, sign_ups)
    password_links = Singleton(PasswordLinkService, links)
    email_changes = Singleton(EmailChangeService, links, Singleton(CurrentPasswords, passwords, sign_in_throttle))
    mail_delivery = Singleton(
        MailDelivery, storage, clock, one_time_tokens, mail_sender, settings.provided.links_begin_with
    )

    gauges = Singleton(setting_gauges, store, storage, clock, metrics)
    """A context in which gauges are set at intervals."""

    user_import = Factory(UserImport, storage, clock, ids, domain_names, password_hasher)
    user_export = Singleton(UserExport, storage)

    job_handlers = Selector(
        settings.provided.mode, open=Object(HANDLERS_WITHOUT_KEY), token=mail_delivery.provided.handlers
    )
    """The handler for each kind of job."""

    job_runner = Singleton(
        trace_jobs, tracing, storage, clock, job_handlers, on_saved=Singleton(job_counter, job_handlers, metrics)
    )
    traffic = Singleton(Traffic)
    job_worker = Singleton(JobWorker, job_runner, jobs, traffic)
    job_service = Singleton(JobService, storage, clock)
    expired_records = Singleton(ExpiredRecords, storage, clock)
