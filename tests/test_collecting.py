"""Looks for cycles are rare while much is made, and usual afterwards."""

import gc

import pytest

from api.cli.release import _stages
from api.collecting import few_collections


def test_collections_are_as_before_afterwards() -> None:
    """What is loaded is left alone meanwhile, also where the work fails."""
    before = gc.get_threshold()

    def work() -> None:
        with few_collections():
            assert gc.get_freeze_count() > 0
            assert gc.get_threshold()[0] > before[0]
            raise LookupError

    with pytest.raises(LookupError):
        work()

    assert before == gc.get_threshold()
    assert 0 == gc.get_freeze_count()


def test_a_bar_advances_by_what_was_done_since() -> None:
    """Each stage counts from its beginning, however rarely it tells."""
    steps: list[int] = []
    tell = _stages(steps.append)

    for stage, done in [
        ("cohort", 500),
        ("cohort", 700),
        ("rows", 500),
        ("rows", 600),
        ("classes", 0),
        ("classes", 600),
        ("classes", 0),
    ]:
        tell(stage, done, 0)

    assert [500, 200, 500, 100, 0, 600, 0] == steps
