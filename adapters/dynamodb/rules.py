"""What each write makes of a draft, and why it may be refused: the constraints that all records obey."""

from collections.abc import Collection, Set
from typing import Final

from adapters.dynamodb.draft import Draft, Unpurged
from adapters.dynamodb.items import (
    Belonging,
    Image,
    Key,
    admin_key,
    belongings_of,
    credential_image,
    credential_key,
    email_key,
    expiry_key,
    failures_image,
    failures_key,
    is_active_admin,
    is_user,
    name_key,
    post_image,
    post_keys,
    removal_key,
    session_image,
    session_keys,
    user_image,
    user_key,
    username_key,
)
from domain.credential import Credential
from domain.errors import EmailTaken, IdTaken, StaleVersion, UsernameTaken, UserNotFound
from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import User

_TAKEN: Final = {"emails": EmailTaken, "usernames": UsernameTaken}


def add_user(draft: Draft, user: User) -> None:
    key = user_key(user.id)
    stored = draft.presumed(key, None)
    if is_user(stored):
        raise IdTaken
    image = user_image(user, draft.rev)
    _claim(draft, user.id, _index_keys(user.id, image))
    if stored is not None:
        # What belonged to an earlier user of this id is still there: all that no commit but this one writes.
        image = {**image, "purging": draft.rev}
        draft.put(removal_key(user.id), _owned_by(user.id))
    draft.put(key, image)


def save_user(draft: Draft, user: User) -> None:
    stored = _user_at(draft, user.id, user.version - 1)
    image = user_image(user, draft.rev)
    if "purging" in stored:
        image = {**image, "purging": draft.rev}
    before, after = _index_keys(user.id, stored), _index_keys(user.id, image)
    _free(draft, user.id, before - after)
    _claim(draft, user.id, after - before | after & {admin_key(user.id)})  # which an earlier version has left out
    draft.put(user_key(user.id), image)


def remove_user(draft: Draft, user: User) -> None:
    key = user_key(user.id)
    stored = _user_at(draft, user.id, user.version)
    _free(draft, user.id, _index_keys(user.id, stored))
    draft.put(credential_key(user.id), None)
    for pk, keys_of in belongings_of(user.id).items():
        for written in draft.written(pk):
            _remove(draft, keys_of(user.id, written.sk))
    if draft.was_there(key):
        draft.put(key, {"rev": draft.rev, "purging": draft.rev})
        draft.put(removal_key(user.id), _owned_by(user.id))
    else:
        draft.put(key, None)


def require_user(draft: Draft, user: User) -> None:
    _user_at(draft, user.id, user.version)


def list_admin(draft: Draft, user_id: str) -> None:
    """Make what leads to a user who was stored when nothing led to admins yet, if they are one."""
    stored = draft.known(user_key(user_id))
    if stored is not None and is_active_admin(stored):
        draft.put(admin_key(user_id), _owned_by(user_id))


def add_post(draft: Draft, post: Post) -> None:
    _add(draft, post_keys(post.author_id, post.id), post.author_id, post_image(post, draft.rev))


def save_post(draft: Draft, post: Post) -> None:
    keys = post_keys(post.author_id, post.id)
    _check_at(draft, keys, post.author_id, post.version - 1)
    draft.put(keys.record, post_image(post, draft.rev))


def remove_post(draft: Draft, post: Post) -> None:
    keys = post_keys(post.author_id, post.id)
    _check_at(draft, keys, post.author_id, post.version)
    _remove(draft, keys)


def add_session(draft: Draft, session: Session) -> None:
    _add(draft, session_keys(session.user_id, session.id), session.user_id, session_image(session, draft.rev))


def save_session(draft: Draft, session: Session) -> None:
    keys = session_keys(session.user_id, session.id)
    _check_at(draft, keys, session.user_id, session.version - 1)
    draft.put(keys.record, session_image(session, draft.rev))


def remove_session(draft: Draft, session: Session) -> None:
    keys = session_keys(session.user_id, session.id)
    _check_at(draft, keys, session.user_id, session.version)
    _remove(draft, keys)


