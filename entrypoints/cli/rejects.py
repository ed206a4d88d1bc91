"""Report the rejected records of an import."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from application.transfer.user_import import Rejected
from application.transfer.user_records import FIELDS, HASH_FIELD, RawRecord
from entrypoints.cli.errors import CommandFailed, ExitCode
from entrypoints.cli.private_files import open_private
from entrypoints.cli.source import SourceRecord

Reject: TypeAlias = Callable[[SourceRecord, Rejected], None]
"""Takes a record and the reasons for its rejection."""

_SHOWN: Final = 5
_HIDDEN: Final = "(hidden)"


@contextmanager
def rejects_to(file: Path | None, *, source: str) -> Iterator[Reject]:
    """Write rejected records to a file, as NDJSON, or print the first few.

    Only the known fields of a record are repeated: an unknown one may hold a password. A placeholder that no import
    accepts replaces each password hash, so the rejects cannot be imported without one.

    Raises:
        OSError: The file cannot be written.
        CommandFailed: It is the file that is being read.
    """
    if file is None:
        yield _show_first()
        return
    if source != "-" and file.exists() and file.samefile(source):
        raise CommandFailed("the rejects file must not be the imported file", ExitCode.WRONG_USAGE)
    with open_private(file) as output:
        yield _written_to(output)


def _written_to(output: BinaryIO) -> Reject:
    def write(record: SourceRecord, refused: Rejected) -> None:
        errors = [
            {"field": error.field or None, "code": error.code, "detail": error.detail} for error in refused.errors
        ]
        entry = {"line": record.line, "errors": errors, "record": _known_fields(record.content)}
        # Not orjson: a rejected text may contain lone surrogates, which UTF-8 cannot encode.
        output.write(f"{json.dumps(entry, ensure_ascii=False)}\n".encode(errors="replace"))

    return write


def _known_fields(content: RawRecord | Rejected) -> RawRecord | None:
    if isinstance(content, Rejected):
        return None
    known = {field: content[field] for field in FIELDS if field in content}
    return known if content.get(HASH_FIELD) is None else {**known, HASH_FIELD: _HIDDEN}


def _show_first() -> Reject:
    shown = 0

    def show(record: SourceRecord, refused: Rejected) -> None:
        nonlocal shown
        shown += 1
        if shown <= _SHOWN:
            reasons = "; ".join(": ".join(filter(None, (error.field, error.detail))) for error in refused.errors)
            print(f"line {record.line}: {reasons}", file=sys.stderr)  # noqa: T201
        elif shown == _SHOWN + 1:
            print("… and more; --rejects FILE keeps them all", file=sys.stderr)  # noqa: T201

    return show
