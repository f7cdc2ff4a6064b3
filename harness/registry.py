"""From a name in a plan to the class behind it: built in, ``package.module:Class``, or an installed entry point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoints, entry_points
from typing import Any, Generic, TypeVar

from harness.errors import PlanError, suggestion

T = TypeVar("T")


@dataclass(frozen=True)
class Registry(Generic[T]):
    """The known implementations of one sort of thing.

    Attributes:
        sort: singular noun for messages: ``candidate``, ``workload``, ``fault``, ``checker``.
        builtin: import paths (``module:Class``) by name, so that listing them imports nothing.
    """

    sort: str
    builtin: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """All names: built in first, then those of installed packages."""
        installed = (point.name for point in _installed(f"anachron.{self.sort}s"))
        return (*self.builtin, *sorted(set(installed) - self.builtin.keys()))

    def load(self, name: str) -> T:
        """The class called ``name``; raises ``PlanError`` if there is none."""
        path = self.builtin.get(name) or (name if ":" in name else None)
        if path is None:
            for point in _installed(f"anachron.{self.sort}s").select(name=name):
                loaded: T = point.load()
                return loaded
            raise PlanError(f'there is no {self.sort} "{name}"', fix=suggestion(name, self.names))
        module, _, attribute = path.partition(":")
        try:
            found: Any = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise PlanError(
                f'the {self.sort} "{name}" cannot be loaded', why=str(error), fix="name it package.module:Class"
            ) from None
        return found  # type: ignore[no-any-return]  # a plan's own class is only known by name


@cache
def _installed(group: str) -> EntryPoints:
    """What installed packages offer. Finding it out reads a file of every package, which thousands of small runs would feel."""
    return entry_points(group=group)
