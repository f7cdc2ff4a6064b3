"""A whole plan with a comment on every key: what ``explain plan`` shows and ``init`` writes.

Written by hand, because a good comment says more than a type; that it is complete, and that it is a plan, is tested.
"""

from __future__ import annotations

_PLAN = """\
# A plan is one experiment: what is tested, what it promises, what is done to it. `anachron run THIS_FILE` carries it out.
# Keys that are commented out show their default, or what could stand there. Durations have a unit: "250ms", "2s", "5min".

seed = 7                           # fixes sessions, keys and the schedule of faults
name = "replication"               # for people, and in the name of the run directory

# What is tested. `anachron list candidates` shows all of them, `anachron explain redis-replication` the options of one.
[candidate]
kind = "redis-replication"
server = "valkey"                  # or "redis"
replicas = 2
read_from = "any"                  # which nodes clients read from: "primary" | "replicas" | "any"

# What its owners promise. The verdict holds the run to this and to nothing else; integrity (no value of another key, none that
# nobody wrote) is always promised. A key that is left out promises nothing.
[contract]
# linearizable = false             # every key is one register: no read is ever stale, whatever node it asks
# atomic_reads = false             # what was written in one request is read in one request whole, or not at all
node_monotonic = true              # one node never goes backwards between two restarts
converges_within = "3s"            # after faults have healed and writing has stopped, all nodes agree
lost_writes = 0                    # how many acknowledged writes may vanish
misses = "loss"                    # what a read that finds nothing means: "allowed" (eviction) | "absent-is-a-value" | "loss"
# ttl = { max = "30s", grace = "0s" }

# How far each session guarantee reaches: "none", "same-node" (both operations ask one node), "sticky" (and the session has asked
# no other in between), "any-node" (wherever the session goes).
[contract.sessions]
read_your_writes = "same-node"
monotonic_reads = "same-node"
monotonic_writes = "same-node"
writes_follow_reads = "same-node"

# How old a read may be: the time since its value was superseded by an acknowledged write.
[contract.staleness]
steady = "250ms"                   # while nothing is broken
during = { partition = "fault + 1s", pause = "fault + 1s" }    # while a fault is on: a time, or the fault's length and more
after_heal = "2s"                  # for this long after a heal the bound of the fault still applies
# versions = 50                    # and never this many versions behind

# Reads older than a limit are rare. Judged with a confidence interval: too few samples are inconclusive, not a pass.
[[contract.rates]]
phase = "steady"
older_than = "50ms"
at_most = 0.01                     # share of the units that may see such a read
confidence = 0.95
per = "write"                      # the unit: "write" | "episode"

# What the owners know of and accept: counted and shown, but no violation.
# [[contract.waive]]
# finding = "lost-write"
# during = "kill"                  # only in and after episodes of this fault
# reason = "the cache keeps nothing on disk; the application fills it again"

# What sessions do. `anachron list workloads`, `anachron explain register`.
[[workloads]]
kind = "register"                  # hot keys, zipf-skewed, one writer per key
keys = 100
reads = 0.9                        # share of operations
sessions = 20                      # logical clients, one operation at a time each
rate = 2500                        # operations a second of all of them, open loop; leave it out for full speed

[[workloads]]
kind = "cold-register"             # a few writes, silence, then probes of every node: finds what hot keys heal too soon
sessions = 10
scale = 0.3

# What goes wrong, and when. `anachron list faults`, `anachron explain partition`. Every episode proves its effect at the target;
# one that cannot makes the run inconclusive.
[[faults]]
kind = "partition"
between = ["primary", "replicas"]
every = "8s"                       # one episode every so often,
lasts = "2s"                       # this long,
after = "3s"                       # the first one here (default: after one `every`)
# jitter = "0s"                    # each start moved by up to this much, by the seed
# at_most = 1                      # how many of the possible targets an episode strikes; left out: all links, or one node

[[faults]]
kind = "pause"
targets = ["replicas"]
every = "8s"
lasts = "1s"
after = "6500ms"

# What a run must have exercised before its silence means anything; less is inconclusive. These are the defaults.
[adequacy]
operations = 1000                  # reads that could have seen a violation
success_rate = 0.95                # of operations outside of faults
episodes = 1                       # proven episodes of each fault
coverage = 0.95                    # share of (write, node) pairs that must be seen fresh in time before a bound holds
resolution = "1s"                  # how long after its bound a pair may be seen fresh and still count
stalled = 0.05                     # share of the run's time that the harness itself may have stood still

# How it is carried out.
[run]
duration = "20s"                   # how long sessions run; settling and checking come on top
runtime = "process"                # where nodes live: `anachron list runtimes`
workers = 1                        # driver processes
timeout = "1s"                     # an operation that takes longer is `info`: nobody knows whether it took effect
# settle = "5s"                    # how long the fleet is probed in the end, where the contract has no converges_within
# client_proxies = false           # put a proxy on the links between clients and nodes, too, so that faults can strike them
# node_proxies = false             # the same between nodes, for faults on messages; the process runtime always has them
"""


def annotated_plan() -> str:
    """The text of the annotated plan, as TOML."""
    return _PLAN
