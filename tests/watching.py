"""How tests watch a run: not at all."""

from __future__ import annotations

from harness.history import Episode


class Silent:
    """A watcher that says nothing."""

    def stage(self, words: str) -> None:
        pass

    def counts(self, elapsed_ns: int, duration_ns: int, ok: int, fail: int, info: int) -> None:
        pass

    def episode(self, episode: Episode) -> None:
        pass
