"""``anachron serve``: the page of runs, and nothing else of the disk."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.serve import find_file, index_page, make_server
from harness.shipped import find_plan
from harness.store import RunDirectory


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs: one violated, with a report; one that was never judged."""
    root = tmp_path / "runs"
    plan, text = find_plan("too-short")
    judged = RunDirectory.create(root, plan, text).path.rename(root / "20260101T000000Z-too-short-7")
    (judged / "report.html").write_text("<title>the report</title>")
    verdict = {"answer": "violated", "why": "no read is <b>fresh</b>"}
    (judged / "results.json").write_text(json.dumps({"verdict": verdict}))
    RunDirectory.create(root, plan, text).path.rename(root / "20260102T000000Z-too-short-7")
    (tmp_path / "secret.txt").write_text("secret")
    return root


@pytest.fixture
def server(runs: Path) -> Iterator[http.client.HTTPConnection]:
    """A connection to a server of those runs."""
    with make_server(runs, 0) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", made.server_address[1], timeout=10)
        try:
            yield connection
        finally:
            connection.close()
            made.shutdown()
            thread.join()


def get(connection: http.client.HTTPConnection, path: str, **headers: str) -> tuple[int, str]:
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_the_newest_run_comes_first_and_every_verdict_is_a_word(runs):
    """The page orders by time and tells verdicts without colour."""
    page = index_page(runs)
    assert page.index("20260102T") < page.index("20260101T")
    assert "✖ violated" in page
    assert "not judged" in page


def test_what_a_run_says_is_shown_and_never_run(runs):
    """Text from results is escaped."""
    assert "no read is &lt;b&gt;fresh&lt;/b&gt;" in index_page(runs)


def test_a_report_is_served(server):
    """The link of the page leads to the report."""
    status, page = get(server, "/")
    assert status == 200
    link = re.search(r'href="([^"]*report.html)"', page)
    assert link is not None
    assert get(server, link[1]) == (200, "<title>the report</title>")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/20260101T000000Z-too-short-7/../../secret.txt",
        "/20260101T000000Z-too-short-7/..%2f..%2fsecret.txt",
        "/20260101T000000Z-too-short-7/logs",
        "/20260101T000000Z-too-short-7/",
        "/20260102T000000Z-too-short-7/report.html",
        "/./report.html",
        "//etc/passwd",
        "/20260101T000000Z-too-short-7/report.html%00",
    ],
)
def test_nothing_else_is_served(server, path):
    """Only named files of listed runs leave the disk."""
    status, text = get(server, path)
    assert status == 404
    assert "secret" not in text


def test_a_link_out_of_the_runs_is_not_followed(runs, tmp_path):
    """A report that is a link to elsewhere is not served."""
    run = runs / "20260102T000000Z-too-short-7"
    (run / "report.html").symlink_to(tmp_path / "secret.txt")
    assert find_file(runs, f"/{run.name}/report.html") is None


def test_only_loopback_names_are_answered(server):
    """A page from elsewhere cannot reach the reports through a name of its own."""
    assert get(server, "/", Host="evil.example")[0] == 403
    assert get(server, "/", Host="localhost:1234")[0] == 200


def test_only_loopback_is_listened_on(runs):
    """The server is bound to 127.0.0.1."""
    with make_server(runs, 0) as made:
        assert made.server_address[0] == "127.0.0.1"


def test_the_command_serves_until_it_is_interrupted(runs):
    """`anachron serve` says its address, answers there, and ends with 0 at Ctrl-C."""
    command = [sys.executable, "-m", "harness.cli", "serve", str(runs), "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - a shell's background job ignores Ctrl-C
    ) as process:
        try:
            assert process.stdout is not None
            port = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
            assert port is not None
            assert get(http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=10), "/")[0] == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_a_directory_that_is_not_there_and_a_port_that_is_taken_are_said(anachron, runs):
    """Both end with 254 and one message."""
    assert anachron("serve", "nowhere").status == 254
    with make_server(runs, 0) as made:
        answer = anachron("serve", runs, "--port", str(made.server_address[1]))
    assert answer.status == 254
    assert "port" in answer.err
