"""How clients get in: who they say they are, and whom they trust.

A secret is in these records and nowhere else: it comes from the environment, goes to driver workers over a pipe, and no ``repr``
shows it.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Protocol, Self, runtime_checkable


@dataclass(frozen=True, slots=True)
class Tls:
    """Connections are encrypted, and servers prove who they are.

    Attributes:
        authority: certificates, in PEM, of those whose word counts; empty for whom the machine itself trusts.
        names: whether a server also has to have the name by which it was reached. Nodes of our own are reached through proxies,
            by other addresses than their own, and their authority has vouched for nobody else.
    """

    authority: str = ""
    names: bool = True

    def context(self) -> ssl.SSLContext:
        """What the standard library makes connections with."""
        context = ssl.create_default_context(cadata=self.authority or None)
        context.check_hostname = self.names
        return context


@dataclass(frozen=True, slots=True)
class Access:
    """What a client needs beside an address.

    Attributes:
        username: of an ACL; empty for the server's default user.
        password: empty for a server that asks for none.
        tls: None for plain connections.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    tls: Tls | None = None

    @property
    def name(self) -> str:
        """Who a client says that it is, where nobody gets in without a name."""
        return self.username or "anachron"

    def hide(self, text: str) -> str:
        """``text`` without the password: a server may quote what it was sent."""
        return text.replace(self.password, "***") if self.password else text


OPEN = Access()
"""Everybody is let in."""


@runtime_checkable
class Introducing(Protocol):
    """A codec of a protocol in which clients say who they are before anything else."""

    def introduction(self, access: Access) -> bytes:
        """What to send on a new connection; only asked where there is a password."""

    def welcome(self, data: bytes) -> str | None:
        """What is wrong with the introduction, by the server's answer; empty if nothing; None while more bytes are needed.

        Raises ``ProtocolBreach``.
        """


@runtime_checkable
class Signing(Protocol):
    """A codec of a protocol in which every request says who sends it."""

    def signed(self, access: Access) -> Self:
        """The codec itself, whose requests say that from now on; only asked where there is a password."""
