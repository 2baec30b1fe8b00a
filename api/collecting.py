"""When the process looks for cycles among its objects."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Objects that come before a look for cycles among the young; such looks
# before one among the older; and so on.
_COLLECT = (20_000, 20, 20)


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for cycles rarely, and not among what is loaded for good.

    The thousands of small objects of a batch of answers, or of an extract,
    set off one collection after another, each through all that the process
    holds.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
