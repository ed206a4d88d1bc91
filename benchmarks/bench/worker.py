import subprocess
import time
from pathlib import Path
from typing import Final, Self

from benchmarks.bench.app import App
from benchmarks.bench.cores import pin_to_worker_core
from benchmarks.bench.http_client import request

_TIMEOUT_SECONDS: Final = 60.0
_SECONDS_TO_SETTLE: Final = 1.0


class Worker:
    """The one process of an app, on the worker's core; it serves while it is entered."""

    def __init__(self, app: App, url: str, port: int, log: Path) -> None:
        self._app = app
        self._command = pin_to_worker_core(app.command(url, port))
        self._environment = app.environment(url)
        self._log = log
        self.port = port
        self.seconds_to_first_answer = 0.0

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            begun = time.perf_counter()
            self._process = subprocess.Popen(  # noqa: S603 - the apps that are compared
                self._command,
                cwd=self._app.root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            while not self._answers():
                self._check(begun)
                time.sleep(0.002)
        except BaseException:
            self.__exit__()
            raise
        self.seconds_to_first_answer = time.perf_counter() - begun
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def idle_mebibytes(self) -> float:
        """Return the memory of the process once it has responded and is idle."""
        time.sleep(_SECONDS_TO_SETTLE)
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

    def _check(self, begun: float) -> None:
        if self._process.poll() is not None or time.perf_counter() - begun > _TIMEOUT_SECONDS:
            raise SystemExit(f"{' '.join(self._command)} does not serve:\n{self._log.read_text()[-4000:]}")

    def _answers(self) -> bool:
        """Send a request that reads the storage; in token mode, a 401 counts as a response."""
        try:
            return request(self.port, "GET", self._app.ready_path).status in {200, 401}
        except OSError:
            return False
