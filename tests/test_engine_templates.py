"""`strings.render_template`: generated templates, and what bounds it.

The table of edges is compared with OPA in `test_engine_builtins.py`.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.engine import (
    BudgetExceeded,
    BuiltinFailed,
    DeadlineExceeded,
    EngineError,
    Limits,
    Machine,
    translated,
)
from policy.engine.errors import OutsideProfile
from policy.engine.metering import Budget
from policy.engine.values import Raw, Set
from tests.engines import (
    Engines,
    both,
    charged,
    compiled,
    exactly,
    write_policy,
)
from tests.templates import OTHERS, TEMPLATES, VARIABLES, Chance


def budget(*, steps: int = 300_000, seconds: float = 120.0) -> Budget:
    """Make a budget of its own."""
    return Budget(
        steps=steps,
        deadline=time.monotonic() + seconds,
        clock=time.monotonic,
    )


def rendered(template: str, variables: Any = None) -> Any:  # noqa: ANN401 - a value
    """Fill a template in."""
    of = VARIABLES if variables is None else variables
    return charged(budget(), "strings.render_template", template, of)


def outcome(template: str, variables: Any) -> Any:  # noqa: ANN401 - as above
    """Say what the engine makes of a template, or why it makes nothing."""
    try:
        return [rendered(template, variables)]
    except BuiltinFailed:
        return []
    except (OutsideProfile, BudgetExceeded) as error:
        return type(error)


@pytest.fixture(scope="module")
def engines(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engines]:
    """A policy that fills in what it is given, on both engines."""
    rule = (
        "package p\n\nx := [[v | v := f(i)] | some i in input.items]\n\n"
        "f(i) := strings.render_template(i[0], i[1])\n"
    )
    source = write_policy(
        tmp_path_factory.mktemp("templates"), {"p.rego": rule}
    )
    with both(opa_binary, source, ("p/x",)) as running:
        yield running


def compare(engines: Engines, items: list[list[Any]]) -> Counter[str]:
    """Fill templates in on both engines, and count what came of them."""
    found: Counter[str] = Counter()
    for at in range(0, len(items), 200):
        part = items[at : at + 200]
        said = engines.asked_server("p/x", {"items": part})
        assert isinstance(said, list)
        for (template, variables), wanted in zip(part, said, strict=True):
            got = outcome(template, variables)
            if isinstance(got, type):
                found["unanswered"] += 1
                continue
            assert exactly(wanted) == exactly(got), template
            found["answered" if got else "refused"] += 1
    return found


@pytest.mark.opa
def test_generated_templates_give_what_opa_gives(engines: Engines) -> None:
    """Each is filled in as OPA does, or refused by both."""
    makers = [Chance(seed) for seed in range(1200)]
    items = [
        [maker.template(), OTHERS[0 if n % 3 else n % len(OTHERS)]]
        for n, maker in enumerate(makers)
    ]
    found = compare(engines, items)
    assert found["answered"] > 250
    assert found["refused"] > 250
    assert found["unanswered"] < 12


@pytest.mark.opa
def test_generated_formats_give_what_opa_gives(engines: Engines) -> None:
    """Every verb shows every type of value as Go does."""
    items = [[Chance(seed).formatted(), VARIABLES] for seed in range(800)]
    found = compare(engines, items)
    assert found["answered"] > 700
    assert found["refused"] == 0
    assert found["unanswered"] < 40


@pytest.mark.opa
def test_tries_differ_from_those_of_the_table() -> None:
    """The generators make what no table lists."""
    made = {Chance(seed).template() for seed in range(1200)}
    assert len(made - set(TEMPLATES)) > 1000


CHARACTERS = st.sampled_from(
    [
        *"{}-.$|() \"`'\\=:,0a\n/*_i+ex1é²\x00\ud7ff\U0001f600",
        *("{{", "}}", "{{end}}", "{{else}}", "{{range .}}", "{{if "),
        *("{{with ", "{{define ", "{{block ", "{{template ", '"t"', "$x"),
        *(":=", "printf", "index", "%d"),
    ]
)


@given(parts=st.lists(CHARACTERS, max_size=30))
def test_any_text_is_filled_in_or_is_an_error_of_the_engine(
    parts: list[str],
) -> None:
    """No template, however malformed, ends in anything else."""
    try:
        assert type(rendered("".join(parts))) is str
    except EngineError:
        return


@given(
    text=st.text(),
    variables=st.dictionaries(st.text(max_size=3), st.text(), max_size=3),
)
def test_text_without_actions_stays_as_it_is(
    text: str, variables: dict[str, str]
) -> None:
    """What stands outside of delimiters is kept, but for Go's no value."""
    plain = text.replace("{{", "{")
    try:
        made = rendered(plain, variables)
    except (BuiltinFailed, OutsideProfile):  # variables that JSON has not
        made = rendered(plain, {})
    assert made == plain.replace("<no value>", "<undefined>")


