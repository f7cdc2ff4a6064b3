"""A run's network faults as nftables rules: pure text, from ``Bends``.

A run has tables of its own and touches no others'. They are made once and stay empty while nothing is bent; a new state flushes
and fills one chain in each, in one transaction: it stands as a whole or not at all, and nothing has to be hooked or unhooked::

    table bridge anachron_RUN    cuts: before anything else sees a packet; whether it is between nodes or from or to the host;
                                 addresses that have vanished: whatever is for them or from them, the questions who has them, too
    table ip anachron_RUN        resets, and what the queue program does; bridged packets come by if br_netfilter is on

Rules know addresses only, so they outlive restarts. What a program of ours sends carries ``MARK`` and passes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from harness.runtimes.base import Disturbance
from harness.runtimes.kernel.bends import Bend, Bends, Pair
from harness.runtimes.kernel.connections import Connection
from harness.runtimes.kernel.queueing.fates import Treatment
from harness.runtimes.kernel.queueing.segments import MARK

PREFIX = "anachron_"
FAMILIES = ("bridge", "ip")
_PRIORITY = -10
"""Before the rules that engines and firewalls have in these hooks (0), and before bridged packets are handed to ip (0)."""
_HOOKS = ("forward", "input", "output")
_PASS = f"meta mark {MARK:#x} accept"
_UNTOUCHED = Disturbance()


def table(run: str) -> str:
    """The name of the run's tables.

    >>> table("2024-05-01T10:00")
    'anachron_2024_05_01T10_00'
    """
    return PREFIX + re.sub(r"\W", "_", run, flags=re.ASCII)


def ours(listing: str) -> list[tuple[str, str]]:
    """Family and name of the tables that runs of ours made, from the output of ``nft list ruleset``: told by name and content.

    >>> ours(set_up("anachron_7f3a", "bridge"))
    [('bridge', 'anachron_7f3a')]
    """
    tables = re.findall(rf"^table (\w+) ({PREFIX}\S+) {{\n(.*?)^}}", listing, flags=re.MULTILINE | re.DOTALL)
    return [(family, name) for family, name, content in tables if _PASS in content]


def set_up(name: str, family: str) -> str:
    """The script that makes the empty table of one family anew."""
    hooks = "".join(
        f" chain {hook} {{\n  type filter hook {hook} priority {_PRIORITY};\n  {_PASS}\n{_jumps(family)} }}\n" for hook in _HOOKS
    )
    return f"{take_down(name, (family,))}table {family} {name} {{\n{_chains(family)}{hooks}}}\n"


def take_down(name: str, families: Iterable[str] = FAMILIES) -> str:
    """The script that removes the tables, whether they are there or not."""
    return "".join(f"add table {family} {name}\ndelete table {family} {name}\n" for family in families)


def fill(name: str, bends: Bends, vanished: Collection[str] = ()) -> str:
    """The script that replaces the state of the tables, in one transaction: by ``bends``, and by addresses that have vanished."""
    refused = [pair for pair, bend in bends.items() if bend.refuse]
    cut = [pair for pair, bend in bends.items() if bend.cut and not bend.refuse]
    queued = list(treatments(bends))
    return "".join(
        (
            f"flush chain bridge {name} bends\n",
            _rule("bridge", name, cut, "drop"),
            _silence(name, vanished),
            f"flush chain ip {name} bends\n",
            _rule("ip", name, refused, "goto refused"),
            _rule("ip", name, queued, "goto queued"),
        )
    )


def treatments(bends: Bends) -> Mapping[Pair, Treatment]:
    """What is left to the queue program: all that neither vanishes nor is refused anyway."""
    return {
        pair: _treatment(bend)
        for pair, bend in bends.items()
        if not bend.cut
        and not bend.refuse
        and (bend.delay_ns or bend.jitter_ns or bend.bytes_per_second or bend.disturbance != _UNTOUCHED)
    }


def losses(bends: Bends) -> Mapping[Pair, Treatment]:
    """What the queue program must know of the rest: what it still holds of those packets is lost, too."""
    return {pair: Treatment(lose=1) for pair, bend in bends.items() if bend.cut or bend.refuse}


def start_resets(name: str, connections: Collection[Connection]) -> str:
    """The script that resets exactly these connections, and notes in the set ``told`` which ends have been told."""
    ends = [end for connection in connections for end in (connection, connection.reverse)]
    tuples = ", ".join(f"{end.source} . {end.source_port} . {end.target} . {end.target_port}" for end in ends)
    fields = "ip saddr . tcp sport . ip daddr . tcp dport"
    return (
        f"{stop_resets(name)}add rule ip {name} resets {fields} {{ {tuples} }} update @told {{ {fields} }} goto refused\n"
        if ends
        else stop_resets(name)
    )


def stop_resets(name: str) -> str:
    """The script that undoes ``start_resets``."""
    return f"flush chain ip {name} resets\nflush set ip {name} told\n"


def _chains(family: str) -> str:
    if family == "bridge":
        return " chain bends {\n }\n"
    return (
        " set told {\n  type ipv4_addr . inet_service . ipv4_addr . inet_service\n  flags dynamic\n  size 65535\n }\n"
        # A reset ends a connection for good, so it always gets through.
        " chain refused {\n  tcp flags & rst == rst accept\n  meta l4proto tcp reject with tcp reset\n  drop\n }\n"
        " chain queued {\n }\n"
        " chain resets {\n }\n"
        " chain bends {\n }\n"
    )


def _jumps(family: str) -> str:
    return "".join(f"  jump {chain}\n" for chain in (("bends",) if family == "bridge" else ("resets", "bends")))


def _rule(family: str, name: str, pairs: Collection[Pair], verdict: str) -> str:
    if not pairs:
        return ""
    elements = ", ".join(f"{source} . {target}" for source, target in sorted(pairs))
    return f"add rule {family} {name} bends ip saddr . ip daddr {{ {elements} }} {verdict}\n"


def _silence(name: str, vanished: Collection[str]) -> str:
    if not vanished:
        return ""
    elements = ", ".join(sorted(vanished))
    fields = ("ip saddr", "ip daddr", "arp saddr ip", "arp daddr ip")
    return "".join(f"add rule bridge {name} bends {field} {{ {elements} }} drop\n" for field in fields)


def _treatment(bend: Bend) -> Treatment:
    disturbance = bend.disturbance
    return Treatment(
        delay_ns=bend.delay_ns,
        jitter_ns=bend.jitter_ns,
        bytes_per_second=bend.bytes_per_second,
        drop=disturbance.drop,
        drop_every=disturbance.drop_every,
        duplicate=disturbance.duplicate,
        reorder=disturbance.reorder,
        reorder_by_ns=disturbance.reorder_by_ns,
        seed=disturbance.seed,
    )
