"""By what means an episode was made, where a run has several."""

from __future__ import annotations

from harness.history import Episode

_CLIENT = "client"
"""How links name the side of the clients."""
_TO_CLIENTS = "; proxy to clients"
"""How runtimes say that the links of clients have proxies, after the means of the other links."""


def means_of(episode: Episode) -> str:
    """The means in the links that the episode struck, and no other means that the run has.

    >>> struck = Episode(0, "delay", ("a->b",), ("a", "b"), 0, 1, means="kernel; proxy to clients")
    >>> means_of(struck)
    'kernel'
    """
    among_nodes, both, _ = episode.means.partition(_TO_CLIENTS)
    if not both:
        return episode.means
    found = {"proxy" if _CLIENT in target.split("->") else among_nodes for target in episode.targets}
    return ", ".join(sorted(found))