UNANSWERED = (
    "{{1i}}",
    "{{1+2i}}",
    '{{"\\xff"}}',
    "{{slice .s 0 2}}",
    "{{slice .b 0 4}}",
    '{{printf "%p" .c}}',
    '{{printf "%x" 1.5}}',
    "{{\U0003fffd}}",
    '{{js "\U0003fffd"}}',
)


@pytest.mark.parametrize("template", UNANSWERED)
def test_what_is_not_done_as_opa_does_it_has_no_answer(template: str) -> None:
    """Nothing is approximated, and nothing taken for undefined."""
    with pytest.raises(OutsideProfile):
        rendered(template)


def test_variables_that_json_has_not_are_refused() -> None:
    """OPA reads variables as JSON: no sets, no keys but strings, no bytes."""
    for variables in (
        {"a": Set()},
        {"a": [Set({1: 1})]},
        {1: "a"},
        {"a": Raw("\udcff")},
        {Raw("\udcff"): "a"},
    ):
        with pytest.raises(BuiltinFailed):
            rendered("{{.a}}", variables)


# What 300,000 steps do not do; each would do if one charge were not made.
SPENT: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "words that say nothing": ("{{end}}" + "{{1}}" * 200_000, {}),
    "words that are not used": (
        f"{{{{if 0}}}}{'{{1}}' * 100_000}{{{{end}}}}",
        {},
    ),
    "variables looked for while it is read": (
        "{{$a := 1}}" * 3_000 + f"{{{{if 0}}}}{'{{$}}' * 10_000}{{{{end}}}}",
        {},
    ),
    "variables looked for in a loop": (
        "{{$a := 1}}" * 5_000 + "{{range 5000}}{{$}}{{end}}",
        {},
    ),
    "many variables given": ("", {str(n): "" for n in range(400_000)}),
    "a large value, shown": ("{{.x}}", {"x": list(range(140_000))}),
    "a large value, shown often": (
        "{{range 20000}}{{$a := print $.x}}{{end}}",
        {"x": [list(range(200))]},
    ),
    "a large table, sorted often": (
        "{{range 1000}}{{range $}}{{break}}{{end}}{{end}}",
        {str(n): n for n in range(2_000)},
    ),
    "a long string, read often": (
        "{{range 20000}}{{$n := len $.s}}{{end}}",
        {"s": "é" * 500_000},
    ),
    "many operands": (
        f"{{{{range 200}}}}{{{{$x := and{' 1' * 2_000}}}}}{{{{end}}}}",
        {},
    ),
    "many fields": (
        f"{{{{range 200}}}}{{{{$x := $.z{'.z' * 2_000}}}}}{{{{end}}}}",
        {},
    ),
    "many verbs": (f'{{{{printf "{"%%" * 400_000}"}}}}', {}),
    "an endless loop": ("{{range 9000000000000000000}}{{end}}", {}),
    "templates that each include two": (
        "".join(
            f'{{{{define "{n - 1}"}}}}'
            + f'{{{{template "{n}"}}}}' * 2
            + "{{end}}"
            for n in range(1, 41)
        )
        + '{{define "40"}}{{end}}{{template "0"}}',
        {},
    ),
}


