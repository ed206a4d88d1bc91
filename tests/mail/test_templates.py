"""Every mail has text and HTML in each language, and an operator can replace its template."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from adapters.mail.rendering import InvalidTemplate, MailRenderer
from application.languages import Language
from application.mail.message import CONTEXT_KEYS, Template
from tests.mail.mails import VALUES

BUILT_IN = Path("adapters/mail/templates")


class _Texts(HTMLParser):
    """Collects the visible texts, and the targets of links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: set[str | None] = set()
        self.elements: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links |= {value for name, value in attrs if name in ("href", "src")}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def context_of(template: Template) -> dict[str, str]:
    return {key: VALUES[key] for key in CONTEXT_KEYS[template]}


@pytest.fixture(scope="module")
def renderer() -> MailRenderer:
    return MailRenderer("Example Users")


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("template", Template)
def test_a_mail_shows_all_that_it_is_about_in_text_and_html(
    renderer: MailRenderer, template: Template, language: Language
) -> None:
    context = context_of(template)
    rendering = renderer.render(template, language, context)
    assert "Example Users" in rendering.subject
    html = _Texts(rendering.html)
    for value in context.values():
        assert value in rendering.text
        assert value in html.text
    assert html.links == ({context["link"]} if "link" in context else set())
    for paragraph in rendering.text.split("\n\n"):
        assert paragraph.splitlines()[0].rstrip(":") in html.text
    assert all(len(line) <= 100 or line == context.get("link") for line in rendering.text.splitlines())


def test_the_languages_differ(renderer: MailRenderer) -> None:
    for template in Template:
        texts = {renderer.render(template, language, context_of(template)).text for language in Language}
        assert len(texts) == len(Language)


def test_no_value_becomes_an_element_or_a_link(renderer: MailRenderer) -> None:
    context = context_of(Template.EMAIL_CHANGED) | {
        "address": "<img src=https://evil.example>@example.com",
        "new_address": "https://evil.example",
    }
    rendering = renderer.render(Template.EMAIL_CHANGED, "en", context)
    html = _Texts(rendering.html)
    assert "img" not in html.elements
    assert html.links == {context["link"]}
    assert context["address"] in rendering.text
    assert context["address"] in html.text


def test_files_of_a_directory_replace_built_in_templates(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "test.txt").write_text("Subject: Hi\n\nTo {{ address }} & from {{ service }}.\n")
    (tmp_path / "layout.html").write_text(
        '<h1>{{ subject }}</h1>{% for paragraph in paragraphs %}<a href="{{ paragraph.link }}">{{ paragraph.text }}</a>'
        "{% endfor %}"
    )
    renderer = MailRenderer("Us", tmp_path)
    replaced = renderer.render(Template.TEST, "en", context_of(Template.TEST))
    assert (replaced.subject, replaced.text) == ("Hi", "To ann@example.com & from Us.\n")
    assert "<h1>Hi</h1>" in replaced.html
    assert "To ann@example.com &amp; from Us." in replaced.html
    other = renderer.render(Template.TEST, "de", context_of(Template.TEST))
    assert other.text == MailRenderer("Us").render(Template.TEST, "de", context_of(Template.TEST)).text
    assert other.html.startswith("<h1>Us: Testnachricht</h1>")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("en/test.txt", b"Subject: x\n\n{{ address", r"en/test\.txt: line 3: unexpected end of template"),
        ("en/test.txt", b"Subject: x\n\n{{ adress }}", r"en/test\.txt: there is no adress; there are address, service"),
        (
            "de/test.txt",
            b"Subject: x\n\n{% if address == 'bob' %}{{ link }}{% endif %}",
            r"de/test\.txt: there is no link",
        ),
        ("en/test.txt", b"Subject: x\n\n{{ address | shout }}", r"en/test\.txt: line 3: No filter named 'shout'"),
        ("en/test.txt", b"Subject: x\n\n{{ address / 2 }}", r"en/test\.txt: unsupported operand"),
        ("en/test.txt", b"Hello", r"en/test\.txt: the first line must be `Subject:` and a subject"),
        ("en/test.txt", b"Subject:\n\nHello", r"en/test\.txt: the first line must be"),
        ("en/test.txt", b"", r"en/test\.txt: the first line must be"),
        ("en/test.txt", "Subject: ä".encode("latin-1"), r"en/test\.txt: it is not UTF-8 text"),
        ("en/verify-email.txt", b"Subject: x\n\nHello", r"en/verify-email\.txt: \{\{ link \}\} must stand on a line"),
        ("layout.html", b"{{ subject }}", r"layout\.html: a paragraph's link must be the href of an element"),
        ("layout.html", b"{{ link }}", r"layout\.html: there is no link"),
        ("verify-email.txt", b"Subject: x", r"verify-email\.txt: no template has this name"),
        ("fr/verify-email.txt", b"Subject: x", r"fr/verify-email\.txt: no template has this name"),
    ],
)
def test_a_template_that_cannot_be_used_is_reported_at_the_start(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    with pytest.raises(InvalidTemplate, match=rf"^{reason}[^\n]*$"):
        MailRenderer("Us", tmp_path)


def test_a_directory_of_templates_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidTemplate, match="there is no such directory"):
        MailRenderer("Us", tmp_path / "nothing")


def test_every_built_in_file_is_a_template() -> None:
    MailRenderer("Us", BUILT_IN)
    texts = {path.relative_to(BUILT_IN).as_posix() for path in BUILT_IN.rglob("*.txt")}
    assert texts == {f"{language}/{template}.txt" for language in Language for template in Template}
    assert all(re.match(r"Subject: \{\{ service \}\}: \S", (BUILT_IN / name).read_text()) for name in texts)
