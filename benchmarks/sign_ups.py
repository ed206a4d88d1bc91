"""Measure what mail costs a sign-up: `POST /users` in token mode, with and without the mail that it causes.

    python -m benchmarks.sign_ups --rounds 20

Of three servers, one sends no mail; one leaves the jobs to another process (`USERPORT_JOBS=false`); one sends the
mails to a local SMTP server. The sign-ups have no password. It prints JSON, and needs wrk and two cores.
"""

import json
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.bench.calls import Call
from benchmarks.bench.smtp_sink import smtp_sink
from benchmarks.bench.tokens import make_key
from benchmarks.bench.variants import Variant, compare, given_load

_SIGN_UP: Final = Call("POST /users", "POST", "/users", '{"email": "new.%s.%d@example.org", "name": "Ann"}')

_WITHOUT_MAIL: Final = """
from dependency_injector.providers import Object
from entrypoints.container import Container

Container.mails.override(Object(None))
"""


def main() -> None:
    given = given_load(__doc__)
    with tempfile.TemporaryDirectory(prefix="userport-bench-") as name, smtp_sink() as (smtp_port, _):
        directory = Path(name)
        environment = {
            "USERPORT_SIGNING_KEY": make_key(directory).read_text(),
            "USERPORT_MAIL": f"smtp://127.0.0.1:{smtp_port}",
        }
        variants = {
            "without_mail": Variant({**environment, "USERPORT_JOBS": "false"}, _WITHOUT_MAIL),
            "worker_elsewhere": Variant({**environment, "USERPORT_JOBS": "false"}),
            "worker_in_process": Variant({**environment, "USERPORT_JOBS": "true"}),
        }
        print(json.dumps(compare(variants, lambda _: _SIGN_UP, given, directory), indent=2))


if __name__ == "__main__":
    main()
