"""Traces of requests, storage operations and jobs, as a collector receives them."""

import json
import logging
from collections.abc import Iterator
from typing import Final

# Now, because they keep a reference to the environment, which other tests replace.
import opentelemetry.exporter.otlp.proto.http.trace_exporter
import opentelemetry.sdk.trace.export  # noqa: F401
import pytest

from application.ports import JobFailed
from domain.jobs import JOBS, Job
from domain.values import JobId
from entrypoints.environment import SettingsError
from entrypoints.logs import JsonFormatter, TextFormatter
from entrypoints.telemetry import check_telemetry
from tests.cli.commands import userport
from tests.http.collector import Collector, attributes_of, collecting
from tests.http.records import path_of, register
from tests.http.service import running
from tests.http.sign_in_helpers import SIGNING_KEY, a_member

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = "00f067aa0ba902b7"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        yield collector


async def test_a_request_is_a_span_of_its_callers_trace_with_a_span_for_each_storage_operation(
    collector: Collector,
) -> None:
    async with running("memory://", traced=True) as service, service.connect() as client:
        user = await register(client)
        collector_before = len(collector.bodies)
        await client.get(path_of(user), headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert collector_before == 0
    request = collector.one("GET /users/{id}")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes_of(request) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/users/{id}",
        "network.protocol.version": "1.1",
        "url.scheme": "http",
    }
    storage = collector.one("storage.users.get")
    assert (storage.trace_id, storage.parent_span_id) == (request.trace_id, request.span_id)
    assert attributes_of(storage) == {
        "db.system.name": "memory",
        "db.operation.name": "get",
        "db.collection.name": "users",
    }
    sign_up = collector.one("POST /users")
    assert collector.one("storage.commit").parent_span_id == sign_up.span_id
    assert sign_up.trace_id != request.trace_id
    assert b"userport" in collector.bodies[0]


async def test_a_request_that_its_caller_does_not_sample_has_no_span_but_its_trace_id_is_logged(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonFormatter())
    async with running("memory://", traced=True) as service, service.connect(survives_bugs=True) as client:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
        assert (await client.get("/users", headers=headers)).status_code == 200
        service.container.users.override(None)
        failed = await client.get("/users", headers=headers)
    assert failed.status_code == 500
    assert collector.spans == []
    (line,) = [json.loads(line) for line in caplog.text.splitlines() if "failed" in line]
    assert (line["trace_id"], line["span_id"], line["request_id"]) == (TRACE, PARENT, failed.headers["x-request-id"])


async def test_only_the_sampled_share_of_traces_is_exported(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    async with running("memory://", traced=True) as service, service.connect() as client:
        for _ in range(200):
            await client.get("/users")
    requests = [span for span in collector.spans if span.name == "GET /users"]
    assert 20 < len(requests) < 90
    assert len({span.trace_id for span in requests}) == len(requests)
    # The ratio is one of trace ids, so that all services sample the same traces.
    assert all(int.from_bytes(span.trace_id[8:]) < 0.25 * 2**64 for span in requests)
    assert len([span for span in collector.spans if span.name == "storage.users.page"]) == len(requests)


@pytest.mark.parametrize(
    ("sampler", "ratio", "sampled", "sampled_children"),
    [
        ("always_on", "", 3, 3),
        ("always_off", "", 0, 0),
        ("parentbased_always_on", "", 3, 0),
        ("parentbased_always_off", "", 0, 0),
        ("traceidratio", "0", 0, 0),
        ("traceidratio", "1", 3, 3),
        ("parentbased_traceidratio", "1", 3, 0),
    ],
)
async def test_samplers_decide_as_they_are_documented(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    sampler: str,
    ratio: str,
    sampled: int,
    sampled_children: int,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
    async with running("memory://", traced=True) as service, service.connect() as client:
        for _ in range(3):
            await client.get("/users")
            await client.get("/health/live", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    names = [span.name for span in collector.spans]
    assert (names.count("GET /users"), names.count("GET /health/live")) == (sampled, sampled_children)


async def test_a_job_is_a_trace_of_its_own_and_its_log_lines_name_it(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Job) -> None:
        raise JobFailed("no")

    async with running("memory://", traced=True, signing_key=SIGNING_KEY, hashes=False) as service:
        async with service.connect() as client:
            await a_member(client)
        await service.do_jobs()
    caplog.handler.setFormatter(TextFormatter())
    async with running("memory://", traced=True, handlers={"mail": fail}) as service:
        unit = service.storage.unit_of_work()
        job_id, now = service.container.ids().new(JobId), service.container.clock().now()
        unit.records(JOBS).add(Job.create(id=job_id, kind="mail", payload={}, due_at=now))
        await unit.commit()
        await service.do_jobs()
    done, failed = [span for span in collector.spans if span.name == "job mail"]
    assert attributes_of(done) == {"userport.job.kind": "mail"}
    assert "storage.one_time_tokens.get" in {
        span.name for span in collector.spans if span.parent_span_id == done.span_id
    }
    assert attributes_of(failed)["error.type"] == "failed"
    assert f"trace_id={failed.trace_id.hex()} span_id={failed.span_id.hex()}" in caplog.text


async def test_a_collector_that_is_away_costs_one_line(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    async with running("memory://", traced=True) as service, service.connect() as client:
        assert [(await client.get("/users")).status_code for _ in range(3)] == [200] * 3
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "traces are lost: the collector does not accept them"
    ]


async def test_nothing_is_traced_unless_a_variable_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for variables in ({}, {"OTEL_SERVICE_NAME": "x"}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            async with running("memory://", traced=True) as service:
                assert service.container.tracing() is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "hunter2"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "hunter2:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "hunter2"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
    ],
)
def test_a_wrong_variable_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "1")
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as raised:
        check_telemetry()
    assert "hunter2" not in str(raised.value)


def test_a_wrong_variable_ends_the_server_with_one_line() -> None:
    ended = userport("serve", "--storage", "memory://", OTEL_TRACES_EXPORTER="hunter2")
    assert (ended.exit_code, ended.errors.count("\n")) == (2, 1)
    assert "OTEL_TRACES_EXPORTER" in ended.errors
    assert "hunter2" not in ended.errors
