"""The dashboard and the alert rules use metrics that exist, and the rules fire when they should."""

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.cli.serving import serving, unpooled, wait_until_ready
from tests.cli.test_metrics import address_of_metrics
from tests.deploy.promtool import promtool
from tests.http.sign_in_helpers import PASSWORD, SIGNING_KEY, bearer
from tests.servers.choice import find_program, is_chosen
from tests.servers.databases import Databases
from tests.servers.process import free_port

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy" / "prometheus" / "alerts.yaml"
REFERENCE: Final = (ROOT / "docs" / "reference" / "metrics.md").read_text()
DASHBOARD: Final = json.loads((ROOT / "deploy" / "grafana" / "userport.json").read_text())
QUERIES: Final = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
ALERTS: Final = {rule["alert"]: rule["expr"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}

_REQUESTS: Final = 'userport_http_requests_total{job="userport", method="GET", route="/users/{id}", status='
_BUCKET: Final = 'userport_http_request_duration_seconds_bucket{job="userport", method="GET", route="/users", le='
FIRING: Final = {
    "UserportErrors": {f'{_REQUESTS}"200"}}': "0+600x30", f'{_REQUESTS}"503"}}': "0+60x30"},
    "UserportSlow": {f'{_BUCKET}"1.0"}}': "0+90x30", f'{_BUCKET}"2.5"}}': "0+99x30", f'{_BUCKET}"+Inf"}}': "0+99x30"},
    "UserportStorageUnavailable": {
        'userport_storage_operations_total{job="userport", operation="users.get", outcome="unavailable"}': "0+60x30"
    },
    "UserportJobsWait": {'userport_jobs_oldest_due_seconds{job="userport"}': "301+60x30"},
    "UserportGuessing": {
        'userport_sign_ins_total{job="userport", outcome="failure"}': "0+600x30",
        'userport_sign_ins_total{job="userport", outcome="success"}': "0+6x30",
    },
}
"""Series that make each alert fire, with what they gain each minute."""


def test_the_rules_are_valid() -> None:
    code, printed = promtool("check", "rules", RULES)
    assert (code, "5 rules found" in printed) == (0, True), printed


def test_every_metric_and_label_of_dashboard_and_rules_exists() -> None:
    rows = re.findall(r"^\| `(userport_\w+)` \| (\w+) \| ([^|]*)\|", REFERENCE, re.MULTILINE)
    names = {name for name, kind, _ in rows if kind != "histogram"} | {
        f"{name}_{suffix}" for name, kind, _ in rows if kind == "histogram" for suffix in ("bucket", "sum", "count")
    }
    labels = {"le", "job"} | {label for *_, cell in rows for label in re.findall(r"`(\w+)`", cell)}
    for query in (*QUERIES, *ALERTS.values()):
        assert set(re.findall(r"\buserport_\w+", query)) <= names
        used = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", query)
        used += [label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(", ")]
        assert set(used) <= labels
    shown = {name for query in QUERIES for name in re.findall(r"\buserport_\w+", query)}
    assert {name for name, *_ in rows} == {re.sub("_(bucket|sum|count)$", "", name) for name in shown}


def test_each_alert_fires_for_its_reason_alone(tmp_path: Path) -> None:
    assert FIRING.keys() == ALERTS.keys()
    cases = [(alert, series) for alert, series in FIRING.items()] + [(None, {f'{_REQUESTS}"200"}}': "0+600x30"})]
    file = tmp_path / "tests.yaml"
    tests = [_case(series, alert) for alert, series in cases]
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    code, printed = promtool("test", "rules", file)
    assert code == 0, printed


def _case(series: Mapping[str, str], alert: str | None) -> Mapping[str, Any]:
    """Return a test for promtool: half an hour of some series, after which one alert fires, or none."""
    fired = [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if alert else []
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": "29m",
                "exp_samples": fired,
            }
        ],
    }


@contextmanager
def prometheus(directory: Path, target: str) -> Iterator[str]:
    """Run a Prometheus that scrapes a target each second and evaluates the rules; yield its address."""
    scrapes = [{"job_name": "userport", "static_configs": [{"targets": [target]}]}]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": scrapes,
    }
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    options = (f"--config.file={directory}/prometheus.yaml", f"--storage.tsdb.path={directory}/data")
    command = [find_program("prometheus", "prometheus"), *options, f"--web.listen-address={address}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            wait_until_ready(f"http://{address}", "/-/ready")
            yield f"http://{address}/api/v1"
        finally:
            process.terminate()


@pytest.mark.slow
def test_every_query_has_a_result_in_a_prometheus_that_scrapes_userport(tmp_path: Path, databases: Databases) -> None:
    settings = {"USERPORT_METRICS_PORT": "0", "USERPORT_SIGNING_KEY": SIGNING_KEY}
    with ExitStack() as opened:
        queries = QUERIES
        if is_chosen("redis"):
            settings["USERPORT_CACHE"] = opened.enter_context(databases.fresh("redis")).partition("?")[0]
        else:
            queries = [query for query in QUERIES if "userport_cache" not in query]
        sqlite = opened.enter_context(databases.fresh("sqlite"))
        process, url = opened.enter_context(serving(sqlite, **settings))
        target = address_of_metrics(process).removeprefix("http://").removesuffix("/metrics")
        wait_until_ready(url)
        user = {"email": "ann@example.org", "name": "Ann", "password": PASSWORD}
        response = unpooled.post(f"{url}/users", json=user)
        assert response.status_code == 201
        path = response.headers["location"]
        form = {"grant_type": "password", "username": user["email"], "password": PASSWORD}
        with prometheus(tmp_path, target) as api:
            unanswered = list(queries)
            deadline = time.monotonic() + 90
            while unanswered and time.monotonic() < deadline:
                token = unpooled.post(f"{url}/auth/token", data=form).json()["access_token"]
                assert unpooled.get(f"{url}{path}", headers=bearer(token)).status_code == 200
                assert unpooled.post(f"{url}/users", json=user).status_code == 409
                for query in list(unanswered):
                    if _query(api, query):
                        unanswered.remove(query)
                time.sleep(1)
            assert unanswered == []
            (group,) = unpooled.get(f"{api}/rules").json()["data"]["groups"]
            assert {rule["name"]: rule["health"] for rule in group["rules"]} == dict.fromkeys(ALERTS, "ok")


def _query(api: str, query: str) -> list[Any]:
    text = query.replace("$__rate_interval", "20s").replace("$job", ".*")
    answer = unpooled.get(f"{api}/query", params={"query": text}).json()
    assert answer["status"] == "success", answer
    result: list[Any] = answer["data"]["result"]
    return result
