"""report.html without a browser: what it says, what it refers to, what may run in it, how big it is."""

import base64
import hashlib
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest

from harness.findings import FINDINGS
from harness.history import Episode
from harness.results import Outcome
from reports import Report, render_html
from reports.means import means_of
from tests.reports.synthetic import report

SECTIONS = ["verdict", "contract", "findings", "faults", "adequacy", "charts", "measures", "environment"]


class Page(HTMLParser):
    """Ids, links, scripts and the nesting of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.sections: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.captions = self.tables = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.ids += [names["id"] or ""] if "id" in names else []
        self.sections += [names.get("id") or ""] if tag == "section" else []
        self.links += [names.get("href") or ""] if tag == "a" else []
        self.loads += [value or "" for name, value in attrs if name in ("src", "srcset", "data", "poster", "background")]
        self.loads += [names.get("href") or ""] if tag in ("link", "use", "image", "base") else []
        self.tables += tag == "table"
        self.captions += tag == "caption"


@pytest.fixture(scope="module")
def violated() -> Report:
    return report()


@pytest.fixture(scope="module")
def text(violated: Report) -> str:
    return render_html(violated)


def test_sections_come_in_the_order_of_questions(text: str) -> None:
    """Verdict first, environment last."""
    assert Page(text).sections == SECTIONS


def test_nothing_is_fetched_and_every_anchor_exists(text: str) -> None:
    """The page loads nothing, links only into itself, and no id is given twice."""
    page = Page(text)
    assert page.loads == []
    assert len(page.ids) == len(set(page.ids))
    assert {link for link in page.links if link[1:] not in page.ids} == set()
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_only_our_script_may_run(text: str) -> None:
    """The content security policy allows exactly the script in the page, and no connection."""
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert policy
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    allowed = policy[1].replace("&#39;", "'").replace("&#43;", "+")
    assert "default-src 'none'" in allowed
    assert f"script-src 'sha256-{digest}'" in allowed


def test_the_first_screen_answers_what_why_and_what_to_do(text: str, violated: Report) -> None:
    """Word, reason, replay command, facts and the gravest finding stand before the contract."""
    first = text[: text.index('id="contract"')]
    for fact in ("violated", violated.replay, "Valkey 8.1.1", violated.plan.hash, "20,000", violated.findings[0].claim):
        assert fact in first
    finding = violated.findings[0]
    told = replace(violated.verdict, why=f"{finding.claim} The contract promises otherwise.")
    text = render_html(replace(violated, verdict=told))
    first = text[: text.index('id="contract"')]
    assert "What to do:" in first
    assert FINDINGS[finding.name].advice in first
    assert first.count(finding.claim) == 1


def test_a_broken_promise_leads_to_its_proof(violated: Report) -> None:
    """What needs a reader comes first in the contract, and each broken promise links to the finding that gives its reason."""
    finding = violated.findings[0]
    clauses = tuple(
        replace(clause, why=f"{finding.claim.rstrip('.')} (stale-read)") if clause.outcome is Outcome.VIOLATED else clause
        for clause in violated.verdict.clauses
    )
    run = replace(violated, verdict=replace(violated.verdict, clauses=clauses[1:] + clauses[:1]))
    assert [clause.outcome for clause in run.clauses] == ["violated", "inconclusive", "waived", "pass", "pass"]
    assert [run.proof(clause) for clause in run.clauses] == [finding, None, None, None, None]
    text = render_html(run)
    contract = text[text.index('id="contract"') : text.index('id="findings"')]
    assert contract.count('<a href="#finding-1">Its proof</a>') == 1


def test_all_tables_have_captions(text: str) -> None:
    """No table is without its caption."""
    page = Page(text)
    assert page.tables == page.captions > 5


def test_a_proxy_is_not_called_a_kernel(text: str, violated: Report) -> None:
    """Where the means was a proxy the page says so; where it was not it does not."""
    note = "A proxy&#39;s cut is not a kernel&#39;s partition"
    assert note in text
    kernel = tuple(replace(episode, means="kernel") for episode in violated.history.episodes)
    elsewhere = replace(violated, history=replace(violated.history, episodes=kernel), environment={})
    assert note not in render_html(elsewhere)


def test_an_episode_is_told_by_the_means_of_its_own_links(violated: Report) -> None:
    """Where only clients have proxies, a cut between nodes is the kernel's, and one between clients and nodes is the proxy's."""
    first = replace(violated.history.episodes[0], means="kernel; proxy to clients")
    to_clients = replace(first, targets=("client->primary",))
    assert means_of(first) == "kernel"
    assert means_of(to_clients) == "proxy"
    assert means_of(replace(first, targets=(*first.targets, "client->primary"))) == "kernel, proxy"
    assert means_of(replace(first, means="signal")) == "signal"

    def note(*episodes: Episode) -> str:
        run = replace(violated, history=replace(violated.history, episodes=episodes))
        assert run.proxy_note in render_html(run).replace("&#39;", "'")
        return run.proxy_note

    assert note(first) == ""
    assert note(first, to_clients).startswith("Some network faults of this run")
    assert note(to_clients).startswith("Network faults of this run")


def test_many_links_are_told_in_few_words_and_kept_in_full(violated: Report) -> None:
    """An episode on ten links names some of them where it is mentioned; its row has all of them, and all of its evidence."""
    links = tuple(f"replica-{number}->primary" for number in range(10))
    crossed = ", ".join(f"{link} in {number}.4ms" for number, link in enumerate(links))
    evidence = (f"before: a mark crossed {crossed}", f"unproven at its start: the delay did not bite: a mark crossed {crossed}")
    long = replace(violated.history.episodes[2], targets=links, nodes=("replica-2",), proven_ns=None, evidence=evidence)
    text = render_html(replace(violated, history=replace(violated.history, episodes=(long,))))
    assert "partition of replica-0 → primary, replica-1 → primary and 8 more: applied" in text
    assert text.count("replica-9 → primary") == 1 + len(evidence)
    assert "<summary>7 more</summary>" in text
    (gist,) = re.findall(r"<summary>(unproven at its start: the delay did not bite[^<]*)</summary>", text)
    assert len(gist) <= 110
    assert "<summary>before" not in text


def test_the_plan_is_on_the_page_as_it_was_written(text: str, violated: Report) -> None:
    """Options, contract and faults can be read word for word, folded, under the name of their file."""
    environment = unescape(text[text.index('id="environment"') :])
    plan = environment[environment.index('<details id="plan"><summary>') :]
    assert plan.index("plan.toml") < plan.index("</summary>") < plan.index(violated.plan_text) < plan.index("</details>")


def test_findings_that_break_no_promise_are_not_called_wrong(text: str) -> None:
    """A passing run may have findings; the page shows them and does not accuse."""
    assert "What went wrong" in text
    passed = render_html(report(outcome=Outcome.PASS))
    assert "What went wrong" not in passed
    assert "What was seen" in passed


def test_an_unproven_episode_is_called_so(text: str) -> None:
    """The fault table and its chart count the episode that was never proven."""
    assert "not proven" in text
    assert "3 of 4 episodes proved an effect" in text


def test_the_page_tells_how_punctual_the_faults_were(violated: Report) -> None:
    """Median and worst of what was planned; what was late is counted, and a crash has no time that it was meant for."""
    first = replace(violated.history.episodes[0], intended_ns=1_000_000_000)
    crash = replace(first, fault=-1, applied_ns=6_000_000_000)
    episodes = (*(replace(first, applied_ns=first.intended_ns + late_ms * 1_000_000) for late_ms in (8, 12, 73)), crash)
    text = render_html(replace(violated, history=replace(violated.history, episodes=episodes)))
    assert "in place 12ms after their time (median), 73ms at most, 1 of 3 by more than 50ms" in text
    assert "<small>73ms late</small>" in text


@pytest.mark.parametrize("answer", ["pass", "violated", "inconclusive", "error"])
def test_each_answer_has_its_own_word_and_shape(answer: str) -> None:
    """The four answers differ in word and in drawn shape, not in colour alone."""
    outcome = Outcome.PASS if answer == "error" else Outcome(answer)
    text = render_html(replace(report(outcome=outcome), failure="the driver died" if answer == "error" else ""))
    heading = text[text.index("<h1>") : text.index("</h1>")]
    assert heading.rstrip().endswith(f"{answer}</span>")
    shapes = {"pass": "<circle", "violated": "M6.3 1h7.4", "inconclusive": "M10 .8L", "error": "M10 1l9.3"}
    assert [name for name, shape in shapes.items() if shape in heading] == [answer]


def test_hostile_text_is_never_markup(violated: Report) -> None:
    """Keys, errors, logs, plans and claims that hold markup add no element to the page."""
    evil = "</script><script>window.hacked = 1</script><img src=x onerror=hacked()><!--"
    run = replace(
        violated.history, keys=(evil,) * len(violated.history.keys), errors=(evil, evil), nodes=(evil, evil + "1", evil + "2")
    )
    finding = replace(violated.findings[0], claim=evil, argument=(evil,), key=evil, nodes=(evil,), scope=evil, phase=evil)
    result = replace(violated.results[1], findings=(finding,))
    text = render_html(
        replace(violated, history=run, results=(result,), plan_text=evil, logs={evil: evil}, environment={evil: evil}, run=evil)
    )
    assert text.count("<script") == 2
    assert "<img" not in text
    assert "window.hacked" in text


def test_a_million_operations_make_a_small_page(million) -> None:
    """A run of 1,000,000 operations stays under 5 MB, plan, logs and all."""
    size = million.page.stat().st_size
    print(f"1,000,000 operations: all reports in {million.seconds:.2f} s, report.html {size / 1e6:.2f} MB")
    assert size < 5_000_000
