"""``doctor``: what this machine can do, what it lacks, and how to get that."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from harness.conductor import prepare
from harness.errors import AnachronError
from harness.images.catalogue import IMAGES
from harness.images.engine import connect, missing, references
from harness.plan import Plan
from harness.runtimes import RUNTIMES
from harness.runtimes.base import Capability
from harness.runtimes.docker import labels
from harness.runtimes.ledger import leftovers
from harness.runtimes.programs import find_program
from harness.shipped import find_plan
from harness.store import list_runs

BUILT_IN = "replication"
"""The plan that ``anachron run`` runs when it is given none."""

_PROGRAM = "valkey-server"
"""What its nodes run."""

_FREE_BYTES = 500_000_000
"""Room for a long run: a million operations take about 50 MB while they are journalled."""
_FINE_CLOCK_NS = 1_000


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        found: what was seen, in words.
        remedy: what to do; empty where nothing is wrong.
    """

    name: str
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was looked at; ``healthy`` if the built-in plan can run here."""

    healthy: bool
    symptoms: tuple[Symptom, ...]

    def __str__(self) -> str:
        width = max(len(symptom.name) for symptom in self.symptoms)
        lines = []
        for symptom in self.symptoms:
            lines.append(f"{'!' if symptom.remedy else ' '} {symptom.name:<{width}}  {symptom.found}")
            if symptom.remedy:
                lines.append(f"  {'':<{width}}  do: {symptom.remedy}")
        can = "can run here" if self.healthy else "cannot run here"
        return "\n".join((*lines, "", f"the built-in plan ({BUILT_IN}) {can}"))


def examine(runs_dir: Path) -> Diagnosis:
    """Look at everything; starts nothing that goes on, changes nothing."""
    plan, _ = find_plan(BUILT_IN)
    refusal = _refusal(plan)
    symptoms = (
        Symptom("anachron", version("anachron")),
        Symptom("python", f"{platform.python_version()} ({sys.executable})"),
        *_runtimes(),
        _images(),
        _clock(),
        _disk(runs_dir),
        _left(runs_dir),
        Symptom("built-in plan", "every part of it can be done here")
        if refusal is None
        else Symptom("built-in plan", refusal.what, refusal.fix or refusal.why or "see above"),
    )
    return Diagnosis(refusal is None, symptoms)


def _refusal(plan: Plan) -> AnachronError | None:
    """Why ``plan``, the built-in one, cannot run here."""
    try:
        prepare(plan)
        find_program(_PROGRAM)
    except AnachronError as error:
        return error
    return None


def _runtimes() -> Iterator[Symptom]:
    """What each runtime finds here, and what it cannot do."""
    for name in RUNTIMES.names:
        try:
            runtime_type = RUNTIMES.load(name)
            runtime = runtime_type(Path(tempfile.gettempdir(), "anachron-doctor"), client_proxies=True)
        except AnachronError as error:
            yield Symptom(f"runtime {name}", error.what, error.fix or error.why)
            continue
        describe = getattr(runtime_type, "describe", None)
        for fact, words in (describe() if describe else {}).items():
            yield Symptom(f"{name}: {fact}", words)
        by_reason: dict[str | None, list[str]] = {}
        for capability in Capability:
            by_reason.setdefault(runtime.refusal(capability), []).append(capability)
        yield Symptom(f"{name}: can", ", ".join(by_reason.pop(None, ("nothing",))))
        for why, unable in by_reason.items():
            yield Symptom(
                f"{name}: cannot", f"{', '.join(unable)}: {why}" if len(unable) < len(Capability) else f"anything: {why}"
            )


def _images() -> Symptom:
    """The container images that the engine has, officially or from us; nothing is wrong where there is no engine to ask."""
    try:
        absent = missing(references(connect()))
    except AnachronError as error:
        return Symptom("images", f"unknown: {error.what}")
    present = ", ".join(image.name for image in IMAGES if image not in absent)
    if not absent:
        return Symptom("images", present)
    lacking = ", ".join(image.name for image in absent)
    remedy = f"anachron images build {' '.join(image.name for image in absent)}"
    pulls = " ".join(image.official for image in absent if image.official)
    return Symptom(
        "images",
        f"{present or 'none'}; not {lacking}",
        f"{remedy}" + (f" (or pull the official ones: {pulls})" if pulls else ""),
    )


def _clock() -> Symptom:
    """The smallest step of the clock that times operations, as it shows, not as it is declared."""
    steps = []
    for _ in range(1000):
        before = time.monotonic_ns()
        while (now := time.monotonic_ns()) == before:
            pass
        steps.append(now - before)
    step_ns = min(steps)
    coarse = step_ns > _FINE_CLOCK_NS
    return Symptom(
        "clock",
        f"monotonic, steps of {step_ns} ns",
        "times of operations are only as fine as that; prefer another machine" if coarse else "",
    )


def _disk(runs_dir: Path) -> Symptom:
    """The room where runs are written."""
    place = runs_dir.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    remedy = (
        "" if free >= _FREE_BYTES else f"make room, or give another --runs-dir; a long run needs some {_FREE_BYTES / 1e6:.0f} MB"
    )
    return Symptom("disk", f"{free / 1e9:.1f} GB free for {runs_dir}", remedy)


def _left(runs_dir: Path) -> Symptom:
    """Processes and containers of runs that were killed."""
    left = [*(name for run in list_runs(runs_dir) for name in leftovers(run.path)), *labels.leftovers()]
    if not left:
        return Symptom("leftovers", f"no run left a container behind, and none of those in {runs_dir} a process")
    return Symptom("leftovers", ", ".join(left), f"anachron clean {runs_dir}")
