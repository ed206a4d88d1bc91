"""The measurement: every app, with every call, in every round."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.bench import tokens
from benchmarks.bench.app import App
from benchmarks.bench.apps import USERPORT, Userport
from benchmarks.bench.calls import ANY_PAGE, LAST_PAGE, ONE_RECORD, ONE_USER, WITH_TOKEN, Call
from benchmarks.bench.conformance import check_responses, check_statuses
from benchmarks.bench.results import IdleApp, Measurement, StoreResults
from benchmarks.bench.sample_users import sample_users
from benchmarks.bench.storages import StorageProvider
from benchmarks.bench.worker import Worker
from benchmarks.bench.wrk import Run, load
from tests.servers.process import free_port

_FROM_THE_END: Final = 100
_PAGES: Final = 200


@dataclass(frozen=True, slots=True)
class Plan:
    apps: Sequence[App]
    calls: Sequence[Call]
    connections: Sequence[int]
    users: int
    rounds: int
    seconds: int

    def cases(self) -> Iterator[tuple[Call, int]]:
        """Return the cases for each app; one connection alone shows the latency."""
        for connections in self.connections:
            for call in self.calls:
                yield call, connections
        if ONE_USER in self.calls:
            yield ONE_USER, 1


class Comparison:
    """The comparison of the apps on one kind of store."""

    def __init__(self, plan: Plan, provider: StorageProvider, directory: Path) -> None:
        self._plan = plan
        self._provider = provider
        self._directory = directory
        self._users = list(sample_users(plan.users))
        self._skipped = plan.users - _FROM_THE_END

    def run(self) -> StoreResults:
        urls = {app: self._filled(app) for app in self._plan.apps}
        at_rest = self._start_in_turns(urls)
        with ExitStack() as ends:
            workers = {app: ends.enter_context(self._worker(app, url)) for app, url in urls.items()}
            for app, worker in workers.items():
                self._check(app, worker)
            with_token: dict[App, Worker] = {}
            if USERPORT in workers and WITH_TOKEN in self._plan.calls:
                tokens.add_admin(workers[USERPORT].port)
                app = Userport("userport-token", tokens.make_key(self._directory))
                with_token[USERPORT] = ends.enter_context(self._worker(app, urls[USERPORT]))
            return StoreResults(self._provider.version, at_rest, self._measure(workers, with_token))

    def _filled(self, app: App) -> str:
        print(f"filling {app.name} …", flush=True)
        url = self._provider.new(app.name)
        app.fill(url, self._plan.users)
        self._provider.settle(url)
        return url

    def _worker(self, app: App, url: str) -> Worker:
        port = free_port()
        return Worker(app, url, port, self._directory / f"{app.name}.log")

    def _start_in_turns(self, urls: Mapping[App, str]) -> dict[str, IdleApp]:
        found = {app.name: IdleApp() for app in urls}
        for _ in range(self._plan.rounds):
            for app, url in urls.items():
                with self._worker(app, url) as worker:
                    found[app.name].seconds_to_first_answer.append(worker.seconds_to_first_answer)
                    found[app.name].idle_mebibytes.append(worker.idle_mebibytes())
        return found

    def _check(self, app: App, worker: Worker) -> None:
        if app.keeps_users:
            check_responses(app.name, worker.port, self._users, self._path_of_last_page(app), self._skipped)
        else:
            check_statuses(app.name, worker.port, app.path_of_user(self._users[0].id), app.calls is None)

    def _paths_of_users(self, app: App) -> Path:
        file = self._directory / f"{app.name}.users"
        if not file.exists():
            file.write_text("".join(f"{app.path_of_user(user.id)}\n" for user in self._users))
        return file

    def _paths_of_pages(self, app: App) -> Path:
        """Write the paths of some pages to a file, evenly spread over all users."""
        file = self._directory / f"{app.name}.pages"
        steps = range(0, len(self._users) - _FROM_THE_END, len(self._users) // _PAGES)
        file.write_text("".join(f"{app.path_of_page(self._users[step].id, step + 1)}\n" for step in steps))
        return file

    def _path_of_last_page(self, app: App) -> str:
        return app.path_of_page(self._users[self._skipped - 1].id, self._skipped)

    def _measure(self, workers: Mapping[App, Worker], with_token: Mapping[App, Worker]) -> Sequence[Measurement]:
        runs: dict[tuple[str, int, str], list[Run]] = {}
        for number in range(self._plan.rounds + 1):  # the first round warms up
            for call, connections in self._plan.cases():
                print(f"round {number}: {call.name}, connections: {connections} …", flush=True)
                for app, worker in (with_token if call is WITH_TOKEN else workers).items():
                    if app.calls is not None and call.name not in app.calls:
                        continue
                    script = self._script(call, app, worker)
                    run = load(worker.port, script, connections, self._plan.seconds, self._directory)
                    if number:
                        runs.setdefault((call.name, connections, app.name), []).append(run)
        return [Measurement(*case, found) for case, found in runs.items()]

    def _script(self, call: Call, app: App, worker: Worker) -> str:
        if call is WITH_TOKEN:
            return call.script(self._paths_of_users(app), headers=tokens.sign_in(worker.port))
        if call is ANY_PAGE:
            return call.script(self._paths_of_pages(app))
        if call is LAST_PAGE:
            return call.script(self._paths_of_users(app), self._path_of_last_page(app))
        if call is ONE_RECORD:
            return call.script(self._paths_of_users(app), app.path_of_user(self._users[0].id))
        return call.script(self._paths_of_users(app))
