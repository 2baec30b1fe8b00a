"""The profile: the built-ins that the embedded engine has, by family.

Each passes OPA's own conformance cases. None reads a clock, a network, an
environment or randomness. What is not here is refused by name when a plan is
loaded; nothing is implemented approximately.

Every function takes plain Rego values (`policy.engine.values`), returns one
or undefined, and raises `BuiltinFailed` for operands that it refuses. Its
work is charged to the evaluation that runs (`policy.engine.metering`).
"""

from collections.abc import Callable, Mapping

from policy.engine.builtins.aggregates import AGGREGATES
from policy.engine.builtins.arithmetic import ARITHMETIC
from policy.engine.builtins.composites import COLLECTIONS
from policy.engine.builtins.encoding import ENCODING
from policy.engine.builtins.formatting import FORMATTING
from policy.engine.builtins.globs import GLOBS
from policy.engine.builtins.hashes import HASHES
from policy.engine.builtins.kinds import TYPES
from policy.engine.builtins.networks import NETWORKS
from policy.engine.builtins.patches import PATCHES
from policy.engine.builtins.regex import REGEX
from policy.engine.builtins.schemas import SCHEMAS
from policy.engine.builtins.strings import STRINGS
from policy.engine.builtins.templates import TEMPLATES
from policy.engine.builtins.times import TIME
from policy.engine.builtins.urls import URLS
from policy.engine.builtins.versions import VERSIONS
from policy.engine.builtins.yamls import YAMLS
from policy.engine.values import Value

__all__ = ["PROFILE"]


def _print(_parts: Value) -> Value:
    """Print nothing: a policy's remarks may hold what no log may."""
    return None


PROFILE: Mapping[str, Callable[..., Value]] = {
    **AGGREGATES,
    **ARITHMETIC,
    **COLLECTIONS,
    **ENCODING,
    **FORMATTING,
    **GLOBS,
    **HASHES,
    **NETWORKS,
    **PATCHES,
    **REGEX,
    **SCHEMAS,
    **STRINGS,
    **TEMPLATES,
    **TIME,
    **TYPES,
    **URLS,
    **VERSIONS,
    **YAMLS,
    "internal.print": _print,
}
