"""Users follow the links in their mails, in a real browser and on a real service."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from application.mail.message import Template
from entrypoints.web.account import PAGES
from tests.http.sign_in_helpers import PASSWORD
from tests.web.accounts import ADMIN, Accounts, running_accounts
from tests.web.browsers import PHONE, Visit, chromium

pytestmark = pytest.mark.slow

NEW_PASSWORD = "quiet and long enough"


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    with running_accounts(tmp_path_factory.mktemp("accounts")) as accounts:
        yield accounts


@pytest.fixture(scope="module")
def browser(accounts: Accounts) -> Iterator[Browser]:
    """A browser that starts after the service, because its event loop prevents any other."""
    with chromium() as browser:
        yield browser


def token_in(link: str) -> str:
    return link.partition("#token=")[2]


def test_opening_a_link_does_nothing_and_a_click_verifies_the_address(browser: Browser, accounts: Accounts) -> None:
    accounts.add("ann@example.com")
    link = accounts.link("ann@example.com", Template.VERIFY_EMAIL)
    headers = accounts.headers("ann@example.com")
    with Visit(browser, accounts.address) as visit:
        visit.open(link)
        expect(visit.page.get_by_role("heading")).to_have_text("Confirm your email address")
        visit.page.wait_for_load_state("networkidle")
        assert visit.sent == []
        assert not accounts.client.get("/users/me", headers=headers).json()["email_verified"]
        visit.page.get_by_role("button").click()
        expect(visit.page.get_by_role("heading")).to_have_text("Your address is confirmed")
        expect(visit.page.get_by_role("heading")).to_be_focused()
        expect(visit.page).to_have_title("Your address is confirmed – Example Users")
        assert visit.sent == [("/auth/email-verification/confirm", {"token": token_in(link)})]
        assert visit.page.url == f"{accounts.address}/account/verify-email"
        visit.check_accessibility()
    assert accounts.client.get("/users/me", headers=headers).json()["email_verified"]
    with Visit(browser, accounts.address, locale="de") as visit:
        visit.open(link)
        visit.page.get_by_role("button").click()
        expect(visit.page.get_by_role("heading")).to_have_text("Dieser Link gilt nicht mehr")
        visit.check_accessibility()


def test_a_forgotten_password_is_replaced_by_keyboard_on_a_phone_in_the_dark(
    browser: Browser, accounts: Accounts
) -> None:
    accounts.add("bob@example.com")
    accounts.client.post("/auth/password-reset", json={"email": "bob@example.com"})
    link = accounts.link("bob@example.com", Template.RESET_PASSWORD)
    with Visit(browser, accounts.address, viewport=PHONE, locale="de", color_scheme="dark") as visit:
        visit.open(link)
        page = visit.page
        field = page.get_by_label("Neues Passwort")
        page.keyboard.press("Tab")
        expect(field).to_be_focused()
        for password, error in (
            ("", "Geben Sie ein Passwort ein."),
            ("short", "Das Passwort ist zu kurz: Es braucht mindestens 8 Zeichen."),
            ("password1", "Das ist eines der häufigsten Passwörter"),
            ("bob@example.com", "Das Passwort darf nicht Ihre E-Mail-Adresse"),
        ):
            field.fill(password)
            page.keyboard.press("Enter")
            expect(page.locator("#password-error")).to_contain_text(error, use_inner_text=True)
            expect(field).to_have_attribute("aria-invalid", "true")
            expect(field).to_have_accessible_description(re.compile(re.escape(error)))
            expect(field).to_be_focused()
        visit.check_accessibility()
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        expect(field).to_have_attribute("type", "text")
        field.fill(NEW_PASSWORD)
        field.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading")).to_have_text("Ihr Passwort ist festgelegt")
        visit.check_accessibility()
    assert accounts.sign_in("bob@example.com", NEW_PASSWORD).status_code == 200
    assert accounts.sign_in("bob@example.com").status_code == 400


def test_a_change_of_address_is_confirmed_and_undone(browser: Browser, accounts: Accounts) -> None:
    accounts.add("old@example.com")
    change = {"new_email": "new@example.com", "current_password": PASSWORD}
    requested = accounts.client.post("/users/me/email-change", json=change, headers=accounts.headers("old@example.com"))
    assert requested.status_code == 202
    with Visit(browser, accounts.address) as visit:
        visit.open(accounts.link("new@example.com", Template.CONFIRM_EMAIL_CHANGE))
        visit.page.get_by_role("button").click()
        expect(visit.page.get_by_role("heading")).to_have_text("Your address is changed")
    assert accounts.sign_in("new@example.com").status_code == 200
    with Visit(browser, accounts.address) as visit:
        visit.open(accounts.link("old@example.com", Template.EMAIL_CHANGED))
        visit.page.get_by_role("button").click()
        expect(visit.page.get_by_role("heading")).to_have_text("The change is undone")
    assert accounts.sign_in("new@example.com").status_code == 400
    assert accounts.sign_in("old@example.com").status_code == 200
    assert accounts.link("old@example.com", Template.RESET_PASSWORD)


def test_a_page_shows_that_the_address_is_taken_by_now(browser: Browser, accounts: Accounts) -> None:
    accounts.add("carol@example.com")
    change = {"new_email": "wanted@example.com", "current_password": PASSWORD}
    accounts.client.post("/users/me/email-change", json=change, headers=accounts.headers("carol@example.com"))
    link = accounts.link("wanted@example.com", Template.CONFIRM_EMAIL_CHANGE)
    accounts.add("wanted@example.com")
    with Visit(browser, accounts.address) as visit:
        visit.open(link)
        visit.page.get_by_role("button").click()
        expect(visit.page.get_by_role("heading")).to_have_text("That is no longer possible")
        expect(visit.page.locator("main")).to_contain_text("Another account has this email address by now.")
        visit.check_accessibility()


def test_an_invitation_is_accepted(browser: Browser, accounts: Accounts) -> None:
    headers = accounts.headers(ADMIN)
    invited = accounts.client.post("/users", json={"email": "dora@example.com", "name": "Dora"}, headers=headers)
    accounts.client.post(f"/users/{invited.json()['id']}/invitation", headers=headers)
    with Visit(browser, accounts.address) as visit:
        visit.open(accounts.link("dora@example.com", Template.INVITATION))
        visit.page.get_by_label("New password").fill(NEW_PASSWORD)
        visit.page.get_by_role("button").click()
        expect(visit.page.get_by_role("heading")).to_have_text("Your account is ready")
    assert accounts.sign_in("dora@example.com", NEW_PASSWORD).status_code == 200


def test_a_service_that_is_not_reached_can_be_tried_again(browser: Browser, accounts: Accounts) -> None:
    accounts.add("eve@example.com")
    with Visit(browser, accounts.address) as visit:
        visit.open(accounts.link("eve@example.com", Template.VERIFY_EMAIL))
        visit.page.context.set_offline(True)
        visit.page.get_by_role("button").click()
        expect(visit.page.get_by_role("alert")).to_have_text("That did not work. Please try again in a minute.")
        visit.check_accessibility()
        visit.page.context.set_offline(False)
        visit.page.get_by_role("button").click()
        expect(visit.page.get_by_role("heading")).to_have_text("Your address is confirmed")


def test_a_link_without_a_token_is_incomplete(browser: Browser, accounts: Accounts) -> None:
    with Visit(browser, accounts.address) as visit:
        visit.open("/account/verify-email")
        expect(visit.page.get_by_role("heading")).to_have_text("This link is incomplete")
        expect(visit.page.get_by_role("button")).to_have_count(0)
        visit.check_accessibility()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    "options",
    [{}, {"color_scheme": "dark", "viewport": PHONE, "locale": "de"}],
    ids=["light and wide", "dark and narrow, in German"],
)
def test_everyone_can_use_a_page(browser: Browser, accounts: Accounts, name: str, options: dict[str, Any]) -> None:
    with Visit(browser, accounts.address, **options) as visit:
        visit.open(f"/account/{name}#token=x")
        expect(visit.page.get_by_role("button")).to_be_visible()
        visit.check_accessibility()
