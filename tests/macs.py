"""Codes of rows for stores that are tested by themselves."""

from consent import RowMacs


def vouching(tenant: str = "city") -> RowMacs:
    """Return codes that are demanded, under a key of the tests' own."""
    return RowMacs(b"k" * 32, tenant, required=True)
