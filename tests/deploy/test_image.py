"""The image, really built and run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

import httpx
import pytest

from adapters.security.signing_keys import SigningKeys
from tests.deploy.containers import IMAGE, Buildah, Docker, engine
from tests.servers.process import free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]  # the build fetches all packages

Engine: TypeAlias = Docker | Buildah

MAX_ADDED_BYTES: Final = 130_000_000
MAX_CPU_SECONDS_TO_READY: Final = 2.5

# Prints the build tools that are there, and what a build left.
_FIND_LEFTOVERS: Final = """
import importlib.util, os, shutil
programs = ("cc", "gcc", "c++", "clang", "ld", "as", "strip", "make", "cargo", "cython", "hatchling", "uv")
modules = ("hatchling", "setuptools", "wheel", "pip", "Cython")
paths = ("/root/.cache", "/root/.config", "/etc/pip.conf", "/source", "/wheels", "/opt/build")
print(*filter(shutil.which, programs), *filter(importlib.util.find_spec, modules), *filter(os.path.exists, paths))
"""

# Prints how process 1 runs, how much processor time it took, and every file in the places that it can write to.
_OBSERVE: Final = """
import json, os, pathlib
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines())
user, system = pathlib.Path("/proc/1/stat").read_text().rpartition(")")[2].split()[11:13]
mounts = dict(line.split()[1:4:2] for line in pathlib.Path("/proc/1/mounts").read_text().splitlines())
print(json.dumps({
    "ids": status["Uid"].split() + status["Gid"].split(),
    "capabilities": [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "no_new_privileges": status["NoNewPrivs"].strip(),
    "root": mounts["/"].split(",")[0],
    "cpu_seconds": (int(user) + int(system)) / os.sysconf("SC_CLK_TCK"),
    "files": [str(path) for top in ("/data", "/dev/shm") for path in pathlib.Path(top).rglob("*")],
}))
"""


@pytest.fixture(scope="module")
def image() -> Iterator[Engine]:
    with engine() as built:
        built.build()
        yield built


def test_the_image_is_small(image: Engine) -> None:
    assert image.added_bytes < MAX_ADDED_BYTES


def test_the_image_says_what_it_is_and_how_it_runs(image: Engine) -> None:
    config = image.config
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert (labels["title"], labels["licenses"]) == ("userport", "Apache-2.0")
    assert f"userport:{labels['version']}" == IMAGE
    assert labels["description"]
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"] == ["CMD", "userport", "health"]
    assert config["StopSignal"] == "SIGTERM"
    assert "USERPORT_HOST=0.0.0.0" in config["Env"]
    assert not [variable for variable in config["Env"] if variable.startswith("PIP_")]


def test_without_a_signing_key_it_ends_with_one_line(image: Engine) -> None:
    with image.running({}) as container:
        code, errors = container.wait()
        assert code == 2
        (line,) = errors.splitlines()
        assert "userport keys new" in line
        assert "USERPORT_SIGNING_KEY" in line


def test_a_directory_for_data_that_cannot_be_written_to_is_one_line(image: Engine) -> None:
    with image.running(_settings(), read_only_data=Path(__file__).parent) as container:
        code, errors = container.wait()
        assert code != 0
        (line,) = errors.splitlines()
        assert "permissions" in line


def test_the_storage_can_be_named_in_a_file(image: Engine, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "storage").write_text("sqlite:////dev/shm/elsewhere.db\n")
    settings = {**_settings(), "USERPORT_STORAGE_FILE": "/data/storage", "USERPORT_MAIL": "smtp://127.0.0.1"}
    client = httpx.Client(base_url=f"http://127.0.0.1:{settings['USERPORT_PORT']}", trust_env=False)
    with image.running(settings, read_only_data=tmp_path) as container, client:
        wait_until(lambda: container.has_ended or _is_ready(client))
        assert "/dev/shm/elsewhere.db" in json.loads(container.execute("python", "-c", _OBSERVE))["files"]  # noqa: S108
        assert container.execute("userport", "storage", "ping")


def test_it_serves_with_least_privilege_and_writes_to_two_places_alone(image: Engine) -> None:
    settings = _settings()
    address = f"http://127.0.0.1:{settings['USERPORT_PORT']}"
    with image.running(settings) as container, httpx.Client(base_url=address, trust_env=False) as client:
        wait_until(lambda: container.has_ended or _is_ready(client))
        seen = json.loads(container.execute("python", "-c", _OBSERVE))
        assert seen["cpu_seconds"] <= MAX_CPU_SECONDS_TO_READY
        assert seen["ids"] == ["10001"] * 8
        assert not any(seen["capabilities"])
        assert seen["no_new_privileges"] == "1"
        assert seen["root"] == "ro"

        assert container.execute("userport", "health").strip() == "ready"
        account = {"email": "ann@example.org", "name": "Ann", "password": "a long and quiet password"}
        user = client.post("/users", json=account).raise_for_status().json()
        grant = {"grant_type": "password", "username": account["email"], "password": account["password"]}
        token = client.post("/auth/token", data=grant).raise_for_status().json()["access_token"]
        found = client.get(f"/users/{user['id']}", headers={"authorization": f"Bearer {token}"})
        assert found.raise_for_status().json()["name"] == "Ann"

        metrics = httpx.get(f"http://127.0.0.1:{settings['USERPORT_METRICS_PORT']}/metrics", trust_env=False)
        assert "userport_build_info" in metrics.text
        written = json.loads(container.execute("python", "-c", _OBSERVE))["files"]
        assert {"/".join(path.split("/")[:3]) for path in written} == {
            "/data/mail",  # as long as no mail server is set
            "/data/userport.db",
            "/data/userport.db-shm",
            "/data/userport.db-wal",
            "/dev/shm",  # noqa: S108 - metrics
        }
        assert container.execute("python", "-c", _FIND_LEFTOVERS).split() == []

        container.terminate()
        code, errors = container.wait()
        assert code == 0, errors


def _settings() -> dict[str, str]:
    return {
        "USERPORT_SIGNING_KEY": SigningKeys.new().to_pem(),
        "USERPORT_HOST": "127.0.0.1",
        "USERPORT_PORT": str(free_port()),
        "USERPORT_METRICS_PORT": str(free_port()),
    }


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False
