"""Measure how long the image takes from its start until it is ready, on SQLite.

    python -m benchmarks.image_start --starts 20

It builds the image as `tests/deploy/test_image.py` does, with docker, podman or, as root, buildah. Each start has an
empty `/data`. It prints JSON with the median and the maximum in seconds.
"""

import argparse
import json
import statistics
import time
from contextlib import suppress
from http import HTTPStatus

from adapters.security.signing_keys import SigningKeys
from benchmarks.bench.http_client import request
from tests.deploy.containers import Buildah, Docker, engine
from tests.servers.process import free_port, wait_until


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--starts", type=int, default=20)
    starts = arguments.parse_args().starts
    with engine() as image:
        image.build()
        seconds = [_start(image) for _ in range(starts)]
    print(json.dumps({"median": round(statistics.median(seconds), 2), "maximum": round(max(seconds), 2)}))


def _start(image: Docker | Buildah) -> float:
    """Start a container; return the seconds until it is ready."""
    port = free_port()
    settings = {
        "USERPORT_SIGNING_KEY": SigningKeys.new().to_pem(),
        "USERPORT_HOST": "127.0.0.1",
        "USERPORT_PORT": str(port),
    }
    begun = time.perf_counter()
    with image.running(settings) as container:
        wait_until(lambda: container.has_ended or _is_ready(port))
        seconds = time.perf_counter() - begun
        if container.has_ended:
            raise SystemExit(container.wait()[1])
        container.terminate()
        container.wait()
    return seconds


def _is_ready(port: int) -> bool:
    with suppress(OSError):
        return request(port, "GET", "/health/ready").status == HTTPStatus.OK
    return False


if __name__ == "__main__":
    main()
