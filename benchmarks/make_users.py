"""Write generated users as CSV or NDJSON, some of them invalid on purpose, and list the expected errors.

    python benchmarks/make_users.py --count 100000 --out users.csv --expect expected.ndjson

The same options always write the same file. Each line of the expectation is {"line": 17, "code": "invalid_email"}: the
line at which an invalid record starts, and the code of the error with which an import must reject it.
"""

import argparse
import csv
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

User: TypeAlias = dict[str, object]

FIELDS: Final = ("email", "username", "name", "bio", "role", "active")

NAMES: Final[tuple[tuple[str, ...], ...]] = (
    ("Anna", "Jürgen", "Zoë", "Łukasz", "Søren", "Nguyễn", "Ğülşen", "Þóra"),  # Latin
    ("Αλέξανδρος", "Ελένη", "Οδυσσεύς"),  # Greek
    ("Дмитрий", "Светлана", "Ђорђе"),  # Cyrillic
    ("Արամ", "Անահիտ"),  # Armenian
    ("გიორგი", "ნინო"),  # Georgian
    ("אברהם", "רחל"),  # Hebrew
    ("محمد", "فاطمة"),  # Arabic
    ("अर्जुन", "प्रिया"),  # Devanagari
    ("রহিম", "সুমাইয়া"),  # Bengali
    ("முருகன்", "கவிதா"),  # Tamil
    ("สมชาย", "มาลี"),  # Thai
    ("王秀英", "李伟"),  # Han
    ("さくら", "タロウ"),  # Kana
    ("김민준", "이서연"),  # Hangul
    ("አበበ", "ሰላም"),  # Ethiopic
)
DOMAINS: Final = ("example.com", "example.org", "mail.example.net", "bücher.example", "例え.example", "пример.example")
BIOS: Final = (None, "", "Likes tea.", 'Says "hello", and\nwrites over two lines.', "🌍 מטייל · مسافر", "a, b; c\td")


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to make a valid user invalid, and the resulting error."""

    code: str
    spoil: Callable[[User], User]


def _with(**fields: object) -> Callable[[User], User]:
    return lambda user: user | fields


FAULTS: Final = (
    Fault("required", _with(email=None)),
    Fault("required", _with(name=None)),
    Fault("blank", _with(name=" \u3000 ")),
    Fault("too_long", _with(name="n" * 101)),
    Fault("invalid_character", _with(name="bell\u0007")),
    Fault("invalid_character", _with(name="nul\0")),
    Fault("too_long", _with(bio="b" * 1_001)),
    Fault("invalid_email", lambda user: user | {"email": str(user["email"]).replace("@", " at ")}),
    Fault("invalid_email", lambda user: user | {"email": f".{user['email']}"}),
    Fault("too_long", lambda user: user | {"email": "e" * 65 + str(user["email"])}),
    Fault("invalid_domain", _with(email="someone@exa mple..com")),
    Fault("invalid_username", _with(username="a b")),
    Fault("invalid_username", _with(username="-dash")),
    Fault("not_allowed", _with(role="emperor")),
    Fault("wrong_type", _with(active="perhaps")),
    Fault("email_taken", lambda user: user | {"email": "FIRST@example.com", "name": "Somebody else"}),
    Fault("username_taken", lambda user: user | {"username": "First"}),
)

# Invalid lines, independent of the user; each is one line, and the next line is valid again.
CSV_LINES: Final[tuple[tuple[str, bytes], ...]] = (
    ("wrong_cell_count", b"too,few\r\n"),
    ("wrong_cell_count", b"a,b,c,d,e,f,g,h,too,many\r\n"),
    ("malformed_csv", b'"closed"but goes on,,,,,\r\n'),
    ("not_utf8", b"latin@example.com,,J\xfcrgen,,,\r\n"),
    ("line_too_long", b"x" * 300_000 + b"\r\n"),
)
NDJSON_LINES: Final[tuple[tuple[str, bytes], ...]] = (
    ("malformed_json", b'{"email": "cut@exam\n'),
    ("malformed_json", b'{"email": "nan@example.com", "name": NaN}\n'),
    ("malformed_json", b"[" * 100_000 + b"\n"),
    ("wrong_type", b"[1, 2]\n"),
    ("wrong_type", b'{"email": "number@example.com", "name": 7}\n'),
    ("repeated_field", b'{"email": "twice@example.com", "name": "A", "name": "B"}\n'),
    ("unknown_field", b'{"email": "typo@example.com", "nmae": "A", "name": "A"}\n'),
    ("password_not_supported", b'{"email": "pw@example.com", "name": "A", "password": "x"}\n'),
    ("unknown_password_hash", b'{"email": "md5@example.com", "name": "A", "password_hash": "x"}\n'),
    ("not_utf8", b'{"email": "latin@example.com", "name": "J\xfcrgen"}\n'),
    ("line_too_long", b"x" * 300_000 + b"\n"),
)


def good_user(number: int, dice: random.Random) -> User:
    """Return a valid user that conflicts with no other one."""
    if number == 0:
        return {"email": "first@example.com", "username": "first", "name": "First", "role": "admin", "active": True}
    script = dice.choice(NAMES)
    user: User = {
        "email": f"{dice.choice(script[0])}.{number}@{dice.choice(DOMAINS)}" if dice.random() < 0.1 else None,
        "name": " ".join(dice.choices(script, k=2)),
        "bio": dice.choice(BIOS),
        "role": "member",
        "active": dice.random() < 0.95,
    }
    if user["email"] is None or "᾽" in str(user["email"]):
        user["email"] = f"user.{number}@{dice.choice(DOMAINS)}"
    return user | ({"username": f"user_{number}"} if dice.random() < 0.7 else {})


def lines(count: int, *, bad: float, seed: int, as_csv: bool) -> Iterator[tuple[bytes, str | None]]:
    """Yield each record as it is written, with the code of its expected error, or None."""
    dice = random.Random(seed)
    write = _csv_line if as_csv else _ndjson_line
    whole_lines = CSV_LINES if as_csv else NDJSON_LINES
    kinds = len(FAULTS) + len(whole_lines)
    spoilt = 0
    for number in range(count):
        user = good_user(number, dice)
        if number == 0 or dice.random() >= bad:
            yield write(user), None
            continue
        kind = spoilt % kinds
        spoilt += 1
        if kind < len(FAULTS):
            fault = FAULTS[kind]
            yield write(fault.spoil(user)), fault.code
        else:
            code, line = whole_lines[kind - len(FAULTS)]
            yield line, code


def _ndjson_line(user: User) -> bytes:
    return json.dumps(user, ensure_ascii=False).encode() + b"\n"


def _csv_line(user: User) -> bytes:
    text = StringIO()
    cells = [user.get(field) for field in FIELDS]
    csv.writer(text).writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in cells])
    return text.getvalue().encode()


def write_users(
    output: BinaryIO, expected: BinaryIO | None, made: Iterator[tuple[bytes, str | None]], first: int
) -> int:
    """Write all lines, and list the invalid ones, counting lines from `first`. Return how many are invalid."""
    line_number, bad = first, 0
    for line, code in made:
        output.write(line)
        if code is not None:
            bad += 1
            if expected is not None:
                expected.write(json.dumps({"line": line_number, "code": code}).encode() + b"\n")
        line_number += line.count(b"\n")
    return bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="how many records (default: 100000)")
    parser.add_argument("--bad", type=float, default=0.01, help="share of records that are wrong (default: 0.01)")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other users (default: 1)")
    parser.add_argument("--format", choices=("csv", "ndjson"), help="by default, by the ending of --out")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--expect", type=Path, help="where to write which lines are bad, and why")
    arguments = parser.parse_args()
    as_csv = (arguments.format or arguments.out.suffix.removeprefix(".")) == "csv"
    made = lines(arguments.count, bad=arguments.bad, seed=arguments.seed, as_csv=as_csv)
    expect: Path | None = arguments.expect
    with arguments.out.open("wb") as output:
        if as_csv:
            output.write(",".join(FIELDS).encode() + b"\r\n")
        if expect is None:
            bad = write_users(output, None, made, 1 + as_csv)
        else:
            with expect.open("wb") as expected:
                bad = write_users(output, expected, made, 1 + as_csv)
    print(f"{arguments.count} records, {bad} of them bad", file=sys.stderr)


if __name__ == "__main__":
    main()
