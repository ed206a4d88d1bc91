"""Results of long runs, kept as JSON beside the documentation, and the table of them in one of its pages."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

_DIRECTORY: Final = Path(__file__).parents[1] / "docs" / "reference"


class RecordedResults(NamedTuple):
    file: str
    page: str
    command: str
    """The command that records the results."""

    def load(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((_DIRECTORY / self.file).read_text())
        return found

    def save(self, results: Mapping[str, Any]) -> None:
        content = {name: results[name] for name in sorted(results)}
        (_DIRECTORY / self.file).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def in_page(self) -> str:
        """Return the table in the page."""
        return self._parts()[1]

    def put_into_page(self, table: str) -> None:
        before, _, after = self._parts()
        (_DIRECTORY / self.page).write_text(before + table + after)

    def _parts(self) -> tuple[str, str, str]:
        """Return the page before its table, the table, and the page after it."""
        start, end = f"<!-- made by `{self.command}` from {self.file} -->\n", "\n<!-- end of what is made -->"
        before, start, rest = (_DIRECTORY / self.page).read_text().partition(start)
        table, end, after = rest.partition(end)
        return before + start, table, end + after


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
