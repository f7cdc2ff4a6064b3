"""The harness's own connections to HTTP nodes: who they are, and marks that cross their links."""

from __future__ import annotations

from harness.candidates.asking import TIMEOUT_NS, Asking, Connection, UnusableAnswerError
from harness.candidates.probes import MarkProbe
from harness.clients.access import OPEN, Access
from harness.clients.http import HOST, authorization_field
from harness.clients.http_answers import Answer, Answers
from harness.runtimes.base import Endpoint

IDENTITY = "/-/identity"
"""Where every node says who it is."""

THROUGH = "/-/through"
"""Where every cache says who the origin is: it has to ask each time."""

MARK = "/-/mark/"
"""Where the origin says whether it reaches a cache."""

_OK = 200
_MAX_IDENTITY = 100


class HttpAdmin:
    """Questions to one node over one kept connection. All of them raise ``OSError``."""

    def __init__(self, endpoint: Endpoint, access: Access = OPEN) -> None:
        self._asking = Asking(Connection[Answer](endpoint, Answers, access=access), last=lambda answer: answer.closes)
        self._fields = f"Host: {HOST}\r\n{authorization_field(access)}"

    async def get(self, path: str, within_ns: int = TIMEOUT_NS) -> Answer:
        """The answer 200 to a GET of ``path``."""
        answer = await self._asking.ask(f"GET {path} HTTP/1.1\r\n{self._fields}\r\n".encode(), path, within_ns)
        if answer.status != _OK:
            raise UnusableAnswerError(f"{self._asking} answered {path} with {answer.reason}")
        return answer

    async def identity(self, within_ns: int = TIMEOUT_NS) -> str:
        """Who the node says it is."""
        said = (await self.get(IDENTITY, within_ns)).body.decode(errors="replace")
        if not said or len(said) > _MAX_IDENTITY or not said.isprintable():
            raise UnusableAnswerError(f"{self._asking} says {said!r:.80} for who it is")
        return said

    def close(self) -> None:
        """Close the connection."""
        self._asking.close()


def client_probe(through: Endpoint, node: Endpoint, access: Access = OPEN) -> MarkProbe:
    """A probe of the link from clients to a node: a question there and back, on a connection opened as a client opens its own."""
    client, admin = HttpAdmin(through, access), HttpAdmin(node, access)

    def close() -> None:
        client.close()
        admin.close()

    return MarkProbe(client.identity, admin.identity, close)


def peer_probe(source: Endpoint, target: Endpoint, path: str, access: Access = OPEN) -> MarkProbe:
    """A probe of the link between two nodes: asked for ``path``, ``source`` asks ``target`` over connections that it keeps."""
    asked, ends = HttpAdmin(source, access), (HttpAdmin(source, access), HttpAdmin(target, access))

    async def cross(within_ns: int) -> None:
        try:
            await asked.get(path, within_ns)
        except OSError:
            # The connection that is observed is the one behind: this one must not make the next mark wait for a late answer.
            asked.close()
            raise

    async def serve() -> None:
        for end in ends:
            await end.identity()

    def close() -> None:
        for admin in (asked, *ends):
            admin.close()

    return MarkProbe(cross, serve, close)
