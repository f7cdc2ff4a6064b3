"""The text and the meta protocol of memcached.

Answers are called like the requests they answer, in the order in which the server got them. All values that a ``get`` finds are
one answer, with the ``END`` behind them. A request that says ``noreply`` has no answer. While one with the flag ``q`` is in
flight, nobody can tell which answers will come: they are called by their own names (``HD``, ``VA``) until an ``MN`` settles it.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.runtimes.messages.message import (
    LINE_MAX,
    Conversation,
    Framer,
    Message,
    NotUnderstoodError,
    Part,
    Question,
    Questions,
)

_LENGTH_AT = {
    **dict.fromkeys((b"set", b"add", b"replace", b"append", b"prepend", b"cas"), 4),
    b"ms": 2,
}
"""Which word of a request says how long the data behind it are."""
_ANSWER_LENGTH_AT = {b"VALUE": 3, b"VA": 1}
_MORE_FOLLOW = frozenset((b"VALUE", b"STAT"))
"""Lines that are followed by others of the same answer."""

_ALL = slice(1, None)
_FIRST = slice(1, 2)
_KEYS = {
    **dict.fromkeys(("GET", "GETS"), _ALL),
    **dict.fromkeys(("GAT", "GATS"), slice(2, None)),
    **dict.fromkeys(("MN", "FLUSH_ALL", "STATS", "VERSION", "VERBOSITY", "QUIT"), slice(0, 0)),
}
"""Where the keys stand among the words of a request; the others have one, the first after the command."""
_META = frozenset(("MG", "MS", "MD", "MA"))
_ENDLESS = frozenset(("WATCH", "LRU_CRAWLER"))
"""Answered with lines that nobody can count."""


class LineFramer(Framer):
    """Lines, some of which say how many bytes of data follow them."""

    def __init__(self, length_at: Mapping[bytes, int], more_follow: frozenset[bytes] = frozenset()) -> None:
        super().__init__()
        self._length_at = length_at
        self._more_follow = more_follow
        self._ends = False
        """The present message is complete once all bytes up to ``_at`` are there."""

    def _scan(self, buffer: bytes) -> bool:
        while not self._ends and self._at < len(buffer):
            if not (0x20 < buffer[self._at] < 0x7F or buffer[self._at] in b"\r\n"):  # noqa: PLR2004  # what ASCII can show
                raise NotUnderstoodError
            end = buffer.find(b"\n", self._at)
            if end < 0:
                if len(buffer) - self._at > LINE_MAX:
                    raise NotUnderstoodError
                return False
            words = buffer[self._at : end].split()
            word = words[0] if words else b""
            at = self._length_at.get(word, len(words))
            # A length that is none is refused by the server, which then waits for no data.
            data = int(words[at]) + len(b"\r\n") if at < len(words) and words[at].isdigit() else 0
            self._at = end + 1 + data
            self._ends = word not in self._more_follow
        complete = self._ends and self._at <= len(buffer)
        self._ends = self._ends and not complete
        return complete


class Requests(LineFramer):
    """What a client sends."""

    def __init__(self) -> None:
        super().__init__(_LENGTH_AT)

    def _read(self, content: bytes) -> Part:
        words = _line(content)
        command = _upper(words[0]) if words else ""
        return Message(content, command, tuple(words[_KEYS.get(command, _FIRST)]))


class Answers(LineFramer):
    """What a server sends; ``questions`` says what has been asked."""

    def __init__(self, questions: Questions) -> None:
        super().__init__(_ANSWER_LENGTH_AT, _MORE_FOLLOW)
        self._questions = questions

    def _read(self, content: bytes) -> Part:
        words = _line(content)
        command = _upper(words[0]) if words else ""
        if command == "MN":
            self._questions.settle("MN")
            return Message(content, command)
        question = self._questions.head
        if question is None:
            return Message(content, command, _own_keys(command, words))
        self._questions.answered()
        return Message(content, question.command, question.keys)


def memcached() -> Conversation:
    """A new connection between a client and a server."""
    questions = Questions()

    def ask(request: Message) -> None:
        words = _line(request.content)
        if request.command in _ENDLESS:
            questions.give_up()
        elif request.command != "QUIT" and words[-1:] != [b"noreply"]:
            quiet = request.command in _META and any(word[:1] == b"q" for word in words[2:])
            questions.ask(Question(request.command, request.keys, quiet=quiet))

    return Conversation(Requests(), Answers(questions), ask)


def _line(content: bytes) -> list[bytes]:
    return content[: content.find(b"\n")].split()


def _own_keys(command: str, words: list[bytes]) -> tuple[bytes, ...]:
    """The key that an answer itself names: after ``VALUE``, or in the flag ``k`` of a meta answer."""
    if command == "VALUE":
        return tuple(words[1:2])
    return tuple(word[1:] for word in words[1:] if word[:1] == b"k")


def _upper(word: bytes) -> str:
    return word.upper().decode(errors="replace")
