"""The documentation as a whole: every page is linked, and the first one is short."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = [
    page
    for purpose in ("tutorial", "how-to", "reference", "explanation")
    for page in sorted((DOCS / purpose).glob("*.md"))
]


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text()
    assert [page for page in PAGES if f"]({page.relative_to(DOCS)})" not in index] == []


def test_every_decision_is_in_their_index() -> None:
    decisions = DOCS / "decisions"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (decisions / "README.md").read_text())
    assert listed == sorted(page.name for page in decisions.glob("[0-9]*.md"))


def test_the_readme_takes_five_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_glossary_has_fewer_than_fifteen_terms() -> None:
    rows = re.findall(r"^\| .* \|$", (DOCS / "reference" / "glossary.md").read_text(), re.MULTILINE)
    assert 1 < len(rows) - 1 < 15  # without the heading
