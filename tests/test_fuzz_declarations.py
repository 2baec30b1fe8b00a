"""A slice of the fuzzing of P3P and YAML; `make soak` does ten minutes."""

from collections import Counter

import pytest

from tests.bench import fuzz_declarations
from tests.bench.fuzz_declarations import BrokenError, case, fuzz, seeds

# So many cases are tried whatever the machine; the time is only a limit.
PATIENCE = 600.0


def test_nothing_but_an_answer_or_the_one_error_comes_out() -> None:
    """Each kind is read and refused, and nothing crashes or hangs."""
    found = fuzz(1, seconds=PATIENCE, most=2000)
    assert 2000 == found.cases
    assert set(seeds()) == set(found.read)
    assert found.refused.total() > 200
    # More than a handful get past the tokenizer, into the readers.
    assert all(count > 20 for count in found.read.values())


def test_no_case_takes_more_memory_than_it_may() -> None:
    """Bombs among them: entities, aliases, nests, huge attributes."""
    found = fuzz(50_000, seconds=PATIENCE, most=250, weigh=True)
    assert 0 < found.heaviest < fuzz_declarations.HEAVIEST


def test_every_bomb_is_refused_at_once() -> None:
    """Whatever its size, and in bounded memory."""
    texts = seeds()
    tried: Counter[str] = Counter()
    for seed in range(4000):
        kind, text = case(seed, texts)
        if len(text) > 60_000 and kind in {"p3p", "yaml"}:
            found = fuzz(seed, seconds=PATIENCE, most=1)
            tried[kind] += 1
            assert found.slowest < fuzz_declarations.SLOWEST
        if min(tried["p3p"], tried["yaml"]) >= 4:
            break
    assert min(tried["p3p"], tried["yaml"]) >= 4


def test_a_reader_that_breaks_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fuzzer tells the seed of a case that lets another error out."""

    def broken(text: bytes) -> None:
        if b"\x00" in text:
            raise IndexError

    readers = dict.fromkeys(seeds(), broken)
    monkeypatch.setattr(fuzz_declarations, "_READERS", readers)
    with pytest.raises(BrokenError, match=r"seed \d+: IndexError came out"):
        fuzz(1, seconds=PATIENCE, most=2000)
