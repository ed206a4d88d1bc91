"""What requests, the storage, sign-ins and jobs leave in the metrics."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from dependency_injector.providers import Object
from starlette.types import Message

from adapters.memory.storage import MemoryStorage, MemoryUnitOfWork
from adapters.metrics.exposition import Exposition
from adapters.metrics.metrics import Metrics
from adapters.metrics.sampling import Sampler
from adapters.metrics.storage import MeasuredStorage
from adapters.runtime.system import Uuid7Source
from adapters.storage_contract.examples import a_user
from adapters.storage_contract.steps import add
from application.ports import JobDelayed, JobFailed
from domain.errors import EmailTaken, StorageNotPrepared, StorageUnavailable, TooBusy
from domain.jobs import JOBS, Job
from domain.storage import Storage
from domain.values import JobId
from tests.application.fakes import ManualClock
from tests.http.records import new_user
from tests.http.scrapes import Measured, labels_by_metric, measured, series_of
from tests.http.service import running
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, a_member, an_admin, refresh, sign_in
from tests.servers.databases import Databases

pytestmark = pytest.mark.usefixtures("short_delays")

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
IDS: Final = Uuid7Source()


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Measured]:
    async with measured(tmp_path) as app:
        yield app


@pytest.fixture
async def client(app: Measured) -> AsyncIterator[httpx.AsyncClient]:
    async with app.service.connect(documented=False, survives_bugs=True) as client:
        yield client


def counted(app: Measured, metric: str) -> Mapping[str, float]:
    """Return the series of a metric that are not 0, by their labels."""
    found = {name.removeprefix(metric): value for name, value in app.series.items() if name.startswith(f"{metric}{{")}
    return {labels: value for labels, value in found.items() if value}


async def test_requests_are_counted_once_by_method_template_and_status(
    app: Measured, client: httpx.AsyncClient
) -> None:
    admin = await an_admin(app.service, client)
    before = counted(app, "userport_http_requests_total")
    await client.get(f"/users/{admin.user['id']}", headers=admin.headers)
    await client.head(f"/users/{admin.user['id']}/", headers=admin.headers)
    await client.get("/users/7", headers=admin.headers)
    await client.get("/users/7")
    await client.delete("/users")
    await client.get("/nowhere")
    await client.request("BREW", "/users")
    await client.get("/health/ready")
    after = counted(app, "userport_http_requests_total")
    more = {labels: value - before.get(labels, 0) for labels, value in after.items()}
    assert {labels: number for labels, number in more.items() if number} == {
        '{method="GET",route="/users/{id}",status="200"}': 1,
        '{method="HEAD",route="/users/{id}",status="200"}': 1,
        '{method="GET",route="/users/{id}",status="404"}': 1,
        '{method="GET",route="/users/{id}",status="401"}': 1,
        '{method="DELETE",route="unmatched",status="405"}': 1,
        '{method="GET",route="unmatched",status="404"}': 1,
        '{method="OTHER",route="unmatched",status="405"}': 1,
        '{method="GET",route="/health/ready",status="200"}': 1,
    }
    durations = counted(app, "userport_http_request_duration_seconds_count")
    assert sum(durations.values()) == sum(after.values())


async def test_a_bug_is_counted_as_500(
    app: Measured, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(MemoryStorage, "ping", fail)
    await client.get("/health/ready")
    assert counted(app, "userport_http_requests_total") == {'{method="GET",route="/health/ready",status="500"}': 1}
    assert counted(app, "userport_storage_operations_total")['{operation="ping",outcome="unavailable"}'] == 1


@pytest.mark.slow
async def test_thousands_of_random_paths_and_methods_make_fewer_than_500_series(app: Measured) -> None:
    choose = random.Random(7)  # noqa: S311
    parts = ["users", "posts", "auth", "health", "token", "me", "\0", "é", "", "..", "metrics"]
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
    for number in range(10_000):
        path = "/" + "/".join(choose.choice([*parts, f"{number:x}"]) for _ in range(choose.randint(1, 4)))
        await request(app, choose.choice([*methods, f"M{number}"]), path)
    assert sum(counted(app, "userport_http_requests_total").values()) == 10_000
    assert len([line for line in app.text.splitlines() if not line.startswith("#")]) < 500


async def request(app: Measured, method: str, path: str) -> None:
    """Send a request that no client would let pass, and which takes less time than with one."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(_: Message) -> None: ...

    scope = {"type": "http", "http_version": "1.1", "method": method, "path": path, "query_string": b"", "headers": []}
    await app.service.app({**scope, "scheme": "http", "client": None, "server": None}, receive, send)


