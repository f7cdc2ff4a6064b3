"""What a run makes of a compose file, on what both kinds of the program print of it; nothing is started."""

from __future__ import annotations

import json

import pytest

from harness.errors import UsageError
from harness.runtimes.docker.project import Project

PLUGIN = """\
name: shop
services:
  app:
    build: {context: /home/somebody/shop, dockerfile: Dockerfile}
    command: null
    entrypoint: null
    networks: {back: null, partner: null}
  cache:
    image: redis:7.2
    command: ["redis-server", "--requirepass", "pa$$word"]
    deploy: {resources: {limits: {cpus: 0.5, memory: "67108864"}}, restart_policy: {condition: any}}
    labels: {team: shop}
    networks: {back: {aliases: [store]}}
    ports: [{mode: ingress, target: 6379, published: "6379", protocol: tcp}]
    volumes:
      - {type: volume, source: data, target: /data, volume: {}}
      - {type: bind, source: /home/somebody/shop/redis.conf, target: /redis.conf, read_only: true}
  debug: {image: busybox, profiles: [debug], network_mode: host}
networks:
  back: {name: shop_back, ipam: {config: [{subnet: 10.9.0.0/24}]}}
  partner: {name: partner, external: true}
volumes:
  data: {name: shop_data}
  dumps: {name: dumps, external: true}
secrets:
  key: {name: shop_key, file: /home/somebody/key}
"""

OLD = """\
services:
  cache:
    container_name: the-cache
    cpus: 1.5
    image: redis
    restart: always
    volumes: [data:/data:rw, /etc/hosts:/etc/hosts:ro, /anonymous]
  other: {image: redis}
version: '3.7'
volumes: {data: {}}
"""


def made(project: Project) -> dict:
    """The file of a run."""
    text = project.for_run(
        labels={"ours": "yes"},
        networks={name: f"made-{name}" for name in project.networks},
        addresses=dict.fromkeys(project.nodes, "172.28.1.111"),
        images={name: project.image(name) or "built" for name in project.services},
    )
    return json.loads(text)


def test_what_the_plugin_prints_is_made_the_runs_own():
    """Nothing is published, named, built or restarted; nodes keep an address; networks and volumes are the run's."""
    project = Project.read(PLUGIN, "file", ["cache"])
    file = made(project)
    cache, app = file["services"]["cache"], file["services"]["app"]
    assert not {"ports", "container_name", "build", "profiles"} & (cache.keys() | app.keys())
    assert cache["networks"] == {"back": {"aliases": ["store"], "ipv4_address": "172.28.1.111"}}
    assert cache["labels"] == {"team": "shop", "ours": "yes"}
    assert cache["command"][-1] == "pa$$word"
    assert (cache["restart"], cache["deploy"]) == ("no", {"resources": {"limits": {"memory": "67108864"}}})
    assert (cache["cpu_period"], cache["cpu_quota"]) == (100_000, 50_000)
    assert app["image"] == "built"
    assert file["networks"]["back"] == {"external": True, "name": "made-back"}
    assert file["networks"]["partner"] == {"name": "partner", "external": True}
    assert file["volumes"] == {"data": {"labels": {"ours": "yes"}}, "dumps": {"name": "dumps", "external": True}}
    assert file["secrets"] == {"key": {"file": "/home/somebody/key"}}
    assert project.kept == ("the external network partner", "the external volume dumps", "redis.conf of this machine")


def test_services_run_as_their_profiles_say():
    """One whose profile is off is not looked at; on, its way past the run's networks is refused."""
    assert "debug" not in Project.read(PLUGIN, "file", ["cache"]).services
    with pytest.raises(UsageError, match='the service "debug" has network_mode = "host"'):
        Project.read(PLUGIN, "file", ["cache"], ["debug"])


def test_what_the_old_program_prints_is_understood_too():
    """A file without networks has the default one; short volumes are told apart."""
    project = Project.read(OLD, "file", ["cache"])
    file = made(project)
    assert project.networks == ("default",)
    assert file["services"]["cache"]["networks"] == {"default": {"ipv4_address": "172.28.1.111"}}
    assert file["services"]["other"]["networks"] == {"default": {}}
    assert file["services"]["cache"]["cpu_quota"] == 150_000
    assert "version" not in file
    assert project.kept == ("hosts of this machine",)


@pytest.mark.parametrize(
    ("services", "words"),
    [
        ("{a: {network_mode: none}}", "leads past the networks"),
        ("{a: {}, b: {network_mode: 'container:x'}}", "leads past the networks"),
        ("{a: {networks: {n: {ipv4_address: 10.0.0.2}}}}", "fixed address 10.0.0.2"),
        ("{a: {deploy: {replicas: 2}}}", "is 2 containers"),
        ("{a: {scale: 3}}", "is 3 containers"),
        ("{a: {networks: {n: {}}}, b: {networks: {m: {}}}}", "no network in common"),
        ("{a: {networks: {n: {}, m: {}}}, b: {networks: {n: {}, m: {}}}}", "may pass by on the other"),
        ("{b: {}}", 'no service "a"'),
    ],
)
def test_what_would_make_a_fault_lie_or_leave_the_machine_is_refused(services, words):
    """With the name of the service or network, before anything starts."""
    nodes = ["a", "b"] if "b: {networks" in services else ["a"]
    with pytest.raises(UsageError) as raised:
        Project.read(f"services: {services}", "docker-compose.yml", nodes)
    assert words in f"{raised.value}"
    assert raised.value.where == "docker-compose.yml"
