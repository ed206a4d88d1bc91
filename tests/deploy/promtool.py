"""promtool, of Debian's package prometheus."""

import subprocess

from tests.servers.choice import find_program


def promtool(*arguments: object, stdin: bytes = b"") -> tuple[int, str]:
    """Run promtool; return its exit code and all that it printed."""
    command = [find_program("promtool", "prometheus"), *map(str, arguments)]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)  # noqa: S603
    return done.returncode, done.stdout.decode()
