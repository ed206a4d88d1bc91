"""The measured calls, each as a script for wrk."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

_JSON: Final = {"Content-Type": "application/json"}
_RUNS: Final = count()

_RANDOM_PATH: Final = """
local paths = {{}}
for path in io.lines({paths}) do paths[#paths + 1] = path end
math.randomseed({run})
local function path() return paths[math.random(#paths)] end
"""

_RESULT: Final = """
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"answers": %d, "microseconds": %d, "p50": %d, "p99": %d, "refused": %d, "lost": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
"""

_NEW_USER: Final = {
    "email": "new.%s.%d@example.org",
    "name": "Zoë Ünsal",
    "username": "new_%s_%d",
    "bio": "Likes tea, and and coffee.",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call. In `body`, each `%s` stands for the number of the run and each `%d` for that of the request."""

    name: str
    method: str = "GET"
    path: str | None = None
    """None for the path of a random user."""

    body: str | None = None

    def script(self, paths: Path, path: str | None = None, headers: Mapping[str, str] | None = None) -> str:
        """Return the script of one run; no other run's script creates the same users.

        `paths` is a file with paths to choose from at random; `path` replaces the call's own path.
        """
        run = next(_RUNS)
        fixed = path or self.path
        where = "path()" if fixed is None else _quoted(fixed)
        parts = [
            _RANDOM_PATH.format(paths=_quoted(str(paths)), run=run) if fixed is None else "",
            f"local headers = {_table({**_JSON, **(headers or {})})}\nlocal number = 0\n",
            f"function request()\n  number = number + 1\n  return wrk.format({_quoted(self.method)}, {where}, headers",
            "" if self.body is None else f", ({_quoted(self.body.replace('%s', str(run)))}):gsub('%%d', number)",
            ")\nend\n",
            _RESULT,
        ]
        return "".join(parts)


_PATCH: Final = json.dumps({"bio": "Likes coffee now, for the %dth time in run %s."})

ONE_USER: Final = Call("GET /users/{id}")
WITH_TOKEN: Final = Call("GET /users/{id} with a token")
LAST_PAGE: Final = Call("GET a page near the end")
ANY_PAGE: Final = Call("GET any page")
ONE_RECORD: Final = Call("PATCH the same user", "PATCH", None, _PATCH)
CALLS: Final[Sequence[Call]] = (
    ONE_USER,
    WITH_TOKEN,
    Call("POST /users", "POST", "/users", json.dumps(_NEW_USER, ensure_ascii=False)),
    Call("PATCH /users/{id}", "PATCH", None, _PATCH),
    ONE_RECORD,
    Call("GET /users?limit=50", "GET", "/users?limit=50"),
    LAST_PAGE,
    ANY_PAGE,
)


def _quoted(text: str) -> str:
    """Return a string as a Lua literal, with escapes for special bytes."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03d}" for b in text.encode()) + '"'


def _table(entries: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"[{_quoted(name)}] = {_quoted(value)}" for name, value in entries.items()) + "}"
