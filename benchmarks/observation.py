"""Measure what metrics, the access log and traces cost a `GET /users/{id}`.

    python -m benchmarks.observation --rounds 20

Of three servers, one observes nothing; one has metrics and the access log as JSON, in a file; one traces a hundredth of
the requests, and exports the spans to a local server. It prints JSON, and needs wrk and two cores.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from benchmarks.bench.calls import Call
from benchmarks.bench.http_client import request
from benchmarks.bench.variants import Variant, compare, given_load


class _Collector(BaseHTTPRequestHandler):
    """Accepts every export."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Log nothing."""


@contextmanager
def _collecting() -> Iterator[str]:
    """Run a collector of spans; yield its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _get_a_user(port: int) -> Call:
    user = request(port, "POST", "/users", {"email": "ann@example.org", "name": "Ann"}).json()
    return Call("GET /users/{id}", path=f"/users/{user['id']}")


def main() -> None:
    given = given_load(__doc__)
    with tempfile.TemporaryDirectory(prefix="userport-bench-") as directory, _collecting() as collector:
        logged = {"USERPORT_METRICS_PORT": "0", "USERPORT_ACCESS_LOG": "true", "USERPORT_LOG_FORMAT": "json"}
        traced = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.01",
        }
        variants = {"unobserved": Variant(), "metrics_and_log": Variant(logged), "traces": Variant(traced)}
        print(json.dumps(compare(variants, _get_a_user, given, Path(directory)), indent=2))


if __name__ == "__main__":
    main()
