"""A replica set of MongoDB with three members, on the loopback interface."""

import secrets
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.servers.choice import give_up
from tests.servers.mongodb import KIND, MongodbProcess
from tests.servers.process import Unreachable, add_links, hand_over, wait_until

_MEMBERS: Final = 3
_TIMEOUT_MILLISECONDS: Final = 2_000
_STEP_DOWN_SECONDS: Final = 10


class MongodbMember(MongodbProcess):
    """One member. All have the same key and the same password."""

    def __init__(self, programs: Path) -> None:
        super().__init__(programs)
        self.key = ""
        self.has_failpoints = False

    def initialize(self) -> None:
        data, key = self.directory / "data", self.directory / "key"
        data.mkdir()
        key.write_text(self.key)
        key.chmod(0o600)
        hand_over(data)
        hand_over(key)

    def command(self) -> Sequence[str | Path]:
        return [*super().command(), *(("--setParameter", "enableTestCommands=1") if self.has_failpoints else ())]

    def check(self) -> None:
        self.role()

    def role(self) -> dict[str, Any]:
        """Return its view of itself in the replica set."""
        try:
            with self.client() as server:
                return server.admin.command("hello")
        except PyMongoError as error:
            raise Unreachable(str(error)) from error

    def run_as_admin(self, command: str, value: Any = 1, **options: Any) -> None:
        with MongoClient[dict[str, Any]](f"{self.url}&directConnection=true") as server:
            server.admin.command(command, value, **options)

    def set_failpoint(self, name: str, *, on: bool) -> None:
        """Turn a failpoint on or off: code in the server that simulates a failure."""
        self.run_as_admin("configureFailPoint", name, mode="alwaysOn" if on else "off")

    def client(self) -> MongoClient[dict[str, Any]]:
        """Connect to this member alone, as a local client without a login."""
        return MongoClient(
            self._anonymous_url, serverSelectionTimeoutMS=_TIMEOUT_MILLISECONDS, socketTimeoutMS=_TIMEOUT_MILLISECONDS
        )


class MongodbReplicaSet:
    """Starts when it is entered, and is complete then."""

    def __init__(self, *, has_links: bool = False, has_failpoints: bool = False) -> None:
        """With `has_links`, members and clients reach each member through its `link`.

        With `has_failpoints`, failures inside of the members can be simulated.
        """
        programs = KIND.find_programs()
        if programs is None:
            give_up("mongodb", KIND.how_to_get_it)
        self.members = [MongodbMember(programs) for _ in range(_MEMBERS)]
        key = secrets.token_hex(32)
        for member in self.members:
            member.key, member.password = key, self.members[0].password
            member.has_failpoints = has_failpoints
        self._has_links = has_links
        self._ends = ExitStack()

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{member.peer_port}" for member in self.members)
        login = f"userport:{quote(self.members[0].password, safe='')}"
        return f"mongodb://{login}@{hosts}/admin?authSource=admin&replicaSet=userport"

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            if self._has_links:
                add_links(self.members, ends)
            for member in self.members:
                ends.enter_context(member)
                ends.callback(member.kill)  # an orderly end waits for others
            self._initiate()
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def primary(self) -> MongodbMember:
        wait_until(lambda: self._primary() is not None)
        found = self._primary()
        assert found is not None
        return found

    def secondaries(self) -> Sequence[MongodbMember]:
        primary = self.primary()
        return [member for member in self.members if member is not primary]

    def wait_for_another_primary(self, former: MongodbMember) -> None:
        """Wait until a member other than the former primary is the primary."""
        others = [member for member in self.members if member is not former]
        wait_until(lambda: any(member.role()["isWritablePrimary"] for member in others))

    def elect_another_primary(self) -> None:
        """Let the primary step down in favour of a member that has caught up, and wait for that one."""
        former = self.primary()
        former.run_as_admin("replSetStepDown", _STEP_DOWN_SECONDS, secondaryCatchUpPeriodSecs=_STEP_DOWN_SECONDS - 1)
        self.wait_for_another_primary(former)

    def wait_until_complete(self) -> None:
        """Wait until each member is the primary or has caught up with it."""
        wait_until(lambda: all(map(_is_ready, self.members)))

    def _primary(self) -> MongodbMember | None:
        for member in self.members:
            with suppress(Unreachable):
                if member.role()["isWritablePrimary"]:
                    return member
        return None

    def _initiate(self) -> None:
        members = [{"_id": number, "host": f"127.0.0.1:{each.peer_port}"} for number, each in enumerate(self.members)]
        settings = {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500}
        with self.members[0].client() as server:
            server.admin.command("replSetInitiate", {"_id": "userport", "members": members, "settings": settings})
        with self.primary().client() as server:
            concern = {"w": "majority", "wtimeout": 30_000}
            password = self.members[0].password
            server.admin.command("createUser", "userport", pwd=password, roles=["root"], writeConcern=concern)
        self.wait_until_complete()


def _is_ready(member: MongodbMember) -> bool:
    try:
        role = member.role()
    except Unreachable:
        return False
    return bool(role["isWritablePrimary"] or role["secondary"])
