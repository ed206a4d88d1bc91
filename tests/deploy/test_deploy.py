"""The files in `deploy/` and `compose.yaml`: valid, safe, and of this version."""

import os
import re
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from entrypoints.settings import load_settings
from tests.http.sign_in_helpers import SIGNING_KEY
from tests.servers.certificates import write_certificate
from tests.servers.choice import find_program
from tests.servers.process import free_port
from tests.servers.proxies import check_nginx

ROOT: Final = Path(__file__).parents[2]
MANIFESTS: Final = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION: Final = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())
RESOURCES: Final = {name: yaml.safe_load((MANIFESTS / name).read_text()) for name in KUSTOMIZATION["resources"]}
VERSION: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
APP: Final[Mapping[str, Any]] = {
    name: service
    for name, service in yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].items()
    if "app" in service["profiles"]
}
BUILT: Final = [name for name, service in APP.items() if "build" in service]
UID: Final = 10001
PODS: Final = {
    name: resource["spec"]["template"]["spec"]
    for name, resource in RESOURCES.items()
    if resource["kind"] in ("Deployment", "Job")
}

DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()
UNIT: Final = (ROOT / "deploy" / "systemd" / "userport.service").read_text()
_OF_IMAGE: Final = dict(re.findall(r"(USERPORT_\w+)=(\S+)", DOCKERFILE))
_OF_UNIT: Final = dict(re.findall(r"^Environment=(\w+)=(.*)$", UNIT, re.MULTILINE))
ENVIRONMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    **{name: {**_OF_IMAGE, **APP[name].get("environment", {})} for name in BUILT},
    **{
        name: {**_OF_IMAGE, **{variable["name"]: variable["value"] for variable in pod["containers"][0]["env"]}}
        for name, pod in PODS.items()
    },
    "userport.service": _OF_UNIT,
    "userport.service with a storage of its own": {**_OF_UNIT, "USERPORT_STORAGE_FILE": "/etc/userport/storage"},
    "userport.service with what it mentions": {
        **_OF_UNIT,
        **dict.fromkeys(re.findall(r"USERPORT_\w+", UNIT), "/var/lib/userport/signing-key"),
    },
}
SECRETS: Final[Mapping[str, str]] = {
    "storage-url": (ROOT / "deploy" / "compose" / "storage-url").read_text(),
    **RESOURCES["secret.yaml"]["stringData"],
    "signing-key": SIGNING_KEY,
}
"""What is in files that variables name."""


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_settings_are_accepted_and_the_storage_is_the_one_that_is_set(
    environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in os.environ:
        if name.startswith("USERPORT_"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        file = tmp_path / Path(value).name
        if name.endswith("_FILE"):
            file.write_text(SECRETS[file.name])
        monkeypatch.setenv(name, str(file) if name.endswith("_FILE") else value)
    own = "USERPORT_STORAGE_FILE" in environment
    assert load_settings().storage.startswith("postgresql://" if own else "sqlite:///userport.db")


def test_the_working_directory_is_where_data_is_kept() -> None:
    assert "\nWORKDIR /data\nVOLUME /data\n" in DOCKERFILE
    assert "\nStateDirectory=userport\nWorkingDirectory=/var/lib/userport\n" in UNIT


@pytest.mark.parametrize("name", RESOURCES)
def test_a_manifest_is_valid(name: str) -> None:
    kubernetes_validate.validate(RESOURCES[name], "1.31", strict=True)


def test_every_manifest_is_in_the_kustomization() -> None:
    assert {path.name for path in MANIFESTS.glob("*.yaml")} == {*RESOURCES, "kustomization.yaml"}


@pytest.mark.parametrize("pod", list(PODS.values()), ids=list(PODS))
def test_pods_meet_the_restricted_standard_and_have_resources(pod: Mapping[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == UID
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert not pod["enableServiceLinks"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"]
    assert container["resources"]["limits"]["memory"]


def test_the_network_policy_is_of_these_pods_alone() -> None:
    labels = KUSTOMIZATION["labels"][0]["pairs"]
    assert RESOURCES["network-policy.yaml"]["spec"]["podSelector"] == {"matchLabels": labels}


@pytest.mark.slow
def test_the_unit_of_systemd_is_valid_and_confined(tmp_path: Path) -> None:
    program = find_program("systemd-analyze", "systemd")
    unit = tmp_path / "userport.service"
    unit.write_text(UNIT.replace("/opt/userport/bin/userport", "/bin/true"))  # it has to be there
    for command in (["verify"], ["security", "--offline=true", "--threshold=20"]):
        done = subprocess.run([program, *command, str(unit)], capture_output=True, text=True, check=False)  # noqa: S603
        assert (done.returncode, done.stderr) == (0, "")


def test_the_site_of_nginx_is_valid(tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    write_certificate(certificate)
    site = (ROOT / "deploy" / "nginx" / "userport.conf").read_text()
    site, replaced = re.subn(r"(ssl_certificate(?:_key)?) \S+;", rf"\1 {certificate};", site)
    code, printed = check_nginx(tmp_path, site.replace("listen 443 ", f"listen 127.0.0.1:{free_port()} "))
    assert (code, replaced, "[warn]" in printed) == (0, 2, False), printed


def test_prometheus_reaches_the_metrics_of_every_pod() -> None:
    pod = PODS["deployment.yaml"]
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    assert variables["USERPORT_METRICS_PORT"] == str(ports["metrics"])
    assert variables["USERPORT_METRICS_HOST"] == "0.0.0.0"  # noqa: S104
    assert "/dev/shm" in [mount["mountPath"] for mount in container["volumeMounts"]]  # noqa: S108
    rules = RESOURCES["network-policy.yaml"]["spec"]["ingress"]
    assert "metrics" in [port["port"] for rule in rules for port in rule["ports"] if "from" in rule]


def test_no_secret_is_in_the_environment_of_a_pod() -> None:
    names = [variable["name"] for pod in PODS.values() for variable in pod["containers"][0]["env"]]
    for name in ("USERPORT_STORAGE", "USERPORT_SIGNING_KEY", "USERPORT_MAIL"):
        assert name not in names
        assert f"{name}_FILE" in names


def test_the_image_is_of_this_version() -> None:
    assert KUSTOMIZATION["images"] == [{"name": "userport", "newTag": VERSION}]
    assert f"ARG VERSION={VERSION}\n" in DOCKERFILE


def test_compose_publishes_on_this_machine_alone_and_needs_no_variable() -> None:
    assert "${" not in (ROOT / "compose.yaml").read_text()
    for service in APP.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert all(dependency in APP for dependency in service.get("depends_on", ()))


@pytest.mark.parametrize("name", BUILT)
def test_compose_runs_the_image_with_least_privilege(name: str) -> None:
    assert APP[name]["read_only"]
    assert APP[name]["cap_drop"] == ["ALL"]
