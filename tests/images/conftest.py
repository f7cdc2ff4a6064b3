"""The engine for tests that need one, and the base that quick builds stand on."""

from __future__ import annotations

import pytest

from harness.errors import UnsupportedError
from harness.images.base import find_base
from harness.images.engine import connect


@pytest.fixture
def engine():
    try:
        client = connect(timeout_s=60)
    except UnsupportedError as error:
        pytest.skip(str(error))
    yield client
    client.close()


@pytest.fixture
def base(engine):
    return find_base(engine, print)
