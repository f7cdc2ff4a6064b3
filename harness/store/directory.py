"""Run directories: where one experiment keeps its plan, its history, and what was said about it.

    <UTC time>-<plan name or candidate>-<seed>/
        plan.toml           the plan as it was given, with the seed that was used
        history.parquet     operations, fault episodes, epochs and stalls: all that checkers read
        episodes.jsonl      fault episodes, written down while the run goes on
        epochs.jsonl        who each node said it was, written down while the run goes on
        audits.jsonl        what the source of truth has committed, where the candidate keeps an audit
        stalls.jsonl        when the runtime's means stood still, written down while the run goes on
        journals/           operations, written down by the workers before they are sent
        environment.json    machine, versions, candidate
        logs/               of the nodes, and when they came (``harness.runtimes.arrivals``)
        results.json  report.html  junit.xml  summary.md     by ``reports``

A run ends by putting its history together from journals and logs. One that was killed has not come to that: then ``load_history``
does it, so that what was recorded can be judged all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import HistoryError, PlanError, StorageError
from harness.history import History
from harness.journal import read_journals
from harness.plan import Plan, load_plan, parse_plan
from harness.store.audits import decide_unanswered
from harness.store.epochs import assign_epochs
from harness.store.files import storage_error, write_text
from harness.store.logs import read_audits, read_episodes, read_samples, read_stalls
from harness.store.node_logs import NodeLog, read_node_logs, read_origin
from harness.store.parquet import read_history, write_history

_NAME = re.compile(r"\d{8}T\d{6}Z-.+-\d+(\.\d+)?")
_MARK = "plan.toml"

ORIGIN = "wall clock at 0s"
"""The fact of the environment that says when the times of the run began."""


class RunDirectory:
    """One run's directory; the paths in it, and how to put things there and get them back.

    Attributes:
        path: the directory itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, root: Path, plan: Plan, text: str) -> RunDirectory:
        """A new directory under ``root`` for ``plan``, which was written as ``text`` (its seed may have been chosen since).

        Runs that start in the same second get different directories. Raises ``StorageError``, and ``PlanError`` if ``text`` with
        the plan's seed is not that plan: then the run could not be repeated from its directory.
        """
        frozen = freeze_plan(text, plan)
        run = cls(_new_directory(root, f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{_file_name(plan)}-{plan.seed}"))
        try:
            run.logs.mkdir()
            run.journals.mkdir()
        except OSError as error:
            raise storage_error(error, run.logs) from None
        write_text(run.plan_file, frozen)
        return run

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """The run directory at ``path``; raises ``HistoryError`` if it is none."""
        run = cls(path)
        if not path.is_dir():
            raise HistoryError("there is no such run directory", where=str(path))
        if not run.plan_file.is_file():
            raise HistoryError(
                "this directory is no run",
                where=str(path),
                why=f"it has no {_MARK}",
                fix="name one of the directories that `anachron run` made (under runs/), or a history file",
            )
        return run

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    @property
    def plan_file(self) -> Path:
        """The plan as it was given, with the seed that was used."""
        return self.path / _MARK

    @property
    def history_file(self) -> Path:
        """Where the history stands once the run has come to its end."""
        return self.path / "history.parquet"

    @property
    def episode_log(self) -> Path:
        """Where an ``EpisodeLog`` writes."""
        return self.path / "episodes.jsonl"

    @property
    def epoch_log(self) -> Path:
        """Where an ``EpochLog`` writes."""
        return self.path / "epochs.jsonl"

    @property
    def stall_log(self) -> Path:
        """Where a ``StallLog`` writes."""
        return self.path / "stalls.jsonl"

    @property
    def audit_log(self) -> Path:
        """Where an ``AuditLog`` writes."""
        return self.path / "audits.jsonl"

    @property
    def environment_file(self) -> Path:
        """Where ``add_environment`` puts its facts."""
        return self.path / "environment.json"

    @property
    def journals(self) -> Path:
        """Where the workers keep their journals."""
        return self.path / "journals"

    @property
    def logs(self) -> Path:
        """Where the nodes keep their logs."""
        return self.path / "logs"

    @property
    def finished(self) -> bool:
        """Whether the run came to its end and saved its history."""
        return self.history_file.is_file()

    def load_plan(self) -> Plan:
        """The plan that was run; raises ``PlanError``."""
        return load_plan(self.plan_file)

    def add_environment(self, facts: Mapping[str, str]) -> None:
        """Put down more of where and with what the run is made; raises ``StorageError``, and ``HistoryError`` as loading does."""
        known = {**self.load_environment(), **facts}
        write_text(self.environment_file, json.dumps(known, indent=2, sort_keys=True) + "\n")

    def load_environment(self) -> dict[str, Any]:
        """Where and with what the run was made; empty if nothing was put down. Raises ``HistoryError``."""
        try:
            loaded: dict[str, Any] = json.loads(self.environment_file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise HistoryError("the environment cannot be read", where=str(self.environment_file), why=str(error)) from None
        return loaded

    def load_node_logs(self) -> Mapping[str, NodeLog]:
        """The nodes' logs in the times of the run, by node; none where its origin is not known. Raises ``HistoryError``."""
        origin = read_origin(str(self.load_environment().get(ORIGIN, "")))
        return read_node_logs(self.logs, origin) if origin else {}

    def save_history(self, history: History) -> None:
        """Save ``history``, whole or not at all; raises ``StorageError``."""
        write_history(history, self.history_file)

    def load_history(self) -> History:
        """The run's history; a killed run's comes from its journals and logs and is not complete. Raises ``HistoryError``."""
        if self.finished:
            return read_history(self.history_file)
        return replace(self.assemble_history(), complete=False)

    def assemble_history(self) -> History:
        """The history in the journals, with the epochs, fault episodes and stalls of the logs; raises ``HistoryError``."""
        if not any(self.journals.glob("*")):
            raise HistoryError(
                "this run recorded nothing",
                where=str(self.path),
                why="it ended before its sessions began",
                fix="run its plan again",
            )
        history = assign_epochs(read_journals(self.journals), read_samples(self.epoch_log))
        history = decide_unanswered(history, read_audits(self.audit_log))
        stalls = sorted((*history.stalls, *read_stalls(self.stall_log)), key=lambda stall: stall.begin_ns)
        return replace(history, episodes=read_episodes(self.episode_log), stalls=tuple(stalls))


def list_runs(root: Path) -> tuple[RunDirectory, ...]:
    """All run directories right under ``root``, oldest first; none if there is no ``root``."""
    if not root.is_dir():
        return ()
    found = (path for path in root.iterdir() if _NAME.fullmatch(path.name) and (path / _MARK).is_file())
    return tuple(RunDirectory(path) for path in sorted(found))


def freeze_plan(text: str, plan: Plan) -> str:
    """The plan file ``text`` with the seed of ``plan``; raises ``PlanError`` if that does not give ``plan``."""
    head, tables = _split_at_first_table(text)
    seed = f"seed = {plan.seed}"
    head, found = re.subn(r"(?m)^[ \t]*seed[ \t]*=[ \t]*[\d_]+", seed, head, count=1)
    frozen = f"# plan {plan.hash}\n" + (head if found else f"{seed}\n{head}") + tables
    if parse_plan(frozen, "plan").hash != plan.hash:
        raise PlanError(
            "the plan's text is not the plan that is run", why="another part than its seed was changed after it was read"
        )
    return frozen


def _split_at_first_table(text: str) -> tuple[str, str]:
    """The top-level keys of a TOML ``text``, and everything from its first table on."""
    table = re.search(r"(?m)^[ \t]*\[", text)
    return (text[: table.start()], text[table.start() :]) if table else (text, "")


def _new_directory(root: Path, name: str) -> Path:
    """A directory under ``root`` called ``name``, or ``name.2`` and so on where another run was first."""
    for number in range(1, 1000):
        path = root / (name if number == 1 else f"{name}.{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if not root.is_dir():
                raise StorageError(f"{root} is no directory", fix="choose another --runs-dir") from None
        except OSError as error:
            raise storage_error(error, path) from None
        else:
            return path
    raise StorageError("a thousand runs started in the same second", where=str(root))


def _file_name(plan: Plan) -> str:
    """The plan's name as part of a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plan.name or plan.candidate.kind).strip("-.")[:60] or "run"
