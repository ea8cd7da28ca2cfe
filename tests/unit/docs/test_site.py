"""The site as it is built: strictly, complete, and readable without the network."""

from __future__ import annotations

import http.server
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import holdfast

ROOT = Path(__file__).parents[3]
PACKAGE = Path(holdfast.__file__).parent
LOADED = re.compile(r"""<(?:script|img|link|iframe|source|video|audio)\b[^>]*?\b(?:src|href)=["']?([^"'\s>]+)""")
IN_STYLE = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s]+)""")
ABROAD = re.compile(r"^(?:https?:)?//")


@pytest.fixture(scope="session")
def site(once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The site, built once; a warning is an error."""
    pytest.importorskip("mkdocs", reason="the documentation needs pip install 'holdfast[docs]'")

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder / "site")]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return once("the site", build) / "site"


def test_every_page_is_there(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    pages |= {Path(f"{name}.html") for name in ("glossary", "changelog", "contributing")}
    assert {page for page in pages if not (site / page).is_file()} == set()


def test_no_page_loads_anything_from_the_network(site: Path) -> None:
    loaded = {
        f"{page.relative_to(site)}: {address}"
        for page in site.rglob("*.html")
        for address in LOADED.findall(page.read_text(encoding="utf-8"))
        if ABROAD.match(address)
    }
    styled = {
        f"{sheet.relative_to(site)}: {address}"
        for sheet in site.rglob("*.css")
        for address in IN_STYLE.findall(sheet.read_text(encoding="utf-8"))
        if ABROAD.match(address)
    }
    assert loaded | styled == set()


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://a.example/b.js">',
        "<link rel=stylesheet href=//a.example/b.css>",
        '<img src="http://a/b.png">',
    ],
)
def test_something_from_the_network_would_be_noticed(text: str) -> None:
    (address,) = LOADED.findall(text)
    assert ABROAD.match(address)


def test_every_formula_is_drawn_by_the_browser_itself(site: Path) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (site / "theory").glob("*.html")]
    assert all("<math" in page for page in pages)
    assert [page for page in pages if "arithmatex" in page] == []


def test_a_formula_that_is_not_understood_stops_the_build(tool: Callable[[str], ModuleType]) -> None:
    errors = pytest.importorskip("mkdocs.exceptions", reason="the documentation needs pip install 'holdfast[docs]'")
    mathematics = tool("mathematics")
    text = r'<span class="arithmatex">\(x \unheardof y\)</span>'
    with pytest.raises(errors.PluginError, match=r"a\.md.*unheardof"):
        mathematics.mathml(mathematics.FORMULA.match(text), "a.md")


def public_things() -> Iterator[tuple[str, Any]]:
    """Every function and class that a module of the library makes public, with its name there."""
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[1] not in ("cli", "__init__", "__main__"):
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            module = importlib.import_module(name)
            for public in getattr(module, "__all__", []):
                yield f"{name}.{public}", getattr(module, public)


def test_the_reference_has_every_public_function_and_class(site: Path) -> None:
    shown = set(
        re.findall(r'id="(holdfast\.[\w.]+)"', "".join(p.read_text() for p in (site / "reference").rglob("*.html")))
    )
    wanted = [(n, t) for n, t in public_things() if (inspect.isfunction(t) or inspect.isclass(t)) and t.__doc__]
    assert len(wanted) > 100
    homes = {}
    for name, thing in wanted:
        homes.setdefault(f"{thing.__module__}.{thing.__qualname__}", set()).add(name)
    assert sorted(home for home, names in homes.items() if not shown & {home, *names}) == []


@pytest.mark.parametrize(
    ("link", "source", "uri", "turned"),
    [
        ("../../GLOSSARY.md", "docs/theory/a.md", "theory/a.md", "../glossary.md"),
        ("docs/theory/a.md", "GLOSSARY.md", "glossary.md", "theory/a.md"),
        ("LICENSE", "CONTRIBUTING.md", "contributing.md", "license.txt"),
        ("b.md", "docs/theory/a.md", "theory/a.md", "b.md"),
    ],
)
def test_links_to_and_from_the_root_are_turned(
    link: str, source: str, uri: str, turned: str, tool: Callable[[str], ModuleType]
) -> None:
    pytest.importorskip("mkdocs", reason="the documentation needs pip install 'holdfast[docs]'")
    assert tool("root_pages").turned(link, source, uri) == turned


@pytest.mark.parametrize("page", sorted(path.name for path in ROOT.glob("*.md")))
def test_links_of_the_pages_at_the_root_lead_to_files(page: str) -> None:
    """The strict build looks after the other pages, and after headings."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_a_page_that_nobody_put_into_the_navigation_comes_last(
    tool: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    new_pages, config = (
        tool("new_pages"),
        SimpleNamespace(nav=[{"Theory": [{"A": "theory/a.md"}]}, {"Home": "index.md"}]),
    )
    (tmp_path / "theory").mkdir()
    for name in ("a", "b"):
        (tmp_path / "theory" / f"{name}.md").touch()
    new_pages.DOCS = tmp_path
    new_pages.on_config(config)
    assert config.nav == [{"Theory": [{"A": "theory/a.md"}, "theory/b.md"]}, {"Home": "index.md"}]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, the system's own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    "page", ["index", "tutorial/certify", "reference/cli", "theory/statistics", "reference/api/certify"]
)
def test_a_page_fits_a_phone_and_asks_nobody_else(page: str, browser: Any, site: Path) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True)
    tab, asked, errors = context.new_page(), [], []
    tab.on("request", lambda made: asked.append(made.url))
    tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto((site / f"{page}.html").as_uri())
    tab.wait_for_load_state("networkidle")
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert [url for url in asked if not url.startswith((site.as_uri(), "data:"))] == []
    assert errors == []
    context.close()


@pytest.fixture(params=["from the disk", "from a server"])
def address(request: pytest.FixtureRequest, site: Path) -> Iterator[str]:
    """Where the site begins: the way a search works differs."""
    if request.param == "from the disk":
        yield f"{site.as_uri()}/"
        return
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that does not talk."""

    def log_message(self, *_: Any) -> None: ...


@pytest.mark.browser
def test_a_search_finds_a_page(browser: Any, address: str) -> None:
    tab = browser.new_page()
    tab.goto(f"{address}index.html")
    tab.locator("input[name=query]").press_sequentially("Clopper-Pearson")
    tab.locator("a.md-search-result__link[href*=pearson]").first.wait_for()
    links = [link.get_attribute("href") for link in tab.locator("a.md-search-result__link").all()]
    assert any("theory/statistics.html" in link for link in links)
    tab.close()