@pytest.mark.parametrize("name", SPENT)
def test_work_is_charged_to_the_budget(name: str) -> None:
    """Whatever takes long in a template takes steps."""
    template, variables = SPENT[name]
    with pytest.raises(BudgetExceeded):
        charged(budget(), "strings.render_template", template, variables)


def slices(count: int) -> Budget:
    """Make a budget whose deadline comes after so many slices of steps."""
    now = iter(range(1_000_000))
    return Budget(
        steps=10**12, deadline=float(count), clock=lambda: float(next(now))
    )


def doubled(times: int) -> list[Any]:
    """Make a value that names each of its parts twice."""
    value: list[Any] = []
    for _ in range(times):
        value = [value, value]
    return value


LIMITED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "a long template": (f"{{{{/*{'x' * (1 << 20)}*/}}}}", {}),
    "a long text": ("{{range 100000}}{{$.s}}{{end}}", {"s": "x" * 1_000}),
    "a long text, once what is undefined is named": (
        "<no value>" * 104_000,
        {},
    ),
    "a width for each element": (
        '{{$x := printf "%9999v" .x}}',
        {"x": [1] * 100_000},
    ),
    "a text that doubles": (
        '{{$s := "ab"}}{{range 60}}{{$s = print $s $s}}{{end}}{{len $s}}',
        {},
    ),
    "a string that grows as HTML": ("{{$x := html .s}}", {"s": "<" * 500_000}),
    "a string that grows as a script": (
        "{{$x := js .s}}",
        {"s": "<" * 500_000},
    ),
    "a string that grows in a query": (
        "{{$x := urlquery .s}}",
        {"s": "<" * 500_000},
    ),
    "more values than there are objects": ("", {"x": doubled(40)}),
    "deep parentheses": (f"{{{{{'(' * 60}1{')' * 60}}}}}", {}),
    "a template that includes itself": ('{{template "template"}}', {}),
}


@pytest.mark.parametrize("name", LIMITED)
def test_sizes_are_bounded_whatever_the_budget(name: str) -> None:
    """Nothing grows beyond the limits, and soon there is no answer."""
    template, variables = LIMITED[name]
    spent = slices(1_000)
    with pytest.raises(BudgetExceeded):
        charged(spent, "strings.render_template", template, variables)


def test_depth_of_controls_costs_nothing() -> None:
    """Bodies in bodies and templates in templates take no frame each."""
    nested = "{{if 1}}" * 3_000 + "x" + "{{end}}" * 3_000
    assert rendered(nested) == "x"
    chained = f"{{{{if 0}}}}{'{{else if 0}}' * 3_000}{{{{else}}}}y{{{{end}}}}"
    assert rendered(chained) == "y"
    counted = (
        '{{block "t" .x}}{{if .}}.{{template "t" slice . 1}}{{end}}{{end}}'
    )
    assert rendered(counted, {"x": [0] * 500}) == "." * 500


def test_clock_is_asked_while_a_template_is_filled_in() -> None:
    """The deadline ends a template, which is no single step."""
    endless = "{{range 9000000000000000000}}{{end}}"
    with pytest.raises(DeadlineExceeded):
        charged(slices(50), "strings.render_template", endless, {})


@pytest.mark.opa
def test_a_policy_pays_for_its_templates(
    opa_binary: Path, tmp_path: Path
) -> None:
    """The steps of a template are steps of the evaluation around it."""
    rule = "x := strings.render_template(`{{range 1000}}.{{end}}`, {})"
    source = write_policy(
        tmp_path / "policy", {"p.rego": f"package p\n\n{rule}\n"}
    )
    machine = Machine(translated(compiled(opa_binary, source, ("p/x",)).plan))
    answer = machine.results("p/x", {}, {}, Limits(steps=10_000))
    assert answer == [{"result": "." * 1000}]
    with pytest.raises(BudgetExceeded):
        machine.results("p/x", {}, {}, Limits(steps=2_000))
