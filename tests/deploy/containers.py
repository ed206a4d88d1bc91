"""Build the image, and run it with a read-only root and without capabilities.

Docker or podman is used where it works. Elsewhere root builds with buildah, on a base of Debian's packages, and
util-linux makes the container: mounts and process ids of its own, a read-only root, the image's user, environment and
entry point, no capability and no way to a new one. That shows nothing of seccomp, of limits of resources, of a network
of its own, of STOPSIGNAL, or of when an engine runs the health check.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.servers.choice import find_program, give_up_program
from tests.servers.process import wait_until

ROOT: Final = Path(__file__).parents[2]
IMAGE: Final = f"userport:{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}"
STOP_SECONDS: Final = 20.0
_BASE: Final = "localhost/python-base"
_DEFAULT_BASE: Final = "docker.io/library/python:3.13-slim"

# $1 is the root file system; $2 and $3 are mounted in it, $2 for writing if $4 is "rw"; the rest is run.
_CONTAINER: Final = """
mount --rbind --make-rprivate "$1" "$1" && mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" &&
mount --bind "$2" "$1/data" && mount -o "remount,bind,$4" "$1/data" && mount --bind "$3" "$1/dev/shm" &&
mount -o remount,bind,ro "$1" && root=$1 && shift 4 && exec chroot "$root" "$@"
"""


class Container:
    """A program that runs as process 1."""

    def __init__(self, process: "subprocess.Popen[str]", enter: Sequence[str], env: Mapping[str, str]) -> None:
        self._process = process
        self._enter = enter
        self._environment = env

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def execute(self, *command: str) -> str:
        """Return what another program in the container prints; it must succeed."""
        return run(*self._enter, *command, env=self._environment)

    def terminate(self) -> None:
        self.execute("python", "-c", "import os, signal; os.kill(1, signal.SIGTERM)")

    def wait(self) -> tuple[int, str]:
        """Return the exit code, and what the program said."""
        _, errors = self._process.communicate(timeout=STOP_SECONDS)
        return self._process.returncode, errors


class Docker:
    """Docker or podman."""

    def __init__(self, tool: str) -> None:
        self._tool = tool

    def build(self) -> None:
        run(self._tool, "pull", _DEFAULT_BASE)  # where the build keeps it does not matter
        run("make", "image", f"CONTAINER_TOOL={self._tool}")

    @property
    def config(self) -> Mapping[str, Any]:
        """The image's configuration, with Docker's keys."""
        return self._inspect(IMAGE)["Config"]  # type: ignore[no-any-return]

    @property
    def added_bytes(self) -> int:
        """The size of the image without its base."""
        return self._inspect(IMAGE)["Size"] - self._inspect(_DEFAULT_BASE)["Size"]  # type: ignore[no-any-return]

    @contextmanager
    def running(self, settings: Mapping[str, str], *, read_only_data: Path | None = None) -> Iterator[Container]:
        name = f"userport-{secrets.token_hex(4)}"
        options = ["--rm", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=host"]
        options += [f"--env={key}={value}" for key, value in settings.items()]
        if read_only_data:
            options.append(f"--volume={read_only_data}:/data:ro")
        with _started([self._tool, "run", f"--name={name}", *options, IMAGE]) as process:
            try:
                yield Container(process, [self._tool, "exec", name], os.environ)
            finally:
                subprocess.run([self._tool, "rm", "--force", name], capture_output=True, check=False)  # noqa: S603

    def _inspect(self, image: str) -> Mapping[str, Any]:
        return json.loads(run(self._tool, "image", "inspect", image))[0]  # type: ignore[no-any-return]


class Buildah:
    """Buildah with its images in a directory, and util-linux."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        storage = directory / "storage.conf"
        self._environment = os.environ | {"CONTAINERS_STORAGE_CONF": str(storage), "BUILDAH_ISOLATION": "chroot"}
        places = f'graphroot = "{directory}/graph"\nrunroot = "{directory}/run"\n'
        for driver in ("overlay", "vfs"):  # vfs works everywhere, and copies everything at each step
            storage.write_text(f'[storage]\ndriver = "{driver}"\n{places}')
            found = subprocess.run(["buildah", "info"], env=self._environment, capture_output=True, check=False)  # noqa: S607
            if found.returncode == 0:
                break

    def build(self) -> None:
        empty = self._buildah("from", "scratch")
        base = Path(self._buildah("mount", empty))
        _make_base(base)
        self._base_bytes = _size(base)
        self._buildah("commit", "--quiet", "--rm", empty, _BASE)
        volumes = " ".join(f"--volume={path}:{target}:ro" for path, target in _pip_settings(self._directory).items())
        options = ["CONTAINER_TOOL=buildah", f"BASE={_BASE}", f"BUILD_OPTIONS={volumes}"]
        run("make", "image", *options, env=self._environment)
        self._container = self._buildah("from", IMAGE)
        self._root = Path(self._buildah("mount", self._container))

    def close(self) -> None:
        self._buildah("rm", "--all")

    @property
    def config(self) -> Mapping[str, Any]:
        """The image's configuration, with Docker's keys."""
        return json.loads(self._buildah("inspect", self._container))["Docker"]["config"]  # type: ignore[no-any-return]

    @property
    def added_bytes(self) -> int:
        """The size of the image without its base."""
        return _size(self._root) - self._base_bytes

    @contextmanager
    def running(self, settings: Mapping[str, str], *, read_only_data: Path | None = None) -> Iterator[Container]:
        config = self.config
        environment = {**dict(variable.split("=", 1) for variable in config["Env"]), **settings}
        user, group = config["User"].split(":")
        with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as shm:
            for directory in (data, shm):
                os.chown(directory, int(user), int(group))
            arguments = [str(self._root), str(read_only_data or data), shm, "ro" if read_only_data else "rw"]
            unprivileged = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
            unprivileged += ["--bounding-set=-all", "--inh-caps=-all"]
            program = ["env", f"--chdir={config['WorkingDir']}", *config["Entrypoint"], *config["Cmd"]]
            namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _CONTAINER, "sh"]
            with _started([*namespaces, *arguments, *unprivileged, *program], environment) as process:
                first = _only_child(process)
                enter = ["nsenter", f"--target={first}", "--mount", "--pid", "--root", "--wd"]
                try:
                    yield Container(process, [*enter, f"--setuid={user}", f"--setgid={group}"], environment)
                finally:
                    with suppress(ProcessLookupError):  # it has ended
                        os.kill(first, signal.SIGKILL)  # since it changed its user, it outlives `unshare`

    def _buildah(self, *arguments: str) -> str:
        return run("buildah", *arguments, env=self._environment).strip()


