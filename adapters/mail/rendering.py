"""Render subject, text and HTML of mails, from one template per mail and language.

A template is a text: its first line is `Subject: …`, and empty lines separate paragraphs. `layout.html` turns the same
paragraphs into HTML. A template therefore contains no HTML, and no value can inject any.
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateSyntaxError, select_autoescape
from jinja2.meta import find_undeclared_variables

from application.languages import Language
from application.mail.message import CONTEXT_KEYS, Template

_BUILT_IN: Final = Path(__file__).with_name("templates")
_LAYOUT: Final = "layout.html"
_LAYOUT_KEYS: Final = frozenset({"language", "subject", "paragraphs"})
_SERVICE: Final = "service"
_SUBJECT: Final = "Subject:"
_EMPTY_LINES: Final = re.compile(r"\n(?:[ \t]*\n)+")
_SAMPLES: Final = {
    "address": "ann@example.com",
    "new_address": "ann@example.org",
    "link": "https://users.example.com/account#token=sample",
    "time": "2026-11-20 20:36 UTC",
    "place": "192.0.2.1",
}


class InvalidTemplate(Exception):
    """An operator's template cannot be used; the text is one line that names it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {' '.join(reason.split())}")


@dataclass(frozen=True, slots=True)
class Rendering:
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph for the layout. With a link, `text` is its label."""

    text: str
    link: str | None = None


class MailRenderer:
    """Renders mails. Its constructor checks all templates if an operator's are among them."""

    def __init__(self, service: str, directory: Path | None = None) -> None:
        """Create a renderer for mails of the service with this name.

        Files of the directory replace the built-in templates of the same name.

        Raises:
            InvalidTemplate: One of these files replaces no template, or cannot be rendered.
        """
        directories = [_BUILT_IN]
        if directory is not None:
            _check_names(directory)
            directories.insert(0, directory)
        self._loader = ChoiceLoader([FileSystemLoader(directory) for directory in directories])
        self._environment = Environment(
            loader=self._loader,
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
        )
        self._environment.globals[_SERVICE] = service
        if directory is not None:
            self._try_all()

    def render(self, template: str, language: str, context: Mapping[str, str]) -> Rendering:
        text = self._environment.get_template(_name(template, language)).render(context)
        heading, _, body = text.partition("\n")
        subject = heading.removeprefix(_SUBJECT).strip()
        if not heading.startswith(_SUBJECT) or not subject:
            raise ValueError(f"the first line must be `{_SUBJECT}` and a subject")
        body = body.strip() + "\n"
        paragraphs = list(_paragraphs(body, context.get("link")))
        html = self._environment.get_template(_LAYOUT).render(language=language, subject=subject, paragraphs=paragraphs)
        return Rendering(subject, body, html)

    def _try_all(self) -> None:
        self._check(_LAYOUT, _LAYOUT_KEYS)
        for language in Language:
            for template, keys in CONTEXT_KEYS.items():
                name = _name(template, language)
                self._check(name, keys)
                try:
                    rendering = self.render(template, language, {key: _SAMPLES[key] for key in keys})
                except Exception as error:
                    raise InvalidTemplate(name, str(error)) from error
                if "link" in keys and _SAMPLES["link"] not in rendering.text.splitlines():
                    raise InvalidTemplate(name, "{{ link }} must stand on a line of its own")
                if "link" in keys and f'href="{_SAMPLES["link"]}"' not in rendering.html:
                    raise InvalidTemplate(_LAYOUT, "a paragraph's link must be the href of an element")

    def _check(self, name: str, keys: Set[str]) -> None:
        """Compile a template, and find undefined names in it, also in branches that no sample reaches."""
        try:
            source, _, _ = self._loader.get_source(self._environment, name)
            names = find_undeclared_variables(self._environment.parse(source))
            self._environment.get_template(name)
        except TemplateSyntaxError as error:
            raise InvalidTemplate(name, f"line {error.lineno}: {error.message}") from error
        except UnicodeDecodeError as error:
            raise InvalidTemplate(name, "it is not UTF-8 text") from error
        except OSError as error:
            raise InvalidTemplate(name, str(error.strerror)) from error
        if unknown := sorted(names - keys - {_SERVICE}):
            known = ", ".join(sorted({*keys, _SERVICE}))
            raise InvalidTemplate(name, f"there is no {unknown[0]}; there are {known}")


def _name(template: str, language: str) -> str:
    return f"{language}/{template}.txt"


def _check_names(directory: Path) -> None:
    """Raise `InvalidTemplate` for a file that replaces no template, such as a misspelt name."""
    if not directory.is_dir():
        raise InvalidTemplate(str(directory), "there is no such directory")
    known = {_LAYOUT, *(_name(template, language) for language in Language for template in Template)}
    for file in directory.rglob("*"):
        name = file.relative_to(directory).as_posix()
        if file.is_file() and not name.startswith(".") and name not in known:
            raise InvalidTemplate(name, f"no template has this name; it must be one of: {', '.join(sorted(known))}")


def _paragraphs(body: str, link: str | None) -> Iterator[Paragraph]:
    for part in _EMPTY_LINES.split(body.strip()):
        *lines, last = (line.strip() for line in part.splitlines())
        if link is not None and last == link:
            yield Paragraph(" ".join(lines).rstrip(":") or link, link)
        else:
            yield Paragraph(" ".join([*lines, last]))
