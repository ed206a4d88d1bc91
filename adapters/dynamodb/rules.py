"""What each write makes of a draft, and why it may be refused: the constraints that all records obey."""

from collections.abc import Collection, Set
from typing import Final

from adapters.dynamodb.draft import Draft, Unpurged
from adapters.dynamodb.items import (
    Image,
    Key,
    author_key,
    credential_image,
    credential_key,
    email_key,
    is_user,
    name_key,
    post_image,
    post_key,
    posts_of,
    removal_key,
    user_image,
    user_key,
    username_key,
)
from domain.credential import Credential
from domain.errors import EmailTaken, IdTaken, StaleVersion, UsernameTaken, UserNotFound
from domain.post import Post
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
        # The posts of an earlier user of this id are still there: all that no commit but this one writes.
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
    _claim(draft, user.id, after - before)
    draft.put(user_key(user.id), image)


def remove_user(draft: Draft, user: User) -> None:
    key = user_key(user.id)
    stored = _user_at(draft, user.id, user.version)
    _free(draft, user.id, _index_keys(user.id, stored))
    draft.put(credential_key(user.id), None)
    for written in draft.written(posts_of(user.id)):
        draft.put(written, None)
        draft.put(author_key(written.sk), None)
    if draft.was_there(key):
        draft.put(key, {"rev": draft.rev, "purging": draft.rev})
        draft.put(removal_key(user.id), _owned_by(user.id))
    else:
        draft.put(key, None)


def add_post(draft: Draft, post: Post) -> None:
    key = author_key(post.id)
    pointer = draft.presumed(key, None)
    if pointer is not None:
        author = draft.known(user_key(pointer["owner"]))
        if draft.written(key.pk) or (author is not None and "purging" not in author):
            raise IdTaken
        if author is None or author["purging"] != draft.rev:
            raise Unpurged(pointer["owner"])  # else that post goes with this very commit
    if not draft.has_user(user_key(post.author_id)):
        raise UserNotFound
    draft.put(post_key(post.author_id, post.id), post_image(post, draft.rev))
    draft.put(key, _owned_by(post.author_id))


def save_post(draft: Draft, post: Post) -> None:
    _check_post_at(draft, post, post.version - 1)
    draft.put(post_key(post.author_id, post.id), post_image(post, draft.rev))


def remove_post(draft: Draft, post: Post) -> None:
    _check_post_at(draft, post, post.version)
    draft.put(post_key(post.author_id, post.id), None)
    draft.put(author_key(post.id), None)


def put_credential(draft: Draft, credential: Credential) -> None:
    if not draft.has_user(user_key(credential.user_id)):
        raise UserNotFound
    draft.put(credential_key(credential.user_id), credential_image(credential, draft.rev))


def _user_at(draft: Draft, user_id: str, version: int) -> Image:
    stored = draft.known(user_key(user_id))
    if stored is not None and stored.get("purging", draft.rev) != draft.rev:
        raise Unpurged(user_id)
    if stored is None or stored.get("version") != version:
        raise StaleVersion
    return stored


def _check_post_at(draft: Draft, post: Post, version: int) -> None:
    stored = draft.known(post_key(post.author_id, post.id))
    if stored is None or stored["version"] != version or not draft.has_user(user_key(post.author_id)):
        raise StaleVersion


def _index_keys(user_id: str, image: Image) -> Set[Key]:
    keys = [email_key(image["email_key"]), name_key(image, user_id)]
    if "username_key" in image:
        keys.append(username_key(image["username_key"]))
    return dict.fromkeys(keys).keys()


def _claim(draft: Draft, user_id: str, keys: Collection[Key]) -> None:
    for key in keys:
        if key.pk in _TAKEN and draft.presumed(key, None) is not None:
            raise _TAKEN[key.pk]
        draft.put(key, _owned_by(user_id))


def _free(draft: Draft, user_id: str, keys: Collection[Key]) -> None:
    for key in keys:
        draft.presumed(key, _owned_by(user_id))
        draft.put(key, None)


def _owned_by(user_id: str) -> Image:
    return {"owner": user_id}
