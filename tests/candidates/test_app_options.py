"""The candidates made of application nodes: their topologies, and what a plan may ask of them."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import pytest

from harness.candidates import CANDIDATES
from harness.candidates.app_nodes import BUNDLE, bundled
from harness.errors import PlanError
from harness.plan import CandidateSpec
from harness.topology import Link

KINDS = {"cache-aside": ("cache", "db"), "invalidation-bus": ("bus", "origin"), "client-side-cache": ("server",)}


def candidate(kind: str, **options: object):
    return CANDIDATES.load(kind)(CandidateSpec.model_validate({"kind": kind, **options}))


@pytest.mark.parametrize(("kind", "behind"), KINDS.items())
def test_clients_know_the_applications_alone(kind, behind):
    """Every application is linked to every server behind it; clients write to and read from applications."""
    topology = candidate(kind, apps=3).topology
    assert [node.name for node in topology.nodes] == ["app-1", "app-2", "app-3", *behind]
    assert [node.index for node in topology.nodes] == list(range(3 + len(behind)))
    assert topology.writable == topology.readable == (0, 1, 2)
    assert set(topology.links) == {
        *(Link(f"app-{n}", name) for n in (1, 2, 3) for name in behind),
        *(Link("client", f"app-{n}") for n in (1, 2, 3)),
    }


def test_nodes_have_the_ports_and_protocols_of_their_servers():
    """Faults and runtimes look there."""
    nodes = {node.name: node for node in candidate("cache-aside", cache="memcached").topology.nodes}
    assert (nodes["cache"].protocol, nodes["cache"].port) == ("memcached", 11_211)
    assert (nodes["db"].protocol, nodes["db"].port, nodes["db"].role) == ("sql", 5_432, "origin")
    assert candidate("cache-aside").topology.named("cache")[0].protocol == "resp"
    assert candidate("invalidation-bus", source="postgres").topology.named("origin")[0].protocol == "sql"
    assert candidate("client-side-cache", writers=1).topology.writable == (0,)


@pytest.mark.parametrize(
    ("kind", "options", "what"),
    [
        ("cache-aside", {"apps": 0}, "greater than or equal to 1"),
        ("cache-aside", {"cache": "keydb"}, "'keydb' is not possible here"),
        ("cache-aside", {"strategy": "delete"}, "'delete' is not possible here"),
        ("cache-aside", {"cache": "memcached", "ttl": "1500ms"}, "whole seconds"),
        ("cache-aside", {"ttl": "1us"}, "at least 1ms"),
        ("cache-aside", {"ttl": "30"}, "is no duration"),
        ("cache-aside", {"fill_pause": "10ms"}, "both or neither"),
        ("cache-aside", {"fill_pause_share": 0.5}, "both or neither"),
        ("cache-aside", {"images": {"proxy": "x"}}, 'unknown key "proxy"'),
        ("invalidation-bus", {"reconnect": "maybe"}, "'maybe' is not possible here"),
        ("invalidation-bus", {"timeout": "0ms"}, "greater than or equal to"),
        ("client-side-cache", {"threads": 0}, "greater than or equal to 1"),
        ("client-side-cache", {"writers": 0}, "greater than or equal to 1"),
        ("client-side-cache", {"apps": 2, "writers": 3}, "there are 2"),
    ],
)
def test_wrong_options_are_refused(kind, options, what):
    """A plan with an option that is not there, or a value that cannot be, is no plan."""
    with pytest.raises(PlanError, match=what):
        candidate(kind, **options)


def test_the_bundle_is_the_same_bytes_each_time_and_needs_nothing_of_ours(tmp_path):
    """It has every program, and runs where Anachron is not installed; a program that is not there is named."""
    assert bundled({}) == bundled({})
    names = zipfile.ZipFile(io.BytesIO(bundled({}))).namelist()
    assert {"__main__.py", "apps/cache_aside.py", "apps/invalidation_bus.py", "apps/client_side_cache.py"} <= set(names)
    (tmp_path / BUNDLE).write_bytes(bundled({}))
    ended = subprocess.run(
        [sys.executable, "-I", "-S", BUNDLE, "client-side-cache", "{}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == "client-side-cache needs the Python package redis: pip install 'anachron[apps]'\n"
