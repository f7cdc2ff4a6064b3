"""The keys of one worker: their names, the requests that read them, what has been acknowledged, and what a value found says."""

from __future__ import annotations

from collections.abc import Mapping

from harness.clients import Codec
from harness.history import Function, Seen
from harness.journal import Journal
from harness.values import decode_value

_MAX_FOREIGN = 1_000
_MAX_KNOWN = 10_000

Found = tuple[Seen, int, int, int]
"""What a value is: ``HIT`` with its key's index, version and op id, or ``GARBAGE`` with -1 for each."""

_GARBAGE: Found = (Seen.GARBAGE, -1, -1, -1)


class Keys:
    """A worker's ``Keyspace``. Lists are by key index.

    On the wire every name begins with the run's token. So two runs on one server share no key, and a value without it, such as
    one that an earlier run left behind, was not written in this run. The journal, and all that people read, leaves it out.

    Attributes:
        names: names as bytes.
        reads: the request that reads the key.
        acknowledged: the highest acknowledged version; 0 for none and where versions have no order.
    """

    def __init__(self, codec: Codec, journal: Journal, token: str) -> None:
        self.names: list[bytes] = []
        self.reads: list[bytes] = []
        self.acknowledged: list[int] = []
        self._codec = codec
        self._journal = journal
        self._prefix = f"{token}:".encode()
        self._indices: dict[bytes, int] = {}
        self._own: dict[int, bool] = {}
        self._known: dict[bytes, Found] = {}

    def add(self, name: str, *, ordered: bool = True) -> int:
        """The index of a new key, whose name is in the journal when this returns."""
        full = self._prefix + name.encode()
        if not name or "|" in name or self._indices.get(full) in self._own:
            raise ValueError(f"{name!r} cannot name a new key: names are unique, not empty and without '|'")
        self._journal.note(key=name, ordered=ordered)
        index = self._append(full)
        self._own[index] = ordered
        return index

    def finals(self, committed: Mapping[str, int]) -> dict[int, int]:
        """The version that each of the worker's own keys must come to: the highest that was acknowledged or is ``committed``.

        The names in ``committed`` are those on the wire. 0 stands for no version, and for keys whose versions have no order.
        """
        return {
            index: max(self.acknowledged[index], committed.get(self.names[index].decode(), 0)) if ordered else 0
            for index, ordered in self._own.items()
        }

    def understand(self, value: bytes) -> Found:
        """What the ``value`` that a read found says about itself."""
        # Hot keys return the same value again and again: looking it up takes a tenth of the time of decoding it.
        found = self._known.get(value)
        if found is None:
            found = self._decode(value)
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[value] = found
        return found

    def _decode(self, value: bytes) -> Found:
        written = decode_value(value)
        if written is None:
            return _GARBAGE
        name, version, op = written
        index = self._indices.get(name)
        if index is None:
            index = self._foreign(name)
            if index is None:
                return _GARBAGE
        return Seen.HIT, index, version, op

    def _foreign(self, name: bytes) -> int | None:
        """The index of a key that is not ours: another worker's, or nobody's, which only the reader of all journals can tell."""
        if len(self.names) - len(self._own) >= _MAX_FOREIGN or not name.startswith(self._prefix):
            return None
        try:
            text = name.removeprefix(self._prefix).decode()
        except UnicodeDecodeError:
            return None
        self._journal.note(foreign=text)
        return self._append(name)

    def _append(self, name: bytes) -> int:
        index = len(self.names)
        self.names.append(name)
        self.reads.append(self._codec.request(Function.READ, name))
        self.acknowledged.append(0)
        self._indices[name] = index
        return index
