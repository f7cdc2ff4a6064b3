"""Owners of keys: who is granted what, what is fenced off, and what an owner may serve."""

from __future__ import annotations

import pytest

from harness.reference.effects import Call, Refused, Sleep, Unreachable
from harness.reference.messages import ORIGIN, Fetch, Record, Value
from harness.reference.ownership import CommitFenced, GrantingOrigin
from harness.reference.strategies.owner import DESIGN, OwnerPerKey, ReadOwned, Tenure, WriteOwned
from tests.reference.workbench import Workbench, advance

SETTINGS = DESIGN.settings
OLD, NEW = Record(Value("x", 1, 10), 1), Record(Value("x", 2, 11), 2)


def an_owner() -> tuple[OwnerPerKey, Tenure, int]:
    """A node that owns the share of x and has an entry for it; its tenure and the share."""
    node = OwnerPerKey(Workbench(SETTINGS))
    tenure, share = Tenure(7), node.share_of("x")
    tenure.until_ns = 100
    tenure.entries["x"] = OLD
    node.tenures[share] = tenure
    return node, tenure, share


def test_a_share_changes_hands_when_its_lease_is_over() -> None:
    """Every new owner has a higher token than the one before."""
    bench = Workbench(SETTINGS)
    source = GrantingOrigin(bench)
    assert source.grant("node-1", 0, 0)[:2] == ("node-1", 1)
    assert source.grant("node-2", 0, 0)[:2] == ("node-1", 1)
    assert source.grant("node-1", 0, 1)[:2] == ("node-1", 1)
    bench.now_ns = SETTINGS.lease_ns + 1
    assert source.grant("node-2", 0, 0)[:2] == ("node-2", 2)


def test_an_owner_that_has_no_token_is_given_a_new_one() -> None:
    """An owner that has forgotten its token, or given it up, is fenced off from its own past."""
    source = GrantingOrigin(Workbench(SETTINGS))
    source.grant("node-1", 0, 0)
    assert source.grant("node-1", 0, 0).token == 2


def test_a_commit_with_an_old_token_is_refused() -> None:
    """What an earlier owner has sent takes no effect any more; what it has committed, it is told again."""
    source = GrantingOrigin(Workbench(SETTINGS))
    source.grant("node-1", 0, 0)
    for value, token, fits in ((OLD.value, 1, True), (NEW.value, 0, False), (OLD.value, 0, True)):
        commit = source.serve("node-1", CommitFenced(value, 0, token))
        assert advance(commit) == Sleep(SETTINGS.commit_ns)
        if fits:
            assert advance(commit) == 1
        else:
            with pytest.raises(Refused):
                advance(commit)


def test_an_owner_serves_its_entries_until_its_lease_is_over() -> None:
    """A request that comes later is refused, and changes nothing."""
    node, tenure, _ = an_owner()
    assert advance(node.serve("node-2", ReadOwned("x"))) == OLD.value
    tenure.until_ns = 0
    for request in (ReadOwned("x"), WriteOwned(NEW.value)):
        with pytest.raises(Refused):
            advance(node.serve("node-2", request))


def test_a_read_goes_to_the_source_while_a_write_is_under_way() -> None:
    """The write may have reached the source already."""
    node, tenure, share = an_owner()
    write = node.serve("node-2", WriteOwned(NEW.value))
    assert advance(write) == Call(ORIGIN, CommitFenced(NEW.value, share, 7))
    assert advance(node.serve("node-2", ReadOwned("x"))) == Call(ORIGIN, Fetch("x"))
    advance(write, 2)
    assert tenure.entries["x"] == NEW
    assert advance(node.serve("node-2", ReadOwned("x"))) == NEW.value


def test_a_write_of_unknown_end_costs_the_tenure() -> None:
    """It may still arrive, so the token that it carries must become worthless."""
    node, _, share = an_owner()
    write = node.serve("node-2", WriteOwned(NEW.value))
    advance(write)
    with pytest.raises(Unreachable):
        write.throw(Unreachable())
    assert share not in node.tenures
