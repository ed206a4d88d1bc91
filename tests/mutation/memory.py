"""Mistakes in the memory adapter."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

_repositories = partial(Bug, file="adapters/memory/storage.py", store="memory")
_tables = partial(Bug, file="adapters/memory/tables.py", store="memory")
_table = partial(Bug, file="adapters/memory/table.py", store="memory")

BUGS: Final[Sequence[Bug]] = (
    _repositories(
        what="a failed commit is not taken back",
        old="            for undo in reversed(journal):\n                undo()\n            raise",
        new="            raise",
    ),
    _repositories(
        what="a failed commit is taken back first things first",
        old="for undo in reversed(journal):",
        new="for undo in journal:",
    ),
    _repositories(
        what="a failed commit stays staged",
        old="        self._staged.clear()\n        journal: Journal = []",
        new="        journal: Journal = []",
    ),
    _repositories(
        what="a commit applies its writes backwards",
        old="for write in writes:",
        new="for write in reversed(writes):",
    ),
    _repositories(
        what="a commit's failure is swallowed",
        old="                undo()\n            raise",
        new="                undo()",
    ),
    _repositories(
        what="a page of users ignores skip",
        old="self._tables.users.walk(after, descending=descending), skip, skip + limit",
        new="self._tables.users.walk(after, descending=descending), limit",
    ),
    _repositories(
        what="skipped users count towards the limit",
        old="self._tables.users.walk(after, descending=descending), skip, skip + limit",
        new="self._tables.users.walk(after, descending=descending), skip, limit",
    ),
    _repositories(
        what="a page of posts ignores skip",
        old="posts.walk(after, descending=descending), skip, skip + limit",
        new="posts.walk(after, descending=descending), limit",
    ),
    _repositories(
        what="a search ignores its direction",
        old="self._starting_with(prefix, descending=descending), limit",
        new="self._starting_with(prefix), limit",
    ),
    _repositories(
        what="a search looks for the text anywhere",
        old="key.startswith(prefix)",
        new="prefix in key",
    ),
    _repositories(
        what="a search looks at the name alone",
        old="for key in user.search_keys)",
        new="for key in user.search_keys[:1])",
    ),
    _repositories(
        what="an email asked for twice finds its owner twice",
        old="for email in {email.canonical: email for email in emails}.values()]",
        new="for email in emails]",
    ),
    _table(
        what="a page begins with the record that it comes after",
        old="bisect_right(self._keys, after)\n        return",
        new="bisect_left(self._keys, after)\n        return",
    ),
    _table(
        what="a page backwards begins with the record that it comes after",
        old="end = len(self._keys) if after is None else bisect_left(self._keys, after)",
        new="end = len(self._keys) if after is None else bisect_right(self._keys, after)",
    ),
    _table(
        what="records are listed as they came in",
        old="            insort(self._keys, key)",
        new="            self._keys.append(key)",
    ),
    _tables(
        what="a taken email is not noticed",
        old="        if user.email.canonical in self.ids_by_email:\n            raise EmailTaken\n",
        new="",
    ),
    _tables(
        what="emails are unique as they are written",
        old="if user.email.canonical in self.ids_by_email:",
        new="if user.email.address in self.ids_by_email:",
    ),
    _tables(
        what="a taken username is called a taken email",
        old="raise UsernameTaken",
        new="raise EmailTaken",
    ),
    _tables(
        what="a user's id is overwritten",
        old="        if user.id in self.users:\n            raise IdTaken\n",
        new="",
    ),
    _tables(
        what="a save ignores the version",
        old="user is None or user.version != version",
        new="user is None",
    ),
    _tables(
        what="a save accepts a version that is ahead",
        old="user is None or user.version != version",
        new="user is None or user.version > version",
    ),
    _tables(
        what="a removal asks for the version after the one that was read",
        old="self._free_names(self._user_at(user.id, user.version), journal)",
        new="self._free_names(self._user_at(user.id, user.version - 1), journal)",
    ),
    _tables(
        what="a post's version is ignored",
        old="post is None or post.version != version",
        new="post is None",
    ),
    _tables(
        what="a change leaves the old email taken",
        old="        self.ids_by_email.delete(user.email.canonical, journal)\n",
        new="        self.ids_by_email.delete(user.email.canonical, []) if user.id not in self.users else None\n",
    ),
    _tables(
        what="a removed user's posts stay",
        old="            self.remove_post(post, journal)\n",
        new="            pass\n",
    ),
    _tables(
        what="a removed user's credential stays",
        old="            self.credentials.delete(user.id, journal)\n",
        new="            pass\n",
    ),
    _tables(
        what="a post needs no author",
        old="        if post.author_id not in self.users:\n            raise UserNotFound\n",
        new="",
    ),
    _tables(
        what="a credential needs no user",
        old="        if credential.user_id not in self.users:\n            raise UserNotFound\n",
        new="",
    ),
    _tables(
        what="a removed post stays in its author's list",
        old="        self._posts_by_author[post.author_id].delete(post.id, journal)\n",
        new="",
    ),
    _repositories(
        what="inactive admins are among the active ones",
        old="if user.is_active_admin)",
        new="if user.role == 'admin')",
    ),
    _repositories(
        what="active admins are given without a limit",
        old="for user in users if user.is_active_admin), limit))",
        new="for user in users if user.is_active_admin), None))",
    ),
    _repositories(
        what="a required user is not looked at",
        old="self._staged.append(lambda _: self._tables.require_user(user))",
        new="return",
    ),
    _repositories(
        what="a required credential is not looked at",
        old="self._staged.append(lambda _: self._tables.require_credential(credential))",
        new="return",
    ),
    _repositories(
        what="failures that expire this very moment have not expired",
        old="failures.expires_at <= moment",
        new="failures.expires_at < moment",
    ),
    _repositories(
        what="expired failures are given without a limit",
        old="if failures.expires_at <= moment), limit))",
        new="if failures.expires_at <= moment), None))",
    ),
    _tables(
        what="a required user may be at another version",
        old="        self._user_at(user.id, user.version)\n\n    def add_post",
        new="        self._user_at(user.id, self.users.get(user.id).version)\n\n    def add_post",
    ),
    _tables(
        what="any credential does for a required one",
        old="if self.credentials.get(credential.user_id) != credential:",
        new="if credential.user_id not in self.credentials:",
    ),
    _tables(
        what="sessions stay when their user is removed",
        old="            self.remove_session(session, journal)",
        new="            pass",
    ),
    _tables(
        what="a session needs no user",
        old="        if session.user_id not in self.users:\n            raise UserNotFound\n",
        new="",
    ),
    _tables(
        what="a session takes the place of another with its id",
        old="        if session.id in self.sessions:\n            raise IdTaken\n",
        new="",
    ),
    _tables(
        what="a refresh token is used by everybody who comes",
        old="        self._check_session_at(session.id, session.version - 1)\n",
        new="",
    ),
    _tables(
        what="a session ends at whatever version",
        old="        self._check_session_at(session.id, session.version)\n",
        new="",
    ),
    _tables(
        what="an ended session is listed still",
        old="        self._sessions_by_user[session.user_id].delete(session.id, journal)\n",
        new="",
    ),
    _tables(
        what="failures are added twice for a key",
        old="        if failures.key in self.sign_in_failures:\n            raise IdTaken\n",
        new="",
    ),
    _tables(
        what="failures are saved over whatever version",
        old="        self._check_failures_at(failures.key, failures.version - 1)\n",
        new="",
    ),
    _tables(
        what="failures are removed at whatever version",
        old="        self._check_failures_at(failures.key, failures.version)\n",
        new="",
    ),
)
