"""What a schedule does to single messages on the way from one place to another, and what it calls them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.reference.messages import Delivery, Publish

Act = Literal["lose", "hold", "double"]


@dataclass(eq=False, slots=True)
class Rule:
    """The next ``left`` messages of a kind are lost, held, or arrive twice.

    Attributes:
        kind: the class name of the message, request or event: ``Invalidate``.
        act: what is done to them.
        left: how many more it strikes.
        held: what it holds, to be sent on in this order; whoever sends knows what that is.
    """

    kind: str
    act: Act
    left: int
    held: list[Any] = field(default_factory=list)


def striking(rules: Iterable[Rule], kind: str) -> Rule | None:
    """The first rule that strikes a message of this kind, which is then counted; None if none does."""
    for rule in rules:
        if rule.left and rule.kind == kind:
            rule.left -= 1
            return rule
    return None


def kind_of(message: Any) -> str:
    """What a schedule calls a message: an event by its own name, wherever the bus carries it."""
    if isinstance(message, Delivery | Publish):
        message = message.event
    return type(message).__name__


def kind_of_reply(request: Any) -> str:
    """What a schedule calls the reply to a request."""
    return f"{type(request).__name__}Reply"
