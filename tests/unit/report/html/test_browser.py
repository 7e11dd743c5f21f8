"""The page in a real browser: what a parser of ours cannot know."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chromium
import document_samples as documents
import hostile_text
import report_samples as samples
from chromium import Browser
from penstock.record import replace
from penstock.report.html import page, versus
from penstock.report.members import unknown
from penstock.report.versus import Told
from penstock.report.versus import versus as compared

AXE = "axe-core@4.11.0"
pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason=chromium.MISSING)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium.browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages to look at: of a run with everything, of a failure, of two runs, and of nothing but hostile text."""
    folder = tmp_path_factory.mktemp("pages")
    report, papers = documents.whole()
    changed = papers | {
        "build/penstock/quality.measures.json": documents.encoded(documents.measures(documents.Rows(seed=9)))
    }
    sides = (Told(samples.refused(), changed, "a/run.json"), Told(report, papers, "b/run.json"))
    found = {
        "whole": page.render(report, papers),
        "failed": page.render(samples.failed(), {"broken.json": b"{"}),
        "multiclass": page.render(samples.passed(), {"m.json": documents.encoded(documents.multiclass())}),
        "regression": page.render(samples.undecided(), {"m.json": documents.encoded(documents.regression())}),
        "two": versus.render(compared(*sides, unknown)),
        "hostile": hostile_page(),
    }
    for name, content in found.items():
        (folder / f"{name}.html").write_bytes(content)
    return {name: folder / f"{name}.html" for name in found}


def hostile_page() -> bytes:
    poison = hostile_text.Poison(hostile_text.texts())
    papers = {
        path: json.dumps(poison.document(json.loads(content))).encode()
        for path, content in documents.documents().items()
    }
    report, _ = documents.whole(papers)
    stages = tuple(
        replace(poison.record(stage, ("outputs", "name", "needs")), needs=stage.needs)
        for stage in report.stages
    )
    html = page.render(replace(poison.record(report, ("stages",)), stages=stages), papers)
    assert poison.used > 500
    return html


LOOKS = [(320, False), (390, True), (1280, False), (1280, True)]
"""Width of the window, and whether its reader prefers it dark."""
NAMES = ("whole", "failed", "multiclass", "regression", "two", "hostile")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("look", LOOKS)
def test_a_page_says_nothing_asks_for_nothing_and_fits(
    browser: Browser, pages: dict[str, Path], name: str, look: tuple[int, bool]
) -> None:
    width, dark = look
    browser.open(pages[name], width=width, dark=dark)
    assert browser.said == []
    assert browser.requested == [pages[name].resolve().as_uri()]
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask("getComputedStyle(document.querySelector('h1')).fontSize") != "32px", (
        "the style is in force"
    )


ACTIVE = """
    [...document.querySelectorAll('*')].filter(each =>
        /^(script|iframe|object|embed|link|base|form|input|button|img|image|use|video|audio|source|foreignobject|animate|set|template|noscript|math)$/i.test(each.localName)
        || [...each.attributes].some(({name, value}) => /^on|^style$|^src/i.test(name) || /^(xlink:)?href$/i.test(name) && !/^#/.test(value))
    ).map(each => each.outerHTML.slice(0, 200))
"""


def test_500_hostile_texts_are_text_to_a_browser(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["hostile"])
    assert browser.ask(ACTIVE) == []
    assert browser.ask("document.querySelectorAll('meta[http-equiv]').length") == 1
    assert "alert(1)" in browser.ask("document.body.innerText")
    assert browser.ask("document.body.lastElementChild.localName") == "footer"
    assert browser.said == []


def test_the_policy_would_stop_what_is_not_ours(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    html = pages["whole"].read_text()
    infected = html.replace(
        "<main",
        "<script>document.title = 'mine'</script><p style='color: red'>x</p><img src=http://evil.example/x><main",
        1,
    )
    (tmp_path / "x.html").write_text(infected)
    browser.open(tmp_path / "x.html")
    assert browser.ask("document.title") == "churn: inconclusive"
    assert len([each for each in browser.said if "Content Security Policy" in each]) == 3


def test_everything_can_be_reached_by_the_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["whole"], width=390)
    assert (
        browser.ask("""
        [...document.querySelectorAll('.scroll, pre')].filter(each => each.tabIndex !== 0).length
    """)
        == 0
    )
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert browser.ask("document.activeElement.textContent") == "To the report"
    assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_printed_page_shows_what_is_folded_and_no_navigation(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    browser.open(pages["whole"], dark=True)
    browser.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    browser.call(
        "Emulation.setEmulatedMedia",
        media="print",
        features=[{"name": "prefers-color-scheme", "value": "dark"}],
    )
    try:
        assert browser.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert (
            browser.ask("getComputedStyle(document.querySelector('.top')).backgroundColor")
            == "rgb(255, 255, 255)"
        )
        folded = "document.querySelector('details.fold:not([open]) table').checkVisibility({contentVisibilityAuto: true})"
        assert browser.ask(folded) is True
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")


@pytest.fixture(scope="module")
def axe() -> str:
    """The rules of axe-core, from npm's registry by npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, which gets axe-core: apt-get install npm")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "penstock-tests" / AXE
    script = cache / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        asked = [
            npm,
            "install",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
            str(cache),
            AXE,
        ]
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=120)
        if not script.is_file():
            pytest.skip(f"npm could not get {AXE}: {done.stderr[-300:]}")
    return script.read_text(encoding="utf-8")


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES[:-1])
@pytest.mark.parametrize("look", LOOKS[1:3])
def test_axe_finds_nothing(
    browser: Browser, pages: dict[str, Path], axe: str, name: str, look: tuple[int, bool]
) -> None:
    browser.open(pages[name], width=look[0], dark=look[1])
    browser.ask("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = browser.ask(f"{axe};\naxe.run().then(found => JSON.stringify(found.violations))")
    assert [_short(each) for each in json.loads(found)] == []


def _short(violation: dict[str, Any]) -> tuple[str, str, list[str]]:
    nodes = [f"{each['html'][:150]}: {each['failureSummary'][:300]}" for each in violation["nodes"][:3]]
    return violation["id"], violation["impact"], nodes
