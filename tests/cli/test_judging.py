"""``anachron check`` of histories from elsewhere."""

from __future__ import annotations

HEAD = "process,key,op,value,call_ns,return_ns\n"
FRESH = HEAD + "0,x,w,1,0,10\n1,x,r,1,20,30\n0,x,w,2,40,50\n1,x,r,2,60,70\n"
STALE = FRESH + "1,x,r,1,80,90\n"


def test_a_history_without_a_plan_is_held_to_linearizability(anachron, tmp_path):
    """A fresh register passes; one that goes back is violated, with the claim and the way to see it again."""
    (tmp_path / "fresh.csv").write_text(FRESH)
    (tmp_path / "stale.csv").write_text(STALE)
    assert anachron("check", "fresh.csv").status == 0
    answer = anachron("check", "stale.csv", "--report", "verdict.html")
    assert answer.status == 1
    assert "not-linearizable" in answer.out
    assert "anachron check stale.csv" in answer.out
    assert "replay stale.csv" not in answer.out
    assert answer.out.splitlines()[-1] == "verdict.html"
    assert "not-linearizable" in (tmp_path / "verdict.html").read_text()


def test_a_history_is_held_to_the_plan_that_is_given(anachron, tmp_path):
    """What breaks one contract keeps another; what the other asks for and the history lacks is inconclusive."""
    (tmp_path / "stale.csv").write_text(STALE)
    answer = anachron("check", "stale.csv", "--plan", "too-short")
    assert answer.status == 2
    assert "what was not exercised" in answer.out


def test_a_report_that_cannot_be_written_is_said(anachron, tmp_path):
    """The verdict is shown first; the status tells of the failure."""
    (tmp_path / "fresh.csv").write_text(FRESH)
    (tmp_path / "file").write_text("")
    answer = anachron("check", "fresh.csv", "--report", "file/verdict.html")
    assert answer.status == 255
    assert "pass" in answer.out
