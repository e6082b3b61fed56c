"""A pytest fixture; in your ``conftest.py``: ``pytest_plugins = ["gnomon.pytest_plugin"]``."""

from collections.abc import Iterator

import pytest

from gnomon.testing import Captured, capture


@pytest.fixture
def gnomon_captured() -> Iterator[Captured]:
    """Record everything of this test into a list, with a fixed clock and fixed ids, and without network."""
    with capture(fixed=True) as captured:
        yield captured
