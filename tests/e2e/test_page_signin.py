"""Signing in, roles and the end of a session in Chromium."""

import re
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.support.browser import Visit, axe, visitor
from tests.support.doors import line, oidc_provider
from tests.support.stage import stage as serve_stage
from tests.support.states import Pictures, done, recognize

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
ROLES = {"viewer": "recognize", "editor": "recognize,enroll", "admin": "recognize,enroll,admin"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Visit]:
    """Serve a page that asks people to sign in, with a token named as its role or at an issuer."""
    folder = tmp_path_factory.mktemp("closed")
    callers, secret = folder / "callers", folder / "secret"
    secret.write_text("s3cr3t-of-the-page")
    callers.write_text("".join(line(role, name=f"the-{role}", scopes=scopes) for role, scopes in ROLES.items()))
    with oidc_provider(ada={"name": "Ada Lovelace", "roles": ["editor"]}) as issuer:
        client = {"oidc_issuer": issuer, "oidc_client_id": "marquee", "oidc_client_secret_file": str(secret)}
        async with serve_stage(folder, callers=str(callers), **client) as stage:
            yield partial(visitor, browser, stage.url)


async def test_signs_in_with_a_token(closed: Visit) -> None:
    """A visitor is sent to the page for signing in, told what is wrong with a token, let in with a good one and out."""
    async with closed(tolerate="40[13]") as page:
        await page.goto("/status")
        await expect(page).to_have_url(re.compile(r"/sign-in\?next="))
        assert await axe(page) == []
        await _enter(page, "wrong")
        await expect(page.get_by_role("alert")).to_be_visible()
        assert await axe(page) == []
        await _enter(page, "viewer")
        await expect(page).to_have_url(re.compile("/status$"))
        await expect(page.get_by_text("the-viewer")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await page.goto("/")
        await expect(page).to_have_url(re.compile("/sign-in"))


async def test_signs_in_at_the_issuer(closed: Visit) -> None:
    """A visitor signs in at their own organization, and is greeted by name."""
    async with closed(tolerate="ERR_NAME_NOT_RESOLVED|favicon") as page:
        await page.goto("/")
        await page.get_by_role("link", name="Sign in with your account").click()
        await page.locator("input[name=sub]").fill("ada")
        await page.locator("button[type=submit], input[type=submit]").first.click()
        await expect(page.get_by_role("banner")).to_contain_text("Ada Lovelace")
        await expect(page.get_by_role("link", name="Enroll")).to_be_visible()


@pytest.mark.parametrize("role", ROLES)
async def test_roles_see_what_they_may_do(closed: Visit, pictures: Pictures, role: str) -> None:
    """Viewers are not offered to enroll, and only admins see money."""
    async with closed() as page:
        await page.goto("/sign-in")
        await _enter(page, role)
        await page.wait_for_url("**/")
        await recognize(page, pictures["both"])
        await page.locator(".box").first.click()
        offers = await page.get_by_text("Enroll this face").locator("visible=true").count()
        await page.goto("/status")
        seen = await page.get_by_role("main").inner_text()
    assert (bool(offers), "$9.876" in seen) == (role != "viewer", role == "admin")


async def test_a_picture_outlives_the_session(closed: Visit, pictures: Pictures) -> None:
    """If the session has ended, the picture stays while its visitor signs in beside it, and is then recognized."""
    async with closed(tolerate="40[13]|Failed to fetch") as page:
        await page.goto("/sign-in")
        await _enter(page, "viewer")
        await page.wait_for_url("**/")
        article = await recognize(page, pictures["both"])
        await page.context.clear_cookies()
        await article.get_by_role("button", name="again").click()
        await expect(article).to_contain_text("sign in", ignore_case=True)
        async with page.context.expect_page() as opening:
            await article.get_by_role("link", name="Sign in").click()
        beside = await opening.value
        await _enter(beside, "viewer")
        await beside.wait_for_url("**/")
        await beside.close()
        if await article.get_attribute("data-state") == "failed":
            await article.get_by_role("button", name="again").click()
        await done(article.and_(page.locator("[data-state=done]")))
        await expect(article).to_contain_text("Eileen Collins")


async def _enter(page: Page, token: str) -> None:
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Sign in").click()
