"""The object graph. Tests put another storage in by `container.storage.override(...)`."""

from dependency_injector.containers import DeclarativeContainer
from dependency_injector.providers import Dependency, Factory, Singleton

from adapters.runtime.clock import SystemClock
from adapters.runtime.domain_names import IdnaDomainNames
from adapters.runtime.ids import Uuid7Source
from adapters.security.argon2 import Argon2PasswordHasher
from adapters.security.common_passwords import MostCommonPasswords
from application.passwords import Passwords
from application.posts import PostService
from application.user_export import UserExport
from application.user_import import UserImport
from application.users import UserService
from domain.storage import Storage
from entrypoints.settings import Settings
from entrypoints.storage_by_url import open_storage


class Container(DeclarativeContainer):
    settings = Dependency(instance_of=Settings)

    storage: Singleton[Storage] = Singleton(open_storage, settings.provided.storage)
    clock = Singleton(SystemClock)
    ids = Singleton(Uuid7Source)
    domain_names = Singleton(IdnaDomainNames)
    passwords = Singleton(Passwords, Singleton(Argon2PasswordHasher), Singleton(MostCommonPasswords))

    users = Singleton(UserService, storage, clock, ids, domain_names, passwords)
    posts = Singleton(PostService, storage, clock, ids)
    user_import = Factory(UserImport, storage, clock, ids, domain_names)
    user_export = Singleton(UserExport, storage)
