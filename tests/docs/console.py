"""Extract the commands and outputs that a document shows, run them in one shell, and compare."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers.process import free_port

TIMEOUT_SECONDS: Final = 60

_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND: Final = re.compile(r"^\$ ", re.MULTILINE)
_END_OF_ANSWER: Final = "\n=== end of answer ===\n"
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VOLATILE: Final = {
    "<uuid>": _UUID,
    "<time>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    "<digest>": re.compile(r"\b[0-9a-f]{64}\b"),
    '-<digest of an id>"': re.compile(r'(?<=\d)-[0-9a-f]{16}"'),
    "cursor=<cursor>": re.compile(r"cursor=[\w-]{32}"),
    "Made key <key>.": re.compile(r"Made key [\w-]{43}\."),
    "<access token>": re.compile(r"\beyJ[\w.-]+"),  # a document may truncate it
    '"refresh_token": "<refresh token>"': re.compile(r'"refresh_token": "[\w-]{88}"'),
}

# A server runs in the background, and the next command waits until it responds.
_SERVERS: Final = ("make serve", ".venv/bin/userport serve")
_SERVE: Final = (
    ".venv/bin/userport serve & until curl --fail --output /dev/null localhost:$USERPORT_PORT/health/live 2>&-; "
    "do kill -0 $! || break; sleep 0.05; done"
)


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and its documented or actual output."""

    command: str
    answer: str


def shown_in(document: Path, *headings: str) -> Sequence[Step]:
    """Return the steps in the console blocks under some headings."""
    parts = re.split(r"^## (.*)$", document.read_text(), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    return [
        Step(*_command_and_output(step))
        for heading in headings
        for block in _BLOCK.findall(sections[heading])
        for step in _COMMAND.split(block)[1:]
    ]


def run(steps: Sequence[Step], directory: Path, replaced: Mapping[str, str]) -> Sequence[Step]:
    """Run commands in one shell, as a reader would; stop the servers at the end.

    `replaced` maps documented text to the text to type instead.
    """
    if not (directory / ".venv").exists():
        (directory / ".venv").symlink_to(sys.prefix)
    (directory / ".curlrc").write_text("silent\n")  # curl only shows progress when its output is redirected
    port = str(free_port())
    lines = ["trap 'kill $(jobs -p) 2>&-; wait' EXIT"]
    for step in steps:
        command = step.command.replace("localhost:8000", f"localhost:{port}")
        for there, here in replaced.items():
            command = command.replace(there, here)
        lines += [_SERVE if command in _SERVERS else command, f"printf '{_END_OF_ANSWER}'"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("USERPORT_")}
    done = subprocess.run(  # noqa: S603
        ["bash", "-c", "\n".join(lines)],  # noqa: S607
        cwd=directory,
        env={**environment, "CURL_HOME": str(directory), "USERPORT_PORT": port},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    answers = done.stdout.replace(f":{port}", ":8000").split(_END_OF_ANSWER)
    return [Step(step.command, answer) for step, answer in zip(steps, answers, strict=False)]


def assert_alike(shown: Sequence[Step], given: Sequence[Step]) -> None:
    """Assert that outputs equal the documented ones, and that one documented id stands for one id.

    Of HTTP headers, only the documented ones are compared; of the status line, only the number, because its text
    depends on Python's version; of JSON, the content without its line breaks.
    """
    ids: dict[str, str] = {}
    assert [step.command for step in given] == [step.command for step in shown]
    for step, real in zip(shown, given, strict=True):
        headers, body = _parts(step.answer)
        real_headers, real_body = _parts(real.answer)
        selected = {name: value for name, value in real_headers.items() if name in headers}
        expected, actual = f"{headers}\n{body}", f"{selected}\n{real_body}"
        assert _stable(actual) == _stable(expected), f"the answer to: {step.command}"
        for there, here in zip(_UUID.findall(expected), _UUID.findall(actual), strict=True):
            assert ids.setdefault(there, here) == here, f"an id in the answer to: {step.command}"
    assert len(set(ids.values())) == len(ids), "two ids in the document stand for one"


def _command_and_output(step: str) -> tuple[str, str]:
    lines = step.splitlines(keepends=True)
    length = next(count for count, line in enumerate(lines, 1) if not line.endswith("\\\n"))
    return "".join(lines[:length]).removesuffix("\n"), "".join(lines[length:])


def _parts(answer: str) -> tuple[Mapping[str, str], str]:
    """Split an output into its headers, sorted by name, and its body."""
    head, _, body = answer.partition("\n\n") if answer.startswith("HTTP/") else ("", "", answer)
    status, *lines = head.splitlines() or [""]
    headers = sorted(line.split(": ", 1) for line in lines if line)
    return {"status": " ".join(status.split()[:2]), **dict(headers)}, _compact(body)


def _compact(body: str) -> str:
    try:
        return json.dumps(json.loads(body))
    except ValueError:
        return body.strip()


def _stable(text: str) -> str:
    for name, pattern in _VOLATILE.items():
        text = pattern.sub(name, text)
    return text
