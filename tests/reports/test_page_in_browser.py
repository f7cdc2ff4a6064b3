"""report.html in headless Chromium, from a file: what a reader sees and can do."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reports import Report, render_html
from tests.reports.synthetic import history, report

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright: pip install playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH; on Debian: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def violated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(report(), tmp_path_factory.mktemp("page"))


class Visit:
    """One page with everything it complained of and asked for."""

    def __init__(self, browser, path: Path, **context) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **context)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def windows(self) -> set[str]:
        """The part of the run that each chart over time shows: one, if they are linked."""
        return set(
            self.page.eval_on_selector_all("figure[data-time] .plot", "plots => plots.map(p => p.getAttribute('viewBox'))")
        )


@pytest.fixture
def visit(browser) -> Iterator[object]:
    visits: list[Visit] = []

    def go(path: Path, **context) -> Visit:
        visits.append(Visit(browser, path, **context))
        return visits[-1]

    yield go
    for each in visits:
        each.context.close()


def save(run: Report, directory: Path) -> Path:
    path = directory / "report.html"
    path.write_text(render_html(run), encoding="utf-8")
    return path


def test_the_page_opens_offline_without_a_complaint(visit, violated: Path) -> None:
    """One request, the file itself; nothing on the console; verdict, reason and findings are visible."""
    seen = visit(violated)
    assert seen.complaints == []
    assert seen.requests == [violated.as_uri()]
    assert seen.page.locator("h1").inner_text() == "violated"
    for anchor in ("#contract", "#finding-1", "#faults", "#adequacy", "#charts", "#measures", "#environment"):
        assert seen.page.locator(anchor).is_visible()


def test_a_million_operations_open_without_a_complaint(visit, million) -> None:
    """The page of a long run is loaded and laid out like any other."""
    seen = visit(million.page)
    took = seen.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    print(f"1,000,000 operations: report.html loaded in {took:.0f} ms")
    assert seen.complaints == []
    assert took > 0


def test_zoom_is_linked_across_all_charts_over_time(visit, violated: Path) -> None:
    """Dragging across one chart moves all of them to the same window; a double click brings the whole run back."""
    seen = visit(violated)
    whole = seen.windows()
    assert whole == {"0 0 10000 10000"}
    box = seen.page.locator("#latency .box")
    box.scroll_into_view_if_needed()
    place = box.bounding_box()
    middle = place["y"] + place["height"] / 2
    seen.page.mouse.move(place["x"] + place["width"] * 0.25, middle)
    seen.page.mouse.down()
    seen.page.mouse.move(place["x"] + place["width"] * 0.5, middle, steps=5)
    seen.page.mouse.up()
    (window,) = seen.windows()
    start, _, length, _ = (float(part) for part in window.split())
    assert (start, length) == (pytest.approx(2500, abs=30), pytest.approx(2500, abs=30))
    ticks = seen.page.locator("#staleness .xs span").all_inner_texts()
    assert all(7.4 <= float(tick.removesuffix("s")) <= 15.1 for tick in ticks)
    assert len(ticks) >= 3
    box.dblclick()
    assert seen.windows() == whole


def test_zoom_works_from_the_keyboard_and_the_buttons(visit, violated: Path) -> None:
    """Plus, arrows and escape act on a focused chart; so do the buttons, and a finding leads to its place."""
    seen = visit(violated)
    seen.page.locator("#throughput .box").focus()
    seen.page.keyboard.press("+")
    assert seen.windows() == {"2500 0 5000 10000"}
    seen.page.keyboard.press("ArrowRight")
    assert seen.windows() == {"3750 0 5000 10000"}
    seen.page.keyboard.press("Escape")
    seen.page.get_by_role("button", name="Zoom in").click()
    assert seen.windows() == {"2500 0 5000 10000"}
    seen.page.locator("#finding-1").get_by_role("button", name="Show in the charts").click()
    (window,) = seen.windows()
    assert float(window.split()[2]) < 2_500


def test_pointing_reads_the_numbers_of_a_moment(visit, violated: Path) -> None:
    """The readout names the moment, its ages, rates and times, and the fault that was on."""
    seen = visit(violated)
    box = seen.page.locator("#staleness .box")
    box.scroll_into_view_if_needed()
    place = box.bounding_box()
    seen.page.mouse.move(place["x"] + place["width"] * 0.2, place["y"] + 20)
    text = seen.page.locator("#readout").inner_text()
    assert text.startswith(("5.9", "6.0"))
    for part in ("certain age max", "ok/s", "response p99", "partition of primary → replica-2"):
        assert part in text


def test_j_and_k_walk_the_findings(visit, violated: Path) -> None:
    """j goes to the next finding and stops at the last, k goes back; the address can be shared."""
    seen = visit(violated)
    for key, anchor in (("j", "#finding-1"), ("j", "#finding-2"), ("j", "#finding-2"), ("k", "#finding-1")):
        seen.page.keyboard.press(key)
        assert seen.page.evaluate("location.hash") == anchor


def test_the_theme_follows_the_system_until_told_otherwise(visit, violated: Path) -> None:
    """Dark by preference, light after the button, and forgotten on the next visit."""
    ground = "getComputedStyle(document.body).backgroundColor"
    light = visit(violated, color_scheme="light").page.evaluate(ground)
    dark = visit(violated, color_scheme="dark")
    before = dark.page.evaluate(ground)
    dark.page.locator("#theme").click()
    assert before != light
    assert dark.page.evaluate(ground) == light
    dark.page.reload()
    assert dark.page.evaluate(ground) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrast_is_enough(visit, violated: Path, scheme: str) -> None:
    """Every colour that text is set in keeps 4.5 to 1 against the ground and the raised ground, in both themes."""
    page = visit(violated, color_scheme=scheme).page
    worst = page.evaluate(
        """() => {
          const probe = document.body.appendChild(document.createElement("i"));
          const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
          const light = (name) => {
            probe.style.color = `var(--${name})`;
            const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).map(Number).map(channel);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ratios = [];
          for (const ground of ["ground", "raised"])
            for (const ink of ["ink", "muted", "accent", "pass", "violated", "inconclusive", "waived", "error"]) {
              const [low, high] = [light(ground), light(ink)].sort((a, b) => a - b);
              ratios.push((high + 0.05) / (low + 0.05));
            }
          return Math.min(...ratios);
        }"""
    )
    assert worst >= 4.5


def test_copy_gives_the_replay_command(visit, violated: Path) -> None:
    """The button says that it copied, also where a page from a file has no clipboard."""
    seen = visit(violated)
    seen.page.get_by_role("button", name="Copy").click()
    seen.page.get_by_role("button", name="Copied").wait_for()
    assert seen.complaints == []


def test_without_script_everything_is_still_there(visit, violated: Path) -> None:
    """Tables, charts and diagrams are visible with scripts off, and no button is that would do nothing."""
    seen = visit(violated, java_script_enabled=False)
    for part in ("#staleness .plot", "#fault-lanes .plot", ".spacetime >> nth=0", ".clauses", ".operations >> nth=0"):
        assert seen.page.locator(part).is_visible()
    assert not any(button.is_visible() for button in seen.page.locator("button").all())


@pytest.mark.parametrize("width", [400, 768, 1280])
def test_no_width_makes_the_page_scroll_sideways(visit, violated: Path, width: int) -> None:
    """Only wide tables and diagrams scroll, inside their own frames."""
    seen = visit(violated)
    seen.page.set_viewport_size({"width": width, "height": 900})
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_narrow_screen_tells_of_a_fault_without_scrolling_sideways(visit, violated: Path) -> None:
    """Each episode is a stack of named facts there, when everybody was fresh again among them."""
    seen = visit(violated)
    seen.page.set_viewport_size({"width": 400, "height": 900})
    frame = seen.page.locator("#faults .wide").first
    assert frame.evaluate("frame => frame.scrollWidth <= frame.clientWidth")
    fact = frame.locator(".fresh").first
    assert fact.evaluate("fact => getComputedStyle(fact, '::before').content") == '"fresh again: "'


def test_labels_of_charts_and_diagrams_do_not_overlap(visit, violated: Path) -> None:
    """No two tick labels of one axis and no two texts of a diagram cover each other, on wide and on narrow screens."""
    seen = visit(violated)
    for width in (1280, 400):
        seen.page.set_viewport_size({"width": width, "height": 900})
        clashes = seen.page.evaluate(
            """() => {
              const clashes = [];
              const groups = [...document.querySelectorAll(".xs, .ys")].map((axis) => [...axis.children]);
              groups.push(...[...document.querySelectorAll(".spacetime")].map((svg) => [...svg.querySelectorAll("text")]));
              for (const group of groups) {
                const shown = group.filter((part) => part.getClientRects().length);
                const boxes = shown.map((part) => [part.textContent, part.getBoundingClientRect()]);
                boxes.forEach(([name, a], at) => boxes.slice(at + 1).forEach(([other, b]) => {
                  const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                  const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
                  if (wide > 1 && high > 3) clashes.push(`${name} / ${other}`);
                }));
              }
              return clashes;
            }"""
        )
        assert clashes == []


@pytest.mark.parametrize("scripts", [True, False])
def test_what_decides_stands_open_and_all_else_unfolds(visit, violated: Path, *, scripts: bool) -> None:
    """A finding that breaks no promise shows its claim alone until it is opened, or an address leads to it."""
    seen = visit(violated, java_script_enabled=scripts)
    assert seen.page.locator("#finding-1 .operations").first.is_visible()
    second = seen.page.locator("#finding-2 .operations").first
    fold = seen.page.locator("details.fold > summary")
    assert "replica-1 went from version 12 back to version 11" in fold.inner_text()
    assert not second.is_visible()
    fold.click()
    assert second.is_visible()
    fold.click()
    assert not second.is_visible()
    seen.page.locator("#finding-1").get_by_role("link", name="Next").click()
    assert second.is_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_paper_is_light_and_unfolded(visit, violated: Path, *, scripts: bool) -> None:
    """Paper has all that is folded but the ends of logs, without the controls, also from a dark screen."""
    seen = visit(violated, color_scheme="dark", java_script_enabled=scripts)
    folded = [seen.page.locator(part).first for part in ("#finding-1 details table", "#finding-2 .operations", "#plan pre")]
    assert not any(part.is_visible() for part in folded)
    seen.page.emulate_media(media="print")
    assert all(part.is_visible() for part in folded)
    assert not seen.page.locator(".log pre").first.is_visible()
    assert not seen.page.locator("nav").is_visible()
    assert seen.page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") == "rgb(252, 252, 250)"
    assert seen.page.pdf().startswith(b"%PDF")
    seen.page.emulate_media(media="screen")
    assert not any(part.is_visible() for part in folded)


def test_hostile_text_does_not_run(visit, tmp_path: Path) -> None:
    """Scripts in key names, errors, logs and findings stay text in a real browser."""
    evil = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
    plain = report(history(2_000, key_name="k{}" + evil))
    finding = replace(plain.findings[0], claim=evil, argument=(evil,))
    run = replace(
        plain,
        results=(replace(plain.results[1], findings=(finding,)),),
        plan_text=evil,
        logs={evil: evil},
        environment={evil: evil},
        oddities=(evil,),
    )
    seen = visit(save(run, tmp_path))
    assert seen.page.evaluate("window.hacked") is None
    assert seen.page.locator("img").count() == 0
    assert seen.complaints == []
    assert evil in seen.page.locator(".claim").first.inner_text()
