"""Translation of a checked plan into Python source.

Each planned function and each entrypoint becomes one Python function with a
local for a local. A block is a `while True` that ends in `break`: failure
inside it is `break`, and inside a scan, which is a `for`, it is `continue`.
A jump over several blocks sets a flag that the blocks on the way test. What
is known of a local at each point (defined or not, its type, its constant
value) is followed through the statements to leave out checks.

`with` renames the document's local and takes a fresh memo, so nothing needs
undoing. Every constant text enters the source through `repr`.

Early exit: a scan whose only lasting effect is to give constants to locals
ends at its first success, as OPA's own evaluator ends it.
"""

from policy.engine.translator.module import Module

__all__ = ["Module"]