@contextmanager
def engine() -> Iterator[Docker | Buildah]:
    """Yield what builds and runs here; otherwise skip, or fail if buildah is required."""
    for tool in ("docker", "podman"):
        if shutil.which(tool) and subprocess.run([tool, "info"], capture_output=True, check=False).returncode == 0:  # noqa: S603
            yield Docker(tool)
            return
    for program in ("buildah", "mmdebstrap"):
        find_program(program, program)
    if os.geteuid() != 0:
        give_up_program("buildah", "run as root, or start Docker")
    with tempfile.TemporaryDirectory(prefix="userport-image-") as directory:
        buildah = Buildah(Path(directory))
        try:
            yield buildah
        finally:
            buildah.close()


def run(*command: str, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


@contextmanager
def _started(command: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.kill()


def _only_child(process: subprocess.Popen[str]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: process.poll() is not None or bool(children.read_text()))
    return int(children.read_text())


def _make_base(base: Path) -> None:
    """Install Debian with Python, from where apt fetches packages on this machine."""
    release = tomllib.loads(re.sub(r"=([^\"\n]+)", r'="\1"', Path("/etc/os-release").read_text()))
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    if not sources.exists():
        sources = Path("/etc/apt/sources.list")
    options = ["--quiet", "--mode=root", "--variant=apt", "--include=python3-venv,python-is-python3"]
    options += ["--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/doc/*"]
    run("mmdebstrap", *options, release["VERSION_CODENAME"], str(base), str(sources))


def _pip_settings(directory: Path) -> Mapping[str, str]:
    """Return what to mount where for pip in a build, so that it uses the indexes of pip on this machine."""
    settings: dict[str, str] = {}
    for line in run(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")  # later ones have precedence
        settings[name.rpartition(".")[2]] = value.strip("'")
    file = directory / "pip.conf"
    file.write_text("\n".join(["[global]", *(f"{name} = {value}" for name, value in settings.items())]))
    # Certificates, constraints, directories of packages, and local indexes, whose files lie beside the list of names.
    words = [word for value in settings.values() for word in value.split()]
    paths = [word for word in words if word.startswith("/")]
    paths += [str(Path(word.removeprefix("file://")).parent) for word in words if word.startswith("file:///")]
    return {str(file): "/etc/pip.conf", **{path: path for path in paths if Path(path).exists()}}


def _size(root: Path) -> int:
    return sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
