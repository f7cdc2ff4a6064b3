"""The rules and what is read back from the kernel, as text."""

from __future__ import annotations

import re

from harness.runtimes.base import Capability, Disturbance
from harness.runtimes.kernel import connections, rules
from harness.runtimes.kernel.bends import Bend
from harness.runtimes.kernel.connections import Connection
from harness.runtimes.kernel.means import Means, found

A, B, C = "172.28.9.11", "172.28.9.12", "172.28.9.13"


def test_a_run_s_name_becomes_a_table_s_name():
    """Whatever a run is called, its table's name is one word with our prefix, without room for more rules."""
    assert rules.table("x; flush ruleset\n") == "anachron_x__flush_ruleset_"
    assert rules.table("2024-05-01") == "anachron_2024_05_01"


def test_only_the_run_s_own_tables_are_named():
    """Every command of every script is about a table of the run."""
    bends = {(A, B): Bend(cut=True), (B, A): Bend(refuse=True), (A, C): Bend(delay_ns=1)}
    scripts = (
        rules.fill("anachron_r", bends, [C]),
        rules.take_down("anachron_r"),
        rules.start_resets("anachron_r", [Connection(A, 1, B, 2)]),
        rules.stop_resets("anachron_r"),
    )
    commands = [line for script in scripts for line in script.splitlines()]
    assert len(commands) > 10
    assert all(re.match(r"(add|delete|flush) (table|chain|rule|set) (bridge|ip) anachron_r\b", line) for line in commands)


def test_each_pair_meets_one_rule():
    """A cut pair vanishes on the bridge, a refused one is refused even if it is cut, too, and others go to the program."""
    bends = {
        (A, B): Bend(cut=True, delay_ns=5),
        (B, A): Bend(cut=True, refuse=True),
        (A, C): Bend(disturbance=Disturbance(drop_every=3)),
        (C, A): Bend(),
    }
    lines = rules.fill("anachron_r", bends).splitlines()
    assert [line for line in lines if line.startswith("add")] == [
        f"add rule bridge anachron_r bends ip saddr . ip daddr {{ {A} . {B} }} drop",
        f"add rule ip anachron_r bends ip saddr . ip daddr {{ {B} . {A} }} goto refused",
        f"add rule ip anachron_r bends ip saddr . ip daddr {{ {A} . {C} }} goto queued",
    ]
    assert rules.treatments(bends).keys() == {(A, C)}
    assert rules.losses(bends).keys() == {(A, B), (B, A)}


def test_who_has_vanished_is_not_even_asked_for():
    """Whatever comes from such an address or goes to it is dropped, and so are the questions who has it."""
    lines = rules.fill("anachron_r", {}, [B, A]).splitlines()
    assert [line for line in lines if line.startswith("add")] == [
        f"add rule bridge anachron_r bends {field} {{ {A}, {B} }} drop"
        for field in ("ip saddr", "ip daddr", "arp saddr ip", "arp daddr ip")
    ]


def test_no_bends_are_no_rules():
    """The healed state flushes and adds nothing."""
    assert "add" not in rules.fill("anachron_r", {})


def test_tables_of_others_are_not_taken_for_ours():
    """A table is ours by its prefix and by what is in it, not by a name that is like ours."""
    others = "".join(f"table {name} {{\n\tchain c {{\n\t}}\n}}\n" for name in ("ip nat", "inet anachronism", "ip anachron_notes"))
    listing = others + "".join(rules.set_up("anachron_1", family) for family in rules.FAMILIES)
    assert rules.ours(listing) == [("bridge", "anachron_1"), ("ip", "anachron_1")]


def test_connections_are_found_whoever_opened_them():
    """Of the tracked connections those between the asked addresses count, in either direction."""
    listing = (
        f"tcp 6 431999 ESTABLISHED src={A} dst={B} sport=1 dport=6379 src={B} dst={A} sport=6379 dport=1 [ASSURED] use=1\n"
        f"tcp 6 431999 ESTABLISHED src={B} dst={A} sport=2 dport=6379 src={A} dst={B} sport=6379 dport=2 [ASSURED] use=1\n"
        f"tcp 6 431999 ESTABLISHED src={A} dst={C} sport=3 dport=6379 src={C} dst={A} sport=6379 dport=3 [ASSURED] use=1\n"
        "conntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.\n"
    )
    assert connections.among(listing, [(A, B)]) == {Connection(A, 1, B, 6379), Connection(B, 2, A, 6379)}
    assert connections.told(f"elements = {{ {A} . 1 . {B} . 6379,\n {B} . 6379 . {A} . 1 }}") == {
        Connection(A, 1, B, 6379),
        Connection(B, 6379, A, 1),
    }


def test_what_a_kernel_lacks_is_refused_with_the_remedy():
    """Without br_netfilter only cuts are to be had; without a queue, cuts alone as well; the reason is given."""
    assert found("1\n", "ready\n", "") == Means()
    unbridged = found("cat: no such file\n", "ready\n", "")
    assert "modprobe br_netfilter" in (unbridged.refusal(Capability.DELAY) or "")
    assert unbridged.refusal(Capability.CUT) is None
    unqueued = found("1\n", "failed the kernel does not queue\n", "")
    assert "does not queue" in (unqueued.refusal(Capability.DISTURB) or "")
    assert "not list" in (found("1", "ready", "no").refusal(Capability.RESET) or "")
    assert found("1", "ready", "no").refusal(Capability.DELAY) is None


def test_what_would_have_no_effect_is_told_apart():
    """Where bridged packets pass the rules for IP by, cuts are done and a refusal or a delay is not said to be."""
    unbridged = found("0\n", "ready\n", "")
    assert unbridged.lacks({(A, B): Bend(cut=True)}) == ""
    assert "br_netfilter" in unbridged.lacks({(A, B): Bend(refuse=True)})
    assert "br_netfilter" in unbridged.lacks({(A, B): Bend(delay_ns=1)})
    assert "queue" in found("1\n", "failed no queue", "").lacks({(A, B): Bend(delay_ns=1)})
    assert Means().lacks({(A, B): Bend(refuse=True), (B, A): Bend(delay_ns=1)}) == ""
