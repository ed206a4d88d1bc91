import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")]

_BLOCK: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
_HEADING: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)


def test_every_link_leads_to_an_existing_file_and_heading() -> None:
    for document in DOCUMENTS:
        assert list(_broken_links(document)) == [], document


def _broken_links(document: Path) -> Iterator[str]:
    for path, heading in _LINK.findall(_text(document)):
        target = (document.parent / path) if path else document
        if not target.exists() or not target.resolve().is_relative_to(ROOT):
            yield path
        elif heading and heading not in _anchors(target):
            yield f"{path}#{heading}"


def _anchors(document: Path) -> set[str]:
    """Return the anchors of the headings, as sites that render Markdown name them."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(_text(document)))
    return {heading.replace(" ", "-") for heading in words}


def _text(document: Path) -> str:
    """Return a document without code blocks, in which brackets are not links."""
    return _BLOCK.sub("", document.read_text())
