"""What the HTML pages are drawn with: templates that escape everything, and a policy under which a page can ask for nothing."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.durations import format_duration
from reports import words

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@cache
def templates() -> Environment:
    """The templates in this folder. Every value is escaped, and its hidden characters are made visible."""
    environment = Environment(
        loader=PackageLoader("reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else words.printable(value),
    )
    environment.filters |= {
        "count": words.count,
        "duration": format_duration,
        "instant": words.instant,
        "linked": words.linked,
        "mark": lambda answer: words.SIGNS[str(answer)].mark,
        "moment": words.moment,
        "one_line": words.one_line,
        "sentence": words.sentence,
        "signed": lambda answer: words.SIGNS[str(answer)],
    }
    environment.globals |= {"interval": words.interval, "quantity": words.quantity}
    return environment


def asset(name: str) -> str:
    """The text of a file in this folder."""
    return files("reports").joinpath(name).read_text(encoding="utf-8")


def policy(script: str = "") -> str:
    """A content security policy that lets only ``script`` run, or nothing at all, and nothing be fetched."""
    if not script:
        return _POLICY
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"{_POLICY}; script-src 'sha256-{digest}'"