def put_credential(draft: Draft, credential: Credential) -> None:
    if not draft.has_user(user_key(credential.user_id)):
        raise UserNotFound
    draft.put(credential_key(credential.user_id), credential_image(credential, draft.rev))


def require_credential(draft: Draft, credential: Credential) -> None:
    stored = draft.known(credential_key(credential.user_id))
    if stored is None or stored["password_hash"] != credential.password_hash:
        raise StaleVersion


def add_failures(draft: Draft, failures: SignInFailures) -> None:
    key = failures_key(failures.key)
    if draft.presumed(key, None) is not None:
        raise IdTaken
    image = failures_image(failures, draft.rev)
    _claim(draft, failures.key, [expiry_key(image, failures.key)])
    draft.put(key, image)


def save_failures(draft: Draft, failures: SignInFailures) -> None:
    stored = _failures_at(draft, failures.key, failures.version - 1)
    image = failures_image(failures, draft.rev)
    _free(draft, failures.key, [expiry_key(stored, failures.key)])
    _claim(draft, failures.key, [expiry_key(image, failures.key)])
    draft.put(failures_key(failures.key), image)


def remove_failures(draft: Draft, failures: SignInFailures) -> None:
    stored = _failures_at(draft, failures.key, failures.version)
    _free(draft, failures.key, [expiry_key(stored, failures.key)])
    draft.put(failures_key(failures.key), None)


def _user_at(draft: Draft, user_id: str, version: int) -> Image:
    stored = draft.known(user_key(user_id))
    if stored is not None and stored.get("purging", draft.rev) != draft.rev:
        raise Unpurged(user_id)
    if stored is None or stored.get("version") != version:
        raise StaleVersion
    return stored


def _failures_at(draft: Draft, key: str, version: int) -> Image:
    stored = draft.known(failures_key(key))
    if stored is None or stored["version"] != version:
        raise StaleVersion
    return stored


def _add(draft: Draft, keys: Belonging, user_id: str, image: Image) -> None:
    pointer = draft.presumed(keys.pointer, None)
    if pointer is not None:
        owner = draft.known(user_key(pointer["owner"]))
        if draft.written(keys.pointer.pk) or (owner is not None and "purging" not in owner):
            raise IdTaken
        if owner is None or owner["purging"] != draft.rev:
            raise Unpurged(pointer["owner"])  # else what it leads to goes with this very commit
    if not draft.has_user(user_key(user_id)):
        raise UserNotFound
    draft.put(keys.record, image)
    draft.put(keys.pointer, _owned_by(user_id))


def _remove(draft: Draft, keys: Belonging) -> None:
    draft.put(keys.record, None)
    draft.put(keys.pointer, None)


def _check_at(draft: Draft, keys: Belonging, user_id: str, version: int) -> None:
    stored, owner = draft.known(keys.record), user_key(user_id)
    if stored is None or stored["version"] != version or not draft.has_user(owner):
        raise StaleVersion
    if draft.replaces(owner) and stored["rev"] != draft.rev:
        raise StaleVersion  # it goes with the earlier user


def _index_keys(user_id: str, image: Image) -> Set[Key]:
    keys = [email_key(image["email_key"]), name_key(image, user_id)]
    if "username_key" in image:
        keys.append(username_key(image["username_key"]))
    if is_active_admin(image):
        keys.append(admin_key(user_id))
    return dict.fromkeys(keys).keys()


def _claim(draft: Draft, owner: str, keys: Collection[Key]) -> None:
    for key in keys:
        if key.pk in _TAKEN and draft.presumed(key, None) is not None:
            raise _TAKEN[key.pk]
        draft.put(key, _owned_by(owner))


def _free(draft: Draft, owner: str, keys: Collection[Key]) -> None:
    for key in keys:
        draft.presumed(key, _owned_by(owner))
        draft.put(key, None)


def _owned_by(owner: str) -> Image:
    return {"owner": owner}
