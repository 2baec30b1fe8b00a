"""The HTTP doors, one module a kind of caller."""
