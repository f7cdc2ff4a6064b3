"""Removing what is left while somebody else removes it, too."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from docker.errors import APIError, NotFound

from harness.errors import HarnessError
from harness.runtimes.docker import labels
from harness.runtimes.docker.labels import Kind, Resource

BUSY = APIError("409 Client Error", explanation="removal of container c is already in progress")


def removing(*answers):
    """A client whose engine answers one attempt after the other, the last answer for ever; and how often it was asked."""
    asked = []

    def remove_container(*_, **__):
        answer = answers[min(len(asked), len(answers) - 1)]
        asked.append(answer)
        if answer is not None:
            raise answer

    return SimpleNamespace(api=SimpleNamespace(remove_container=remove_container)), asked


CONTAINER = Resource("c", "anachron-1", "run", None, kind=Kind.CONTAINER, made_s=0.0, running=False, agent=False)


def test_a_removal_that_has_begun_is_waited_for():
    """The engine says that it is at it, until the container is not there any more."""
    client, asked = removing(*[BUSY] * 8, NotFound("no such container"))
    assert labels._remove(client, [CONTAINER]) == [str(CONTAINER)]
    assert len(asked) == 9


def test_a_removal_that_never_ends_is_told(monkeypatch):
    """With what the engine says, and what to do."""
    monkeypatch.setattr(labels, "_GONE_WITHIN_S", 0.2)
    client, _ = removing(BUSY)
    with pytest.raises(HarnessError, match="cannot be removed") as told:
        labels._remove(client, [CONTAINER])
    assert "already in progress" in told.value.why


def test_what_the_engine_refuses_is_told_after_some_attempts():
    """It is not asked for ever."""
    client, asked = removing(APIError("500 Server Error", explanation="driver failed"))
    with pytest.raises(HarnessError, match="cannot be removed"):
        labels._remove(client, [CONTAINER])
    assert len(asked) == labels._ATTEMPTS
