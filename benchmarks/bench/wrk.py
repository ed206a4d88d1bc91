"""wrk, the load generator: https://github.com/wg/wrk, in Debian's packages."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """The results of one run; `failed` responses still count in the rate."""

    requests_per_second: float
    p50_milliseconds: float
    p99_milliseconds: float
    failed: int


def check_wrk() -> None:
    """Raise `SystemExit` unless wrk is installed."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")


def wrk_version() -> str:
    printed = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)  # noqa: S607
    return printed.stdout.split("[")[0].removeprefix("wrk").strip()


def load(port: int, script: str, connections: int, seconds: int, directory: Path) -> Run:
    """Send requests over some connections, each as soon as the previous one on its connection is answered."""
    file = directory / "load.lua"
    file.write_text(script)
    wanted = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "30s"]
    done = subprocess.run(  # noqa: S603
        ["wrk", *wanted, "--script", str(file), f"http://127.0.0.1:{port}"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout.rpartition("\n")[2]
    if done.returncode != 0 or not printed.startswith("{"):
        raise SystemExit(f"wrk failed:\n{done.stdout}{done.stderr}")
    found = json.loads(printed)
    if not found["answers"]:
        raise SystemExit(f"nothing was answered:\n{done.stdout}")
    return Run(
        requests_per_second=found["answers"] / found["microseconds"] * 1e6,
        p50_milliseconds=found["p50"] / 1000,
        p99_milliseconds=found["p99"] / 1000,
        failed=found["refused"] + found["lost"],
    )
