"""The object graph. Tests replace the storage with `container.storage.override(...)`."""

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Dependency, Dict, Factory, Singleton

from adapters.runtime.clock import SystemClock
from adapters.security.common_passwords import MostCommonPasswords
from adapters.security.system_secrets import SystemSecrets
from application.expired_records import ExpiredRecords
from application.jobs.queue import JobQueue
from application.jobs.runner import JobRunner
from application.jobs.service import JobService
from application.jobs.worker import JobWorker
from application.passwords import Passwords
from application.ports import DomainNames, IdSource, PasswordHasher
from application.posts.service import PostService
from application.sessions.own_sessions import OwnSessionService
from application.sessions.token_authenticator import TokenAuthenticator
from application.sign_in.service import SignInService
from application.sign_in.throttle import SignInThrottle
from application.storage_secret import StorageSecret
from application.transfer.user_export import UserExport
from application.transfer.user_import import UserImport
from application.users.password_changes import PasswordChangeService
from application.users.service import UserService
from domain.storage import Storage
from entrypoints.mail_sender import open_mail_sender
from entrypoints.settings import Settings
from entrypoints.signing_keys import open_signer
from entrypoints.storage_by_url import open_storage

# Adapters whose libraries most commands do without are imported when the object is first needed.


def _open_ids() -> IdSource:
    from adapters.runtime.ids import Uuid7Source

    return Uuid7Source()


def _open_domain_names() -> DomainNames:
    from adapters.runtime.domain_names import IdnaDomainNames

    return IdnaDomainNames()


def _open_password_hasher() -> PasswordHasher:
    from adapters.security.password_hasher import ThreadedPasswordHasher

    return ThreadedPasswordHasher()


class Container(DeclarativeContainer):
    settings = Dependency(instance_of=Settings)

    storage: Singleton[Storage] = Singleton(open_storage, settings.provided.storage)
    clock = Singleton(SystemClock)
    ids = Singleton(_open_ids)
    domain_names = Singleton(_open_domain_names)
    password_hasher = Singleton(_open_password_hasher)
    passwords = Singleton(Passwords, password_hasher, Singleton(MostCommonPasswords))
    jobs = Singleton(JobQueue)

    secrets = Singleton(SystemSecrets)
    signer = Singleton(open_signer, settings)
    mail_sender = Singleton(open_mail_sender, settings)

    users = Singleton(
        UserService,
        storage,
        clock,
        ids,
        domain_names,
        passwords,
        needs_admin=settings.provided.asks_for_tokens,
    )
    posts = Singleton(PostService, storage, clock, ids)
    sign_in_throttle = Singleton(
        SignInThrottle,
        storage,
        clock,
        Singleton(StorageSecret, storage, secrets),
        settings.provided.sign_in_failures_per_account,
        settings.provided.sign_in_failures_per_address,
    )
    sign_ins = Singleton(SignInService, storage, clock, ids, secrets, domain_names, passwords, sign_in_throttle, signer)
    token_authenticator = Singleton(TokenAuthenticator, storage, clock, signer)
    own_sessions = Singleton(OwnSessionService, storage, clock)
    password_changes = Singleton(PasswordChangeService, storage, passwords, sign_in_throttle)
    user_import = Factory(UserImport, storage, clock, ids, domain_names, password_hasher)
    user_export = Singleton(UserExport, storage)

    job_handlers = Dict()
    """What does the jobs of each kind: `Dict(mail=Singleton(…))`."""

    job_runner = Singleton(JobRunner, storage, clock, job_handlers)
    job_worker = Singleton(JobWorker, job_runner, jobs)
    job_service = Singleton(JobService, storage, clock)
    expired_records = Singleton(ExpiredRecords, storage, clock)
