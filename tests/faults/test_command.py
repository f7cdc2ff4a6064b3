"""The fault ``command``: the owner's commands, with a file for a deployment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic_ns

import pytest

from faults.command import Command
from faults.episode import run_episode
from faults.schedule import PlannedEpisode
from harness.candidates import Cluster
from harness.errors import PlanError
from tests.faults.fake_cluster import FLEET, MS, FakeCandidate, FakeRuntime, spec


def episode(tmp_path: Path, **options: object):
    """One episode of a fault whose effect is that a file is there."""
    mark = tmp_path / "broken"
    told = {"apply": f"touch {mark}", "prove": f"test -e {mark}", "heal": f"rm {mark}", "within": "300ms", **options}
    fault = Command(spec("command", targets="primary", lasts="1s", **told))
    runtime = FakeRuntime()
    planned = PlannedEpisode(0, "command", (FLEET.nodes[0],), 600 * MS, 1_600 * MS)

    async def scenario():
        begin_ns = monotonic_ns()
        strike = fault.strike(Cluster(FakeCandidate(runtime), runtime), planned.targets)
        return await run_episode(planned, strike, lambda: monotonic_ns() - begin_ns, lambda _: None, 2_000 * MS)

    return asyncio.run(scenario()), mark


def test_commands_apply_prove_and_heal(tmp_path: Path):
    """The effect is there in between, and gone afterwards."""
    done, mark = episode(tmp_path)
    assert done.proven
    assert not mark.exists()


def test_a_strike_without_effect_is_not_proven(tmp_path: Path):
    """A command that succeeds and does nothing is found out."""
    done, _ = episode(tmp_path, apply="true", heal="true")
    assert not done.proven
    assert any("did not bite" in words for words in done.evidence)


def test_a_proof_that_always_succeeds_proves_nothing(tmp_path: Path):
    """The proof is tried before the strike."""
    done, mark = episode(tmp_path, prove="true")
    assert not done.proven
    assert any("proves nothing" in words for words in done.evidence)
    assert not mark.exists()


def test_a_command_that_fails_is_told_with_what_it_said_and_healed_all_the_same(tmp_path: Path):
    """Half-done work is taken back."""
    done, mark = episode(tmp_path, apply=f"touch {tmp_path / 'broken'}; echo no such host >&2; exit 7")
    assert not done.proven
    assert any("status 7 (no such host)" in words for words in done.evidence)
    assert not mark.exists()


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path):
    """A command that does not come back costs its time and no more."""
    done, _ = episode(tmp_path, prove=f"sleep 77 & echo $! > {tmp_path / 'pid'}; wait")
    assert not done.proven
    pid = (tmp_path / "pid").read_text().strip()
    assert not Path(f"/proc/{pid}/cmdline").exists() or b"77" not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_an_episode_too_short_for_its_commands_is_refused():
    """Two proofs and a strike have to fit."""
    with pytest.raises(PlanError, match="too short"):
        Command(spec("command", targets="primary", apply="a", prove="b", heal="c", within="500ms", lasts="1s"))
