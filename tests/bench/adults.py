"""Adult, and more people like them.

The scale-up draws rows of Adult with repetition and then redraws each cell
with a chance of one in ten from its column, which makes a long tail of rare
combinations. It is seeded: the same size is the same file.
"""

from pathlib import Path

import numpy as np
import polars as pl

from anonymize import Hierarchy, TableHierarchy

ADULT = Path(__file__).parents[3] / "shared" / "corpus" / "adult"
QUASI = (
    "age", "sex", "race", "marital-status", "education", "native-country",
    "workclass", "occupation",
)  # fmt: skip
SENSITIVE = "salary-class"
ROWS = 30_162
_BATCH = 2_000_000
_SEED = 20260101


def hierarchies() -> dict[str, Hierarchy]:
    """Return ARX's hierarchies of Adult."""
    return {
        name: TableHierarchy.from_file(
            ADULT / f"adult_hierarchy_{name}.csv",
            domain=(17, 90) if name == "age" else None,
        )
        for name in QUASI
    }


def spec_yaml(*, k: int = 5, more: str = "") -> str:
    """Return a specification for files of Adult.

    Args:
        k: least rows in a class.
        more: further lines of the specification.
    """
    columns = "".join(
        f"  {name}: {{role: quasi, hierarchy: {{file: "
        f"{ADULT / f'adult_hierarchy_{name}.csv'}"
        f"{', domain: [17, 90]' if name == 'age' else ''}}}}}\n"
        for name in QUASI
    )
    return (
        f"recipient: bench\nk: {k}\nk_alone: to be measured\n{more}\n"
        f'delimiter: ";"\ncolumns:\n{columns}'
        f"  {SENSITIVE}: {{role: sensitive}}\n"
    )


def write_scaled(path: Path, rows: int) -> None:
    """Write a CSV file of people like those of Adult.

    Args:
        path: the file to make.
        rows: how many.
    """
    source = pl.read_csv(
        ADULT / "adult.csv", separator=";", infer_schema=False
    ).select(*QUASI, SENSITIVE)
    chance = np.random.default_rng(_SEED)
    with path.open("wb") as file:
        for start in range(0, rows, _BATCH):
            size = min(_BATCH, rows - start)
            drawn = chance.integers(0, source.height, size)
            columns = {}
            for name in source.columns:
                again = chance.random(size) < 0.1
                other = chance.integers(0, source.height, size)
                columns[name] = source[name].gather(
                    np.where(again, other, drawn)
                )
            pl.DataFrame(columns).write_csv(
                file, separator=";", include_header=start == 0
            )
