"""RESP2 and RESP3: requests, replies, deliveries, pushes, and the stream from a primary to its replica.

Replies are called like the requests they answer, in the order in which the server got them. Beside them, with names of their own:

* deliveries of publish and subscribe: ``MESSAGE``, ``PMESSAGE``, ``SMESSAGE`` (the key is the channel);
* RESP3 pushes: by their first word. An invalidation is ``INVALIDATE`` with the keys that it names, in RESP2 too, where it is a
  message of the channel ``__redis__:invalidate``; without keys it means all of them;
* the replication stream: after ``+FULLRESYNC``, the snapshot (of a known length, or up to its end mark) goes through untouched;
  behind it, and after ``+CONTINUE``, come commands, named like requests.
"""

from __future__ import annotations

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

_ALL = slice(1, None)
_FIRST = slice(1, 2)
_SECOND = slice(2, 3)
_NO_KEYS = slice(0, 0)
_KEYS = {
    **dict.fromkeys(("DEL", "UNLINK", "MGET", "EXISTS", "TOUCH", "WATCH", "PFCOUNT", "SINTER", "SUNION", "SDIFF"), _ALL),
    **dict.fromkeys(("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"), _ALL),
    **dict.fromkeys(("MSET", "MSETNX"), slice(1, None, 2)),
    **dict.fromkeys(("RENAME", "RENAMENX", "COPY", "SMOVE", "LMOVE"), slice(1, 3)),
    **dict.fromkeys(("OBJECT", "MEMORY", "BITOP", "XGROUP", "XINFO"), _SECOND),
    **dict.fromkeys(("PING", "ECHO", "HELLO", "AUTH", "CLIENT", "CONFIG", "INFO", "SELECT", "ROLE", "RESET"), _NO_KEYS),
    **dict.fromkeys(("MULTI", "EXEC", "DISCARD", "REPLCONF", "PSYNC", "SYNC", "WAIT", "TIME", "DBSIZE"), _NO_KEYS),
    **dict.fromkeys(("FLUSHALL", "FLUSHDB", "SWAPDB", "SCAN", "KEYS", "CLUSTER", "READONLY", "SCRIPT", "FUNCTION"), _NO_KEYS),
    **dict.fromkeys(("COMMAND", "DEBUG", "PUBSUB"), _NO_KEYS),
}
"""Where the keys stand among the words of a command; the others have one, the first after the command."""
_SCRIPTS = frozenset(("EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"))
_WORDS_MAX = 1024

_CONFIRMED = frozenset(("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"))
_DELIVERED = frozenset(("MESSAGE", "PMESSAGE", "SMESSAGE"))
_INVALIDATIONS = b"__redis__:invalidate"

_NEWLINE = ord("\n")
_BULK = ord("$")
_ARRAY = ord("*")
_PUSH = ord(">")
_MARK_LENGTH = 40
_LISTS = b"*>"
_SORTS = b"$=!*~>%|+-:_,#("
_TYPED = bytes(range(0x20, 0x7F)) + b"\t\r\n"
"""How a line that somebody typed may begin."""


class RespFramer(Framer):
    """Knows where a message of RESP ends. To know that, it is enough to count the elements that are still owed."""

    def __init__(self) -> None:
        super().__init__()
        self._owed: int | None = None
        """None before the first byte of a message; 0 once only the rest of its last element is missing."""

    def _scan(self, buffer: bytes) -> bool:
        at, size = self._at, len(buffer)
        owed = 1 if self._owed is None else self._owed
        while owed and at < size:
            sort = buffer[at]
            if sort not in _SORTS:  # before its line is waited for: what is no message must not be kept back
                raise NotUnderstoodError
            end = buffer.find(b"\r\n", at)
            if end < 0:
                if size - at > LINE_MAX:
                    raise NotUnderstoodError
                break
            if sort in b"$=!":
                length = int(buffer[at + 1 : end])
                at, owed = end + 2 + (length + 2 if length >= 0 else 0), owed - 1
            elif sort in b"*~>":
                at, owed = end + 2, owed - 1 + max(0, int(buffer[at + 1 : end]))
            elif sort in b"%":
                at, owed = end + 2, owed - 1 + 2 * max(0, int(buffer[at + 1 : end]))
            elif sort in b"|":  # attributes stand before the value that they describe
                at, owed = end + 2, owed + 2 * max(0, int(buffer[at + 1 : end]))
            else:
                at, owed = end + 2, owed - 1
        complete = not owed and at <= size
        self._at, self._owed = at, None if complete else owed
        return complete

    @property
    def _between(self) -> bool:
        """Whether what comes next is a new message."""
        return self._owed is None and not self._through


class Requests(RespFramer):
    """What a client sends: arrays of strings, and lines as people type them."""

    def _scan(self, buffer: bytes) -> bool:
        if not self._between or buffer[self._at] == _ARRAY:
            return super()._scan(buffer)
        if buffer[self._at] not in _TYPED:
            raise NotUnderstoodError
        end = buffer.find(b"\n", self._at)
        if end < 0:
            if len(buffer) - self._at > LINE_MAX:
                raise NotUnderstoodError
            return False
        self._at = end + 1
        return True

    def _read(self, content: bytes) -> Part:
        return _command(content)


