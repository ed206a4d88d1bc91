"""The account pages without a browser."""

import re
from html.parser import HTMLParser
from string import ascii_lowercase

import httpx
import pytest

from adapters.security.common_passwords import MostCommonPasswords
from application.languages import Language
from application.passwords import Passwords
from domain.errors import InvalidValue
from entrypoints.web.account import PAGES, read_texts
from tests.application.fakes import ReadableHasher
from tests.http.service import running
from tests.http.sign_in_helpers import SIGNING_KEY


class _Elements(HTMLParser):
    """Collects elements with their attributes, and the text of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._in_code = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_code = tag in {"script", "style"}
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._in_code = False

    def handle_data(self, data: str) -> None:
        if self._in_code:
            self.inline += data

    def values(self, *names: str) -> list[str]:
        return [value for _, attributes in self.elements for name in names if (value := attributes.get(name))]


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_runs_its_own_files_alone(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/account/{name}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    page = _Elements(response.text)
    assert page.inline == ""
    assert page.values("style", "onclick", "onload", "onsubmit") == []
    files = [url for url in page.values("src", "href", "action", "data-call") if not url.startswith("data:")]
    assert len(files) == 3
    assert all(url.startswith(("/account/static/", "/auth/")) for url in files)


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_is_not_indexed_framed_or_sent_as_a_referrer(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/account/{name}")
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-robots-tag"] == "noindex"
    assert response.headers["x-frame-options"] == "DENY"
    metadata = {tag["name"]: tag["content"] for kind, tag in _Elements(response.text).elements if "name" in tag}
    assert (metadata["robots"], metadata["referrer"]) == ("noindex", "no-referrer")


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_is_in_the_language_that_the_browser_asks_for(client: httpx.AsyncClient, name: str) -> None:
    titles = {}
    for accepted, language in (("de-AT,de;q=0.9,en;q=0.8", "de"), ("en", "en"), ("fr", "en"), ("", "en")):
        response = await client.get(f"/account/{name}", headers={"accept-language": accepted})
        assert response.headers["content-language"] == language
        assert "Accept-Language" in response.headers["vary"]
        assert f'<html lang="{language}">' in response.text
        titles[language] = re.findall("<title>(.*)</title>", response.text)
    assert titles["de"] != titles["en"]


async def test_a_page_says_that_it_needs_scripts(client: httpx.AsyncClient) -> None:
    html = (await client.get("/account/verify-email")).text
    assert re.findall("<noscript>(.*?)</noscript>", html)[0].startswith('<p class="notice">This page needs JavaScript.')
    assert re.search(r"<form [^>]* hidden>", html)


@pytest.mark.parametrize("name", ["account.css", "account.js"])
async def test_files_of_the_pages_are_there_and_name_no_other_host(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/account/static/{name}")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/css" if name.endswith("css") else "text/javascript")
    assert not re.search(r"\w://|[\"'(]//|@import", response.text)
    assert (await client.head(f"/account/static/{name}")).status_code == 200


@pytest.mark.parametrize("path", ["/account", "/account/delete", "/account/static", "/account/static/account.py"])
async def test_other_paths_are_404(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/account/verify-email", "/account/static/account.js"])
async def test_open_mode_has_no_accounts_and_no_pages(path: str) -> None:
    async with running() as service, service.connect() as client:
        assert (await client.get(path)).status_code == 404


async def test_a_page_shows_the_name_of_the_service_and_calls_it_below_its_public_url() -> None:
    app = running(
        signing_key=SIGNING_KEY, mail_from="R&D <no-reply@example.com>", public_url="https://example.com/users/"
    )
    async with app as service, service.connect() as client:
        response = await client.get("/account/verify-email")
    assert "R&amp;D</title>" in response.text
    page = _Elements(response.text)
    assert page.values("data-call") == ["/users/auth/email-verification/confirm"]
    assert "/users/account/static/account.js" in page.values("src")


def test_both_languages_say_the_same_things() -> None:
    english, german = (read_texts(language) for language in Language)
    assert {name: list(texts) for name, texts in english.items()} == {
        name: list(texts) for name, texts in german.items()
    }
    assert set(PAGES) < set(english)
    differing = [text for name in english for key, text in english[name].items() if german[name][key] == text]
    assert differing == []


@pytest.mark.parametrize("password", ["", "short", "x" * 257, "\ud800" * 8, "ann@example.com", "password1"])
def test_every_reason_to_refuse_a_password_has_a_text(password: str) -> None:
    passwords = Passwords(ReadableHasher(), MostCommonPasswords())
    with pytest.raises(InvalidValue) as refused:
        passwords.parse(password, own=["ann@example.com"])
    assert all(refused.value.code in read_texts(language)["passwords"] for language in Language)
    assert set(refused.value.code) <= set(ascii_lowercase + "_")
