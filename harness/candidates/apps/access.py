"""Who may come in to an application node, and how the servers behind it let it in: by the same words, and the same authority.

The words come in a file beside the program, for arguments are seen by everybody; so do certificates and key.
"""

from __future__ import annotations

import hmac
import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path

AUTHORITY, CERTIFICATE, KEY = "authority.crt", "node.crt", "node.key"


@dataclass(frozen=True, slots=True)
class Access:
    """What a client needs beside an address.

    Attributes:
        username: empty for a server's default user.
        password: empty where none is asked for.
        tls: whether all connections are encrypted.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False

    @classmethod
    def read(cls, file: str) -> Access:
        """What ``file`` says."""
        return cls(**json.loads(Path(file).read_text(encoding="utf-8")))

    @property
    def name(self) -> str:
        """Who a client says that it is, where nobody gets in without a name."""
        return self.username or "anachron"

    def introduces(self, words: list[bytes]) -> bool:
        """Whether a client that says these words may come in: its password, or its name and its password."""
        mine = (self.username, self.password) if self.username else (self.password,)
        said, wanted = (b"\0".join(each) for each in (words, [word.encode() for word in mine]))
        return len(words) == len(mine) and hmac.compare_digest(said, wanted)

    def to_servers(self) -> ssl.SSLContext | None:
        """What connections to servers are made with; None for plain ones."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=AUTHORITY)
        context.check_hostname = False  # servers are reached at many addresses, and the authority vouches for nobody else
        return context

    def to_clients(self) -> ssl.SSLContext | None:
        """What connections of clients are accepted with; None for plain ones."""
        if not self.tls:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, KEY)
        return context


OPEN = Access()
"""Everybody is let in."""
