"""``anachron init``."""

from __future__ import annotations

from harness.plan import load_plan


def test_init_writes_a_plan_that_reads_and_a_workflow_that_runs_it(anachron, tmp_path):
    """Both files are written, and the plan is one."""
    answer = anachron("init")
    assert answer.status == 0
    assert load_plan(tmp_path / "anachron.toml").candidate.kind == "redis-replication"
    workflow = (tmp_path / ".github" / "workflows" / "anachron.yml").read_text()
    assert "anachron run anachron.toml" in workflow
    assert "schedule:" in workflow


def test_init_overwrites_nothing_and_writes_nothing_when_one_file_is_in_the_way(anachron, tmp_path):
    """A file that is there stays as it is, and its companion is not written either."""
    (tmp_path / "anachron.toml").write_text("mine")
    answer = anachron("init")
    assert answer.status == 254
    assert "--force" in answer.err
    assert (tmp_path / "anachron.toml").read_text() == "mine"
    assert not (tmp_path / ".github").exists()


def test_init_overwrites_when_it_is_forced(anachron, tmp_path):
    """--force writes over."""
    (tmp_path / "anachron.toml").write_text("mine")
    assert anachron("init", "--force").status == 0
    assert (tmp_path / "anachron.toml").read_text() != "mine"


def test_init_where_nothing_can_be_written_says_so(anachron, tmp_path):
    """A directory that cannot be made is one message and status 255."""
    (tmp_path / "file").write_text("")
    answer = anachron("init", "file/deep")
    assert answer.status == 255
    assert "file/deep" in answer.err
