"""The documentation page works without internet access."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest


class _References(HTMLParser):
    """Collects what a page would load, and the text of its scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.inline = ""
        self._in_code = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._in_code = tag in {"script", "style"}
        self.urls += [value for name, value in attributes if name in {"src", "href", "data", "action"} and value]

    def handle_endtag(self, tag: str) -> None:
        self._in_code = False

    def handle_data(self, data: str) -> None:
        if self._in_code:
            self.inline += data


async def _page(client: httpx.AsyncClient) -> _References:
    response = await client.get("/docs")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    page = _References()
    page.feed(response.text)
    return page


async def test_the_page_loads_nothing_from_another_host(memory_client: httpx.AsyncClient) -> None:
    page = await _page(memory_client)
    assert page.urls
    for url in page.urls:
        parts = urlsplit(url)
        assert parts.netloc == ""
        assert parts.scheme in {"", "data"}
    assert "://" not in page.inline
    assert not re.search(r"[\"'(]//", page.inline)


async def test_everything_that_the_page_loads_is_there(memory_client: httpx.AsyncClient) -> None:
    page = await _page(memory_client)
    urls = [url for url in page.urls if not url.startswith("data:")]
    assert any(url.endswith(".js") for url in urls)
    assert any(url.endswith(".css") for url in urls)
    for url in urls:
        response = await memory_client.get(urljoin("/docs", url))
        assert response.status_code == 200
        assert len(response.content) > 1000
        expected = "css" if url.endswith(".css") else "javascript"
        assert expected in response.headers["content-type"]


async def test_the_page_shows_our_document(memory_client: httpx.AsyncClient) -> None:
    page = await _page(memory_client)
    assert re.search(r"url: *['\"]/openapi\.json['\"]", page.inline)
    assert (await memory_client.get("/openapi.json")).json()["info"]["title"] == "userport"


async def test_styles_load_nothing_from_another_host(memory_client: httpx.AsyncClient) -> None:
    page = await _page(memory_client)
    for url in page.urls:
        if url.endswith(".css"):
            css = (await memory_client.get(urljoin("/docs", url))).text
            loaded = re.findall(r"url\(\s*['\"]?([^'\")]{0,40})|@import\s+['\"]([^'\"]+)", css)
            assert all(first.startswith("data:") and not imported for first, imported in loaded)


async def test_the_policy_allows_the_script_in_the_page_and_what_this_host_has(
    memory_client: httpx.AsyncClient,
) -> None:
    response = await memory_client.get("/docs")
    directives = [part.split() for part in response.headers["content-security-policy"].split(";")]
    policy = {directive: set(sources) for directive, *sources in directives}
    script = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    digests = {f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in script}
    assert len(digests) == 1
    assert policy["script-src"] == {"'self'", *digests}
    assert policy["connect-src"] == {"'self'"}
    others = set().union(*policy.values()) - digests
    assert others == {"'none'", "'self'", "'unsafe-inline'", "data:"}


async def test_the_page_can_ask_for_a_token_where_it_is_given(memory_token_client: httpx.AsyncClient) -> None:
    document = (await memory_token_client.get("/openapi.json")).json()
    ((name, scheme),) = document["components"]["securitySchemes"].items()
    assert scheme["flows"]["password"]["tokenUrl"] in document["paths"]
    assert document["paths"]["/users/{id}"]["get"]["security"] == [{name: []}]


@pytest.mark.parametrize("unit", ["lemons=", "bytes=9999999-"])
async def test_an_odd_range_of_a_file_is_no_reason_to_refuse_it(memory_client: httpx.AsyncClient, unit: str) -> None:
    response = await memory_client.get("/docs/assets/swagger-ui.css", headers={"Range": unit})
    assert response.status_code == 200
