"""``redis-single``: one Redis or Valkey server, read and written by everyone.

One server executes one command at a time, so every key is a linearizable register for as long as the process lives. What can
break it is a restart: without ``persistence = true`` it comes back empty. The simplest candidate, and the control of the others:
what a checker finds here without a restart is the checker's fault.

Options: ``server = "valkey" | "redis"``, ``persistence = false | true``. Who is let in: ``tls = false | true`` (the Valkey of
the wheel has none), ``username`` (of an ACL), ``password_env`` (the environment variable with the password).
"""

from __future__ import annotations

from harness.candidates.redis_server import RedisServers, ServerOptions
from harness.plan import CandidateSpec
from harness.topology import Link, Node, Topology


class RedisSingle(RedisServers):
    """One server called ``primary``."""

    def __init__(self, spec: CandidateSpec) -> None:
        topology = Topology((Node(0, "primary", "primary"),), (Link("client", "primary"),), writable=(0,), readable=(0,))
        super().__init__(spec.read(ServerOptions), topology)
