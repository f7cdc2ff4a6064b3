"""``serve``: all runs of a directory as one page, newest first, on the loopback interface only.

A request can name a run that ``list_runs`` lists and one of the files in ``_FILES``, and nothing else: paths are looked up, never
put together. The ``Host`` header must be a loopback name, so that no page from elsewhere can reach the reports through a name of
its own that resolves to this machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from jinja2 import Environment

from harness.errors import PASS, UsageError
from harness.store import RunDirectory, list_runs
from reports.words import SIGNS, one_line

_HOST = "127.0.0.1"
_NAMES = frozenset({_HOST, "localhost"})
_FILES: Mapping[str, str] = {
    "report.html": "text/html; charset=utf-8",
    "results.json": "application/json",
    "junit.xml": "application/xml; charset=utf-8",
    "summary.md": "text/plain; charset=utf-8",
    "plan.toml": "text/plain; charset=utf-8",
}
"""The files of a run that are shown, with their types."""

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Anachron: runs</title>
<style>
:root { color-scheme: light dark; --pass: light-dark(#176f2c, #57c46f); --violated: light-dark(#b3161d, #ff7b72);
  --inconclusive: light-dark(#855600, #e0a93b); --error: light-dark(#7b2d9b, #d19cea); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
.verdict { font-weight: 600; white-space: nowrap; }
.pass { color: var(--pass); } .violated { color: var(--violated); }
.inconclusive { color: var(--inconclusive); } .error { color: var(--error); }
.run, .files { white-space: nowrap; } .why, .empty { color: light-dark(#444, #bbb); }
code { font-size: .9em; }
</style>
<h1>Runs</h1>
{% if rows %}
<table>
<thead><tr><th scope="col">verdict</th><th scope="col">run</th><th scope="col">why</th><th scope="col">files</th></tr></thead>
<tbody>
{% for row in rows %}
<tr>
<td class="verdict {{ row.style }}">{{ row.mark }} {{ row.word }}</td>
<td class="run">
{% if "report.html" in row.files %}<a href="{{ row.link }}/report.html">{{ row.name }}</a>{% else %}{{ row.name }}{% endif %}
</td>
<td class="why">{{ row.why }}</td>
<td class="files">
{% for file in row.files if file != "report.html" %}
<a href="{{ row.link }}/{{ file }}">{{ file.partition(".")[0] }}</a>
{% endfor %}
</td>
</tr>
{% endfor %}
</tbody>
</table>
{% else %}
<p class="empty">No runs yet in this directory. <code>anachron run</code> makes the first.</p>
{% endif %}
</html>
"""
_TEMPLATE = Environment(autoescape=True).from_string(_PAGE)


@dataclass(frozen=True, slots=True)
class Row:
    """One run on the page."""

    name: str
    link: str
    word: str
    mark: str
    style: str
    why: str
    files: tuple[str, ...]


def serve_runs(root: Path, port: int, announce: Callable[[str], None]) -> int:
    """Serve the runs under ``root`` until Ctrl-C, once the address was announced.

    Raises ``UsageError`` if there is no ``root`` or the port cannot be had.
    """
    if not root.is_dir():
        raise UsageError("there is no such directory", where=str(root), fix="name the directory that holds the run directories")
    try:
        server = make_server(root, port)
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be used", where=_HOST, why=error.strerror or "", fix="give another --port, or 0 for a free one"
        ) from None
    with server:
        announce(f"http://{_HOST}:{server.server_address[1]}/  (Ctrl-C stops it)")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return PASS


def make_server(root: Path, port: int) -> ThreadingHTTPServer:
    """A server for the runs under ``root`` that listens on ``port`` of 127.0.0.1; raises ``OSError``."""

    class Handler(_Handler):
        runs = root

    return _Server((_HOST, port), Handler)


def index_page(root: Path) -> str:
    """The page of all runs under ``root``, newest first."""
    return _TEMPLATE.render(rows=[_row(run) for run in reversed(list_runs(root))])


def find_file(root: Path, path: str) -> Path | None:
    """The file that the URL path ``/RUN/FILE`` names, if it is one that may be shown; None for everything else."""
    parts = unquote(path).removeprefix("/").split("/")
    if len(parts) != 2 or parts[1] not in _FILES:  # noqa: PLR2004 - a run and a file
        return None
    run = next((run for run in list_runs(root) if run.path.name == parts[0]), None)
    if run is None:
        return None
    file = run.path / parts[1]
    # A link inside a run directory must not lead out of it.
    return file if file.is_file() and file.resolve().is_relative_to(root.resolve()) else None


def _row(run: RunDirectory) -> Row:
    answer, why = _verdict_of(run)
    sign = SIGNS.get(answer)
    return Row(
        name=run.path.name,
        link="/" + quote(run.path.name),
        word=sign.word if sign else "not judged",
        mark=sign.mark if sign else "·",
        style=sign.style if sign else "empty",
        why=one_line(why),
        files=tuple(name for name in _FILES if (run.path / name).is_file()),
    )


def _verdict_of(run: RunDirectory) -> tuple[str, str]:
    """The answer of a run's results and its reason; empty, with advice, if it has none."""
    path = run.path / "results.json"
    try:
        stat = path.stat()
        return _read_verdict(path, stat.st_mtime_ns, stat.st_size)
    except (OSError, ValueError, KeyError, TypeError):
        return "", "still running, or killed; `anachron check` judges what it recorded"


@lru_cache(maxsize=4096)
def _read_verdict(path: Path, modified_ns: int, size: int) -> tuple[str, str]:  # noqa: ARG001 - time and size are the cache's key
    verdict = json.loads(path.read_bytes())["verdict"]
    return str(verdict["answer"]), str(verdict["why"])


class _Server(ThreadingHTTPServer):
    """A server that makes nothing of a browser that has gone away."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the next request starts afresh."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the index and for the files of runs."""

    runs: Path
    protocol_version = "HTTP/1.1"
    server_version = "anachron"
    sys_version = ""
    timeout = 30.0

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer without one."""
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is http.server's
        """Log nothing: who reads which report is nobody's business."""

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        if (self.headers.get("Host") or "").rpartition(":")[0] not in _NAMES and self.headers.get("Host") not in _NAMES:
            self._send(HTTPStatus.FORBIDDEN, "text/plain; charset=utf-8", b"ask for 127.0.0.1 or localhost\n")
        elif path == "/":
            self._send(
                HTTPStatus.OK, "text/html; charset=utf-8", index_page(self.runs).encode("utf-8", "backslashreplace"), page=True
            )
        elif (file := find_file(self.runs, path)) is not None:
            try:
                content = file.read_bytes()
            except OSError:
                self._send(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"it cannot be read\n")
            else:
                self._send(HTTPStatus.OK, _FILES[file.name], content)
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"there is no such run or file\n")

    def _send(self, status: HTTPStatus, content_type: str, content: bytes, *, page: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        if page:
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
