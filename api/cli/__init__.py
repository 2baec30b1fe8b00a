"""The command line: `curtilage`, for officers and operators.

Until identity lands, officers have this door only. Every command has
``--json``, and ``--help`` with an example.
"""

from api.cli.main import main

__all__ = ["main"]
