"""Set labels say what occurs in a class, and no more."""

import numpy as np

from anonymize import Intervals, flat
from anonymize.cube import make_cube
from anonymize.sets import set_labels


def test_labels_are_bounds_and_sets() -> None:
    """A missing value among others makes both labels say nothing."""
    numbers = ["0", "3", "7", "0", "7", "5", ""]
    letters = ["a", "b", "a", "c", "b", "d", ""]
    cube = make_cube(
        {
            "x": (numbers, Intervals(low=0, high=9, widths=(5,))),
            "y": (letters, flat([*"abcd"], where="y")),
        },
        {},
        len(numbers),
    )
    member = np.zeros(len(cube.weights), dtype=np.int64)
    member[cube.tuples] = [0, 0, 0, 1, 1, 2, 1]
    mixed = set_labels(cube, member)
    member[cube.tuples] = [0, 0, 0, 1, 1, 2, 3]
    alone = set_labels(cube, member)

    assert ["0-7", "*", "5"] == mixed["x"].cells()
    assert ["{a|b}", "*", "d"] == mixed["y"].cells()
    assert ["0-7", "0-7", "5", ""] == alone["x"].cells()
    assert ["{a|b}", "{b|c}", "d", ""] == alone["y"].cells()
