"""Measurements of the product, written to ``var/bench`` as JSON.

``python -m tests.bench`` runs every module ``bench_<name>.py`` here, or
``soak_<name>.py`` with ``--soak``. Such a module offers two names::

    NEEDS = {False: Needs(bytes=..., seconds=...), True: Needs(...)}

    def measure(*, full: bool, folder: Path) -> dict[str, object]: ...

``NEEDS`` and ``measure`` speak of the quick sizes, or of the full ones. What
``measure`` returns is written to ``var/bench/<name>.json`` with the date, the
commit and the machine; ``folder`` is empty, its own, and removed afterwards.
"""
