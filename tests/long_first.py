"""The order of the tests: what is marked ``long`` starts first.

Else one process would wait at the end for a test that the other began last.
It is a module of its own so that it can be tried without the rest of
`conftest`, which is its user.
"""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what is marked ``long`` in front, and keep the order otherwise.

    Where a process takes whole files, one with such a test is among the
    first, and that test is the first in it.
    """
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
