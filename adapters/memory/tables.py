from collections import defaultdict

from adapters.memory.table import Journal, Table
from domain.credential import Credential
from domain.errors import EmailTaken, IdTaken, StaleVersion, UsernameTaken, UserNotFound
from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import User
from domain.values import PostId, SessionId, UserId


class Tables:
    """All records, with the constraints that they obey."""

    def __init__(self) -> None:
        self.users: Table[UserId, User] = Table()
        self.ids_by_email: Table[str, UserId] = Table()
        self.ids_by_username: Table[str, UserId] = Table()
        self.posts: Table[PostId, Post] = Table()
        self._posts_by_author: defaultdict[UserId, Table[PostId, Post]] = defaultdict(Table)
        self.credentials: Table[UserId, Credential] = Table()
        self.sessions: Table[SessionId, Session] = Table()
        self._sessions_by_user: defaultdict[UserId, Table[SessionId, Session]] = defaultdict(Table)
        self.sign_in_failures: Table[str, SignInFailures] = Table()

    def add_user(self, user: User, journal: Journal) -> None:
        if user.id in self.users:
            raise IdTaken
        self._put_user(user, journal)

    def save_user(self, user: User, journal: Journal) -> None:
        self._free_names(self._user_at(user.id, user.version - 1), journal)
        self._put_user(user, journal)

    def remove_user(self, user: User, journal: Journal) -> None:
        self._free_names(self._user_at(user.id, user.version), journal)
        for post in list(self.posts_of(user.id).walk(None, descending=False)):
            self.remove_post(post, journal)
        for session in list(self.sessions_of(user.id).walk(None, descending=False)):
            self.remove_session(session, journal)
        if user.id in self.credentials:
            self.credentials.delete(user.id, journal)
        self.users.delete(user.id, journal)

    def require_user(self, user: User) -> None:
        self._user_at(user.id, user.version)

    def add_post(self, post: Post, journal: Journal) -> None:
        if post.id in self.posts:
            raise IdTaken
        if post.author_id not in self.users:
            raise UserNotFound
        self._put_post(post, journal)

    def save_post(self, post: Post, journal: Journal) -> None:
        self._check_post_at(post.id, post.version - 1)
        self._put_post(post, journal)

    def remove_post(self, post: Post, journal: Journal) -> None:
        self._check_post_at(post.id, post.version)
        self.posts.delete(post.id, journal)
        self._posts_by_author[post.author_id].delete(post.id, journal)

    def posts_of(self, author_id: UserId) -> Table[PostId, Post]:
        return self._posts_by_author.get(author_id) or Table()

    def put_credential(self, credential: Credential, journal: Journal) -> None:
        if credential.user_id not in self.users:
            raise UserNotFound
        self.credentials.put(credential.user_id, credential, journal)

    def require_credential(self, credential: Credential) -> None:
        if self.credentials.get(credential.user_id) != credential:
            raise StaleVersion

    def add_session(self, session: Session, journal: Journal) -> None:
        if session.id in self.sessions:
            raise IdTaken
        if session.user_id not in self.users:
            raise UserNotFound
        self._put_session(session, journal)

    def save_session(self, session: Session, journal: Journal) -> None:
        self._check_session_at(session.id, session.version - 1)
        self._put_session(session, journal)

    def remove_session(self, session: Session, journal: Journal) -> None:
        self._check_session_at(session.id, session.version)
        self.sessions.delete(session.id, journal)
        self._sessions_by_user[session.user_id].delete(session.id, journal)

    def sessions_of(self, user_id: UserId) -> Table[SessionId, Session]:
        return self._sessions_by_user.get(user_id) or Table()

    def add_failures(self, failures: SignInFailures, journal: Journal) -> None:
        if failures.key in self.sign_in_failures:
            raise IdTaken
        self.sign_in_failures.put(failures.key, failures, journal)

    def save_failures(self, failures: SignInFailures, journal: Journal) -> None:
        self._check_failures_at(failures.key, failures.version - 1)
        self.sign_in_failures.put(failures.key, failures, journal)

    def remove_failures(self, failures: SignInFailures, journal: Journal) -> None:
        self._check_failures_at(failures.key, failures.version)
        self.sign_in_failures.delete(failures.key, journal)

    def _put_user(self, user: User, journal: Journal) -> None:
        if user.email.canonical in self.ids_by_email:
            raise EmailTaken
        if user.username and user.username.canonical in self.ids_by_username:
            raise UsernameTaken
        self.users.put(user.id, user, journal)
        self.ids_by_email.put(user.email.canonical, user.id, journal)
        if user.username:
            self.ids_by_username.put(user.username.canonical, user.id, journal)

    def _free_names(self, user: User, journal: Journal) -> None:
        self.ids_by_email.delete(user.email.canonical, journal)
        if user.username:
            self.ids_by_username.delete(user.username.canonical, journal)

    def _user_at(self, user_id: UserId, version: int) -> User:
        user = self.users.get(user_id)
        if user is None or user.version != version:
            raise StaleVersion
        return user

    def _put_post(self, post: Post, journal: Journal) -> None:
        self.posts.put(post.id, post, journal)
        self._posts_by_author[post.author_id].put(post.id, post, journal)

    def _check_post_at(self, post_id: PostId, version: int) -> None:
        post = self.posts.get(post_id)
        if post is None or post.version != version:
            raise StaleVersion

    def _put_session(self, session: Session, journal: Journal) -> None:
        self.sessions.put(session.id, session, journal)
        self._sessions_by_user[session.user_id].put(session.id, session, journal)

    def _check_session_at(self, session_id: SessionId, version: int) -> None:
        session = self.sessions.get(session_id)
        if session is None or session.version != version:
            raise StaleVersion

    def _check_failures_at(self, key: str, version: int) -> None:
        failures = self.sign_in_failures.get(key)
        if failures is None or failures.version != version:
            raise StaleVersion
