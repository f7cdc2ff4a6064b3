"""How nodes of our own let others in: a password, a user, TLS; the same options for every candidate.

The plan names an environment variable, and the password is read from there. Nodes find it in a file of theirs, never in their
arguments. With TLS, an authority made for the run vouches for each node; clients and nodes all trust that one and no other.
"""

from __future__ import annotations

import os
import re
from typing import Self

from pydantic import Field, model_validator

from harness.clients.access import Access, Tls
from harness.errors import StartupError
from harness.plan import Record
from harness.runtimes.base import File, Runtime, Server

AUTHORITY, CERTIFICATE, KEY = "authority.crt", "node.crt", "node.key"
"""Files of a node with TLS."""

_ONE_LINE = re.compile(r"[^\x00-\x1f\x7f]*")
_WITHOUT_TLS = re.compile(
    "Failed finding TLS support|Bad directive|not built with TLS support|requires ngx_http_ssl_module|SSL is not supported"
)


class AccessOptions(Record):
    """Options on how clients get in."""

    tls: bool = False
    """All connections are encrypted: those of clients, and those between nodes. The server has to be built with TLS."""
    username: str = Field(default="", pattern=r"^[\w.@-]*$")
    """The user; the server's default one if empty, or ``anachron`` where a server has none."""
    password_env: str = Field(default="", pattern=r"^\w*$")
    """The environment variable that holds the password."""

    @model_validator(mode="after")
    def _can_be_said(self) -> Self:
        if self.username and not self.password_env:
            raise ValueError('a username needs a password: password_env = "CACHE_PASSWORD"')
        if self.password_env and not os.environ.get(self.password_env):
            raise ValueError(f"the environment variable {self.password_env}, which holds the password, is not set")
        if not _ONE_LINE.fullmatch(self.access.password):
            raise ValueError(f"the password in {self.password_env} has control characters, such as the end of a line")
        return self

    @property
    def access(self) -> Access:
        """Who clients are, with the password out of the environment."""
        return Access(self.username, os.environ.get(self.password_env, "") if self.password_env else "")


class Entrance:
    """Who may come in to the nodes of one run, and what nodes need to show who they are.

    Attributes:
        access: what a client needs to be let in.
    """

    def __init__(self, access: Access, *, tls: bool) -> None:
        self.access = access
        self._authority = None
        if tls:
            from harness.candidates.certificates import Authority  # noqa: PLC0415 - takes a while, and few plans need it

            self._authority = Authority()
            # A node is reached at many addresses, its own and those of proxies: its certificate names none of them.
            self.access = Access(access.username, access.password, Tls(self._authority.certificate.decode(), names=False))

    def papers(self, node: str) -> tuple[File, ...]:
        """What a node with TLS shows to others, and whom it trusts itself; without TLS nothing."""
        if self._authority is None:
            return ()
        issued = self._authority.issue(node)
        return (
            File(AUTHORITY, self._authority.certificate),
            File(CERTIFICATE, issued.certificate),
            File(KEY, issued.key, secret=True),
        )


async def launch(runtime: Runtime, server: Server, access: Access) -> None:
    """Start a node that lets others in by ``access``. Raises ``StartupError``, which says so where the server knows no TLS."""
    try:
        await runtime.start(server)
    except StartupError as error:
        if access.tls and _WITHOUT_TLS.search(error.why):
            error.fix = f"this {server.program} was built without TLS, as the one of a wheel may be; use one with TLS"
        raise


def secret_lines(name: str, *lines: str) -> File:
    """A file of lines that no report, log or stored run may show."""
    return File(name, "".join(f"{line}\n" for line in lines).encode(), secret=True)