class FailingStorage(MemoryStorage):
    """Raises an error at each commit."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def unit_of_work(self) -> MemoryUnitOfWork:
        unit = super().unit_of_work()
        error = self._error

        async def fail() -> None:
            raise error

        unit.commit = fail  # type: ignore[method-assign]
        return unit


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (EmailTaken(), "conflict"),
        (TooBusy(), "busy"),
        (StorageUnavailable(), "unavailable"),
        (StorageNotPrepared(), "unavailable"),
        (asyncio.CancelledError(), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
async def test_calls_of_the_storage_are_counted_by_outcome(
    tmp_path: Path, error: BaseException, outcome: str | None
) -> None:
    async with measured(tmp_path, storage=None) as app:
        storage = MeasuredStorage(FailingStorage(error), app.metrics)
        with pytest.raises(type(error)):
            await add(storage, a_user())
        found = counted(app, "userport_storage_operations_total")
        assert {key: value for key, value in found.items() if "commit" in key} == (
            {f'{{operation="commit",outcome="{outcome}"}}': 1} if outcome else {}
        )
        await storage.unit_of_work().users.count()
        assert counted(app, "userport_storage_operations_total")['{operation="users.count",outcome="ok"}'] == 1


async def test_sign_ins_and_refreshes_are_counted_by_outcome(tmp_path: Path) -> None:
    async with measured(tmp_path, sign_in_failures_per_account=2) as app, app.service.connect() as client:
        clock = ManualClock()
        clock.time = datetime.now(UTC)
        app.service.container.clock.override(Object(clock))
        member = await a_member(client)
        for _ in range(3):
            await sign_in(client, member.user["email"], "wrong horse battery")
        first = member.tokens["refresh_token"]
        await refresh(client, first)
        await refresh(client, first)
        await refresh(client, "nonsense")
        clock.time += timedelta(minutes=5)
        await refresh(client, first)
        assert counted(app, "userport_sign_ins_total") == {
            '{outcome="success"}': 1,
            '{outcome="failure"}': 2,
            '{outcome="throttled"}': 1,
        }
        assert counted(app, "userport_refreshes_total") == {
            '{outcome="success"}': 1,
            '{outcome="repeated"}': 1,
            '{outcome="reused"}': 1,
            '{outcome="failure"}': 1,
        }


async def stage(storage: Storage, *kinds: str, **changes: Any) -> None:
    now = datetime.now(UTC) - timedelta(seconds=90)
    unit = storage.unit_of_work()
    for kind in kinds:
        job = Job.create(id=IDS.new(JobId), kind=kind, payload={}, due_at=now)
        unit.records(JOBS).add(job)
        if changes:
            unit.records(JOBS).save(job.fail("No.", now - Job.FAILED_RETENTION))
    await unit.commit()


async def test_jobs_are_counted_by_kind_and_outcome(tmp_path: Path) -> None:
    async def done(_: Job) -> None: ...

    async def later(_: Job) -> None:
        raise JobDelayed("not now")

    async def never(_: Job) -> None:
        raise JobFailed("never")

    async with measured(tmp_path, handlers={"done": done, "later": later, "never": never}) as app:
        await stage(app.service.storage, "done", "later", "never", "unheard-of")
        await stage(app.service.storage, "done", failed=True)
        await app.service.do_jobs()
        assert counted(app, "userport_jobs_total") == {
            '{kind="done",outcome="done"}': 1,
            '{kind="later",outcome="retried"}': 1,
            '{kind="never",outcome="failed"}': 1,
            '{kind="OTHER",outcome="retried"}': 1,
        }


async def test_one_process_of_several_counts_the_jobs_that_wait(tmp_path: Path) -> None:
    async with measured(tmp_path) as app:
        await stage(app.service.storage, "mail", "mail")
        container = app.service.container
        samplers = [
            asyncio.create_task(Sampler(container.store(), container.storage(), container.clock(), metrics).run())
            for metrics in [app.metrics] * 3
        ]
        await app.wait_for("userport_jobs_due")
        assert app.series["userport_jobs_due"] == 2
        assert 90 <= app.series["userport_jobs_oldest_due_seconds"] < 200
        for sampler in samplers:
            sampler.cancel()
        await asyncio.wait(samplers)
        reads = counted(app, "userport_storage_operations_total")['{operation="records.due",outcome="ok"}']
        assert reads == 1


async def test_batches_and_connections_of_a_pool_are_reported(tmp_path: Path, databases: Databases) -> None:
    with databases.fresh("sqlite") as url:
        async with measured(tmp_path, url) as app:
            users = app.service.storage.unit_of_work().users
            await asyncio.gather(*(users.get(a_user().id) for _ in range(7)))
            series = app.series
            assert series['userport_storage_batch_size_sum{operation="get"}'] >= 7
            assert series['userport_storage_batch_size_count{operation="get"}'] < 7
            assert 'userport_storage_connections{state="used"}' in series
            assert 'userport_storage_connections{state="idle"}' in series


def test_a_file_that_grows_keeps_the_values_that_were_in_it(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    exposition = Exposition(tmp_path, "1.2.3", one_process=False)
    metrics.count_sign_in("success")
    for number in range(2_000):
        metrics.count_requests("GET", f"/{number}", 200, [0.1])
    metrics.count_sign_in("success")
    metrics.count_requests("GET", "/0", 200, [0.1])
    series = series_of(exposition.render("")[0].decode())
    assert series['userport_sign_ins_total{outcome="success"}'] == 2
    assert series['userport_http_requests_total{method="GET",route="/0",status="200"}'] == 2
    assert series['userport_http_request_duration_seconds_count{method="GET",route="/0"}'] == 2
    assert series['userport_http_requests_total{method="GET",route="/1999",status="200"}'] == 1
    metrics.close()
    assert series_of(exposition.render("")[0].decode()) == series


def test_requests_that_are_counted_together_are_in_the_buckets_of_their_durations(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    exposition = Exposition(tmp_path, "1.2.3", one_process=False)
    metrics.count_requests("GET", "/", 200, [0.001, 0.002, 7.0, 11.0])
    metrics.count_requests("GET", "/", 404, [0.002])
    text = exposition.render("")[0].decode()
    for bound, number in {"0.001": 1, "0.0025": 3, "5.0": 3, "10.0": 4, "+Inf": 5}.items():
        bucket = f'userport_http_request_duration_seconds_bucket{{le="{bound}",method="GET",route="/"}}'
        assert f"{bucket} {float(number)}" in text.splitlines()
    series = series_of(text)
    assert series['userport_http_request_duration_seconds_sum{method="GET",route="/"}'] == pytest.approx(18.005)
    assert series['userport_http_requests_total{method="GET",route="/",status="200"}'] == 4
    metrics.close()


def test_calls_of_a_loop_that_has_ended_are_counted_with_those_of_the_next(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    exposition = Exposition(tmp_path, "1.2.3", one_process=False)
    measure = metrics.operation("ping")
    asyncio.run(measure(asyncio.sleep(0)))

    async def measure_and_wait() -> None:
        await measure(asyncio.sleep(0))
        series = 'userport_storage_operations_total{operation="ping",outcome="ok"}'
        while series not in (found := series_of(exposition.render("")[0].decode())):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)
        assert found[series] == 2

    asyncio.run(measure_and_wait())
    metrics.close()


def files_of(directory: Path) -> Sequence[Path]:
    return list(directory.glob("*.db"))


async def test_no_secret_and_no_value_of_a_caller_is_in_the_metrics(
    app: Measured, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    secret = "hunter2-s3cret"
    email = f"{secret}@example.org"
    await client.post("/users", json=new_user(email=email, password=PASSWORD, name=secret))
    tokens = (await sign_in(client, email)).json()
    await sign_in(client, email, secret)
    await sign_in(client, secret, secret)
    await refresh(client, secret)
    await refresh(client, tokens["refresh_token"])
    headers = {"authorization": f"Bearer {secret}", "x-request-id": secret, "user-agent": secret, "host": secret}
    for method in ("GET", "POST", secret.upper().replace("-", "")):
        for path in (f"/users/{secret}", f"/{secret}?token={secret}", "/auth/token", f"/password-resets/{secret}"):
            await client.request(method, path, headers=headers, content=secret)
    await stage(app.service.storage, secret)
    await app.service.do_jobs()
    scraped = app.text
    files = b"".join(path.read_bytes() for path in files_of(tmp_path)).decode("latin-1")
    for text in (scraped, app.exposition.render("application/openmetrics-text; version=1.0.0")[0].decode(), files):
        assert "userport_http_requests" in text
        for value in (secret, secret.upper(), "HUNTER2", PASSWORD, SIGNING_KEY.splitlines()[1], *tokens.values()):
            assert str(value) not in text or value in (900, "Bearer")


async def test_without_metrics_nothing_is_installed() -> None:
    async with running() as service:
        assert service.container.metrics() is None
        assert service.container.storage() is service.container.store()
        options = {found.cls.__name__: found.kwargs for found in service.app.user_middleware}  # type: ignore[attr-defined]
        assert options["RequestOutcomeMiddleware"] == {"ended_requests": None}


async def test_the_reference_names_every_metric_with_its_labels(tmp_path: Path, databases: Databases) -> None:
    rows = re.findall(r"^\| `(userport_\w+)` \| \w+ \| ([^|]*)\|", REFERENCE.read_text(), re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    with databases.fresh("sqlite") as url:
        async with measured(tmp_path, url, sign_in_failures_per_account=0) as app, app.service.connect() as client:
            member = await a_member(client)
            await client.get("/users/me", headers=member.headers)
            app.service.container.job_runner()
            app.metrics.lookup_counter()("hit")
            await app.wait_for("userport_jobs_due")
            found: dict[str, set[str]] = {}
            for name, labels in labels_by_metric(app.text).items():
                found.setdefault(re.sub("_(bucket|sum|count)$", "", name), set()).update(labels - {"le"})
    assert found == documented