class Answers(RespFramer):
    """What a server sends; ``questions`` says what has been asked."""

    def __init__(self, questions: Questions) -> None:
        super().__init__()
        self._questions = questions
        self._subscribed = False
        self._snapshot = False
        """A snapshot comes next."""
        self._mark = b""
        """What the present snapshot ends with."""
        self._commands = False
        """It is the command stream of replication."""

    def _scan(self, buffer: bytes) -> bool:
        if self._mark:
            return self._seek_mark(buffer)
        if self._between and buffer[self._at] == _NEWLINE:  # a primary that prepares a snapshot says that it lives
            self._at += 1
            return True
        if self._between and self._snapshot and buffer[self._at] == _BULK:
            return self._open_snapshot(buffer)
        return super()._scan(buffer)

    def _open_snapshot(self, buffer: bytes) -> bool:
        end = buffer.find(b"\r\n", self._at)
        if end < 0:
            return False
        header = buffer[self._at + 1 : end]
        self._snapshot, self._commands, self._through = False, True, True
        self._at = end + 2
        if header.startswith(b"EOF:") and len(header) == len("EOF:") + _MARK_LENGTH:
            self._mark = header[len("EOF:") :]
            return self._seek_mark(buffer)
        self._at += int(header)
        self._owed = 0
        return super()._scan(buffer)

    def _seek_mark(self, buffer: bytes) -> bool:
        found = buffer.find(self._mark, self._at)
        if found < 0:
            self._at = max(self._at, len(buffer) - _MARK_LENGTH + 1)
            return False
        self._at, self._mark = found + _MARK_LENGTH, b""
        return True

    def _read(self, content: bytes) -> Part:
        sort = content[0]
        if sort == _NEWLINE:
            return content
        if self._commands:
            return _command(content)
        if sort == _PUSH:
            return self._delivery(content)
        question = self._questions.head
        if sort == _ARRAY and question and question.command in _CONFIRMED:
            self._subscribed = True
            return self._delivery(content)
        if sort == _ARRAY and self._subscribed and _upper(next(iter(_words(content, 1)), b"")) in _DELIVERED | _CONFIRMED:
            return self._delivery(content)
        if question is None:
            return Message(content)
        self._questions.answered()
        if question.command == "PSYNC" and content.startswith((b"+FULLRESYNC", b"+CONTINUE")):
            self._snapshot = content.startswith(b"+F")
            self._commands = not self._snapshot
            self._questions.give_up()  # the replica's acknowledgements have no answer
        return Message(content, question.command, question.keys)

    def _delivery(self, content: bytes) -> Message:
        """What nobody asked for just now: named by itself."""
        name, *rest = _words(content) or [b""]
        command = _upper(name)
        question = self._questions.head
        if question and question.command == command and command in _CONFIRMED:
            self._questions.answered()
        if command == "INVALIDATE":
            return Message(content, command, tuple(rest))
        if command == "MESSAGE" and rest and rest[0] == _INVALIDATIONS:
            return Message(content, "INVALIDATE", tuple(rest[1:]))
        return Message(content, command, tuple(rest[1:2] if command == "PMESSAGE" else rest[:1]))


def resp() -> Conversation:
    """A new connection between a client, or a replica, and a server."""
    questions = Questions()

    def ask(request: Message) -> None:
        command = request.command
        if command == "MONITOR" or (command == "CLIENT" and b"REPLY" in map(bytes.upper, _words(request.content, 2))):
            questions.give_up()
        else:
            answers = max(1, len(request.keys)) if command in _CONFIRMED else 1
            questions.ask(Question(command, request.keys, answers))

    return Conversation(Requests(), Answers(questions), ask)


def _command(content: bytes) -> Part:
    """A request, or a command of the replication stream; what is none has no answer either, like an empty line."""
    words = _words(content, 2)
    if not words:
        return content
    command = _upper(words[0])
    if command in _SCRIPTS:
        words = _words(content)
        number = int(words[2]) if len(words) > 2 and words[2].isdigit() else 0  # noqa: PLR2004  # command, script, number
        return Message(content, command, tuple(words[3 : 3 + number]))
    where = _KEYS.get(command)
    if where is not None:
        words = _words(content)
    return Message(content, command, tuple(words[where or _FIRST]))


def _words(content: bytes, most: int = _WORDS_MAX) -> list[bytes]:
    """The strings in a message, whatever lists they are in; the words of a line that somebody typed."""
    if content[0] in _TYPED and content[0] not in _LISTS:
        return content.split()[:most]
    found: list[bytes] = []
    at = 0
    while len(found) < most and (end := content.find(b"\r\n", at)) >= 0:
        length = int(content[at + 1 : end]) if content[at] == _BULK else -1
        at = end + 2
        if length >= 0:
            found.append(content[at : at + length])
            at += length + 2
    return found


def _upper(word: bytes) -> str:
    return word.upper().decode(errors="replace")
