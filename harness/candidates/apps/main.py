"""The command line of an application node: ``PROGRAM SETTINGS [ACCESS]``: JSON, and the name of a file with what is secret."""

from __future__ import annotations

import asyncio
import json
import sys
from importlib import import_module

from .access import OPEN, Access
from .server import serve

_PROGRAMS = {
    "cache-aside": ("cache_aside", "CacheAside"),
    "client-side-cache": ("client_side_cache", "ClientSideCache"),
    "invalidation-bus": ("invalidation_bus", "InvalidationBus"),
    "reference": ("reference", "Reference"),
}


def main() -> None:
    """Run the program that the arguments name until it is killed."""
    program, text, *secret = sys.argv[1:]
    name, what = _PROGRAMS[program]
    # Each program needs another library; who runs one need not have the others'.
    try:
        module = import_module(f".{name}", __package__)
    except ModuleNotFoundError as error:
        sys.exit(f"{program} needs the Python package {error.name}: pip install 'anachron[apps]'")
    raw = json.loads(text)
    access = Access.read(secret[0]) if secret else OPEN
    told = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    settings = module.Settings(**told, access=access)
    asyncio.run(serve(getattr(module, what)(settings), *settings.listen, access=access))
