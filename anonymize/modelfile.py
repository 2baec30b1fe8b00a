"""Privacy models in a specification file.

::

    models:
      - {model: entropy-l, column: income, l: 1.5}
      - {model: recursive-l, column: income, l: 2, c: 3}
      - {model: t-closeness, column: income, t: 0.2, reference: input}
      - {model: t-closeness, column: grade, t: 0.2, distance: ordered,
         order: [low, middle, high]}
      - {model: t-closeness, column: illness, t: 0.2,
         distance: hierarchical, hierarchy: {file: illness.csv}}
      - {model: alpha-k, column: illness, alpha: 0.5, values: [hiv]}
      - {model: beta-likeness, column: illness, beta: 2, enhanced: true}
      - {model: k-map, k: 10}
      - {model: delta-presence, low: 0, high: 0.5}
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from anonymize.errors import InvalidSpec
from anonymize.hierarchies import TableHierarchy
from anonymize.models import (
    Ceiling,
    Closeness,
    Distance,
    EntropyDiversity,
    Likeness,
    Model,
    PopulationMap,
    Presence,
    RecursiveDiversity,
    Reference,
)


def read_model(value: object, folder: Path) -> Model:
    """Read one model.

    Args:
        value: what the file has for it; scalars are text.
        folder: where hierarchy files are looked up.

    Raises:
        InvalidSpec: it is no model.
        InvalidHierarchy: its hierarchy is malformed.
    """
    if not isinstance(value, Mapping):
        msg = "models: each is a mapping with a model and its column"
        raise InvalidSpec(msg)
    fields = _Fields(value)
    name = fields.text("model")
    if name not in _READERS:
        msg = f"models: model is one of {', '.join(_READERS)}"
        raise InvalidSpec(msg)
    model = _READERS[name](fields, folder)
    fields.refuse_rest(name)
    return model


class _Fields:
    """The fields of one model, which are taken one by one."""

    def __init__(self, given: Mapping[object, object]) -> None:
        self._given = {str(key): value for key, value in given.items()}

    def _take(self, key: str, default: object = None) -> object:
        found = self._given.pop(key, default)
        if found is None:
            msg = f"models: {key} is missing"
            raise InvalidSpec(msg)
        return found

    def text(self, key: str, default: str | None = None) -> str:
        found = self._take(key, default)
        if not isinstance(found, str):
            msg = f"models: {key} is a text"
            raise InvalidSpec(msg)
        return found

    def number(self, key: str, default: str | None = None) -> float:
        try:
            return float(self.text(key, default))
        except ValueError:
            msg = f"models: {key} is a number"
            raise InvalidSpec(msg) from None

    def whole(self, key: str) -> int:
        try:
            return int(self.text(key))
        except ValueError:
            msg = f"models: {key} is a whole number"
            raise InvalidSpec(msg) from None

    def truth(self, key: str) -> bool:
        found = self.text(key, "false")
        if found not in {"true", "false"}:
            msg = f"models: {key} is true or false"
            raise InvalidSpec(msg)
        return found == "true"

    def texts(self, key: str) -> tuple[str, ...]:
        found = self._take(key, [])
        if not isinstance(found, list) or not all(
            isinstance(each, str) for each in found
        ):
            msg = f"models: {key} is a list of texts"
            raise InvalidSpec(msg)
        return tuple(found)

    def tree(self, key: str, folder: Path) -> TableHierarchy | None:
        if key not in self._given:
            return None
        found = self._take(key)
        if not isinstance(found, Mapping) or [*found] != ["file"]:
            msg = f"models: {key} names a file"
            raise InvalidSpec(msg)
        return TableHierarchy.from_file(folder / str(found["file"]))

    def refuse_rest(self, model: str) -> None:
        if self._given:
            unknown = ", ".join(sorted(self._given))
            msg = f"models: {model} has no {unknown}"
            raise InvalidSpec(msg)


def _reference(fields: _Fields) -> Reference:
    try:
        return Reference(fields.text("reference", "input"))
    except ValueError:
        msg = "models: the reference is input or published"
        raise InvalidSpec(msg) from None


def _distance(fields: _Fields) -> Distance:
    try:
        return Distance(fields.text("distance", "equal"))
    except ValueError:
        msg = f"models: the distance is one of {', '.join(Distance)}"
        raise InvalidSpec(msg) from None


def _closeness(fields: _Fields, folder: Path) -> Closeness:
    return Closeness(
        column=fields.text("column"),
        t=fields.number("t"),
        distance=_distance(fields),
        reference=_reference(fields),
        order=fields.texts("order"),
        hierarchy=fields.tree("hierarchy", folder),
    )


_READERS: Mapping[str, Callable[[_Fields, Path], Model]] = {
    "entropy-l": lambda fields, _: EntropyDiversity(
        column=fields.text("column"), l=fields.number("l")
    ),
    "recursive-l": lambda fields, _: RecursiveDiversity(
        column=fields.text("column"),
        l=fields.whole("l"),
        c=fields.number("c"),
    ),
    "t-closeness": _closeness,
    "alpha-k": lambda fields, _: Ceiling(
        column=fields.text("column"),
        alpha=fields.number("alpha"),
        values=fields.texts("values"),
    ),
    "beta-likeness": lambda fields, _: Likeness(
        column=fields.text("column"),
        beta=fields.number("beta"),
        enhanced=fields.truth("enhanced"),
        reference=_reference(fields),
    ),
    "k-map": lambda fields, _: PopulationMap(k=fields.whole("k")),
    "delta-presence": lambda fields, _: Presence(
        low=fields.number("low", "0"), high=fields.number("high")
    ),
}
