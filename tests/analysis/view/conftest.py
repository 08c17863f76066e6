"""A real browser for the tests of the page. Without Debian's chromium they are skipped."""

import shutil

import pytest

VIEWS = ("overview", "budget", "problems", "compare", "tests")
WIDTHS = (390, 1280, 1720)


def wait_until_drawn(tab):
    """Wait for five frames: boxes change in one, charts are drawn anew in the next."""
    tab.evaluate(
        """async () => {
            for (let frame = 0; frame < 5; frame++) await new Promise(requestAnimationFrame);
        }"""
    )


@pytest.fixture(scope="module")
def chromium():
    """Headless Chromium, for one module: its driver keeps an event loop running in the process."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    playwright.expect.set_options(timeout=30_000)  # a busy machine is no failure
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """An empty tab of 1,280 pixels; the test fails if the page prints anything or asks for an address."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.local = ("file:", "data:", "about:", "http://127.0.0.1")
    yield page
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(page.local)] == []


@pytest.fixture
def show(tab):
    """A function that opens a view of a page, and returns the tab when it is drawn."""

    def opened(page, view="overview"):
        address = page if str(page).startswith("http") else page.as_uri()
        if tab.url.partition("#")[0] == address:
            tab.evaluate("to => { location.hash = to }", f"#/{view}")
        else:
            tab.goto(f"{address}#/{view}")
        tab.wait_for_selector("body[data-ready]")
        wait_until_drawn(tab)
        return tab

    return opened
