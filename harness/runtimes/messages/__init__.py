"""Whole messages on a proxied link: cut out of the stream, matched by rules, dropped, delayed, doubled, swapped or held.

All of it is without I/O; the proxy brings the bytes and the time. A lost packet is sent again by the kernel: this is how a
*message* gets lost, as by a server that forgets to send it or an application that swallows it.

What this does to the two ends, by protocol:

* **requests and answers** are paired by their order alone. After a dropped request the client takes the next answer for its own;
  after a dropped or doubled answer it is one behind or ahead. From then on the connection is out of step, and nothing is reset to
  hide it: a client that notices (by a time-out, or by an answer that nobody asked for) has to open a new one, as ours does.
* **replication**: a dropped command leaves the replica's offset behind the primary's by its length. After a lost connection the
  replica asks for the rest from its own offset and gets it, from the middle of something. Valkey 8.1 takes that for a corrupt
  stream, stands still with its link ``up`` until its ``repl-timeout``, and then synchronises in full.
* **pushes and deliveries** are missed without a trace: the connection goes on as if nothing had been sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.runtimes.messages.memcached import memcached
from harness.runtimes.messages.message import Conversation, Message
from harness.runtimes.messages.relay import Relay
from harness.runtimes.messages.resp import resp
from harness.runtimes.messages.rules import Action, MessageRule, Tally

CONVERSATIONS: Mapping[str, Callable[[], Conversation]] = {"resp": resp, "memcached": memcached}
"""What makes a new connection's conversation, by the protocol of a node."""

__all__ = ["CONVERSATIONS", "Action", "Conversation", "Message", "MessageRule", "Relay", "Tally"]
