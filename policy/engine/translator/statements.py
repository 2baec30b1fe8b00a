"""Statements on single locals: assignments, checks, references, constants."""

from dataclasses import replace
from typing import Any

from policy.engine.numbers import number
from policy.engine.plan import Stmt
from policy.engine.translator.expressions import Expressions
from policy.engine.translator.knowledge import (
    DEFINED,
    UNDEFINED,
    UNKNOWN,
    Known,
    a_number,
)


class Statements(Expressions):
    """Writes the statements on single locals."""

    def on_nop(self, _stmt: Stmt) -> None:
        """Nothing."""

    def on_equal(self, stmt: Stmt) -> None:
        """Two operands must be equal."""
        self.fail_if(f"not {self.equality(stmt['a'], stmt['b'])}")

    def on_not_equal(self, stmt: Stmt) -> None:
        """Two operands must differ."""
        self.fail_if(self.equality(stmt["a"], stmt["b"]))

    def on_assign_var(self, stmt: Stmt) -> None:
        """A name for a value."""
        if id(stmt) in self.unread:
            self.set(stmt["target"], self.known(stmt["source"]))
            return
        self.assign(stmt["target"], stmt["source"])

    def assign(self, target: int, source: Any) -> None:  # noqa: ANN401 - an operand
        """Give a local the value of an operand, and what is known of it."""
        known = self.known(source)
        self.emit(f"{self.name(target)} = {self.read(source)}")
        # A name given to a part of `data` makes it a value like any other.
        self.set(target, replace(known, base=False))

    def on_assign_int(self, stmt: Stmt) -> None:
        """A name for an integer."""
        self.emit(f"{self.name(stmt['target'])} = {stmt['value']}")
        self.set(stmt["target"], a_number(str(stmt["value"])))

    def on_assign_var_once(self, stmt: Stmt) -> None:
        """A value for a rule, which may have that one already."""
        target, source = stmt["target"], stmt["source"]
        before = self.known(target)
        if before.defined is False:
            self.assign(target, source)
            return
        self.unset.add(target)
        name, value = self.name(target), self.read(source)
        known = self.known(source)
        if known.defined is not True:
            self.emit(f"if {value} is not ...:")
            self.indent += 1
        self.emit(f"if {name} is ...:")
        self.emit(f"    {name} = {value}")
        self.emit(f"elif not equal({name}, {value}):")
        self.emit("    raise conflict()")
        if known.defined is not True:
            self.indent -= 1
            self.set(target, UNKNOWN)
        else:
            self.set(target, DEFINED)

    def on_reset_local(self, stmt: Stmt) -> None:
        """Make a local undefined."""
        target = stmt["target"]
        if self.known(target).defined is not False:
            self.emit(f"{self.name(target)} = ...")
        self.set(target, UNDEFINED)

    def on_is_defined(self, stmt: Stmt) -> None:
        """A local must be defined."""
        known = self.known(stmt["source"])
        if known.defined is True:
            return
        if known.defined is False:
            self.fail()
            self.stop()
            return
        self.fail_if(f"{self.read(stmt['source'])} is ...")
        self.set(
            stmt["source"],
            Known(defined=True, kind=known.kind, base=known.base),
        )

    def on_is_undefined(self, stmt: Stmt) -> None:
        """A local must be undefined."""
        known = self.known(stmt["source"])
        if known.defined is False:
            return
        if known.defined is True:
            self.fail()
            self.stop()
            return
        self.fail_if(f"{self.read(stmt['source'])} is not ...")
        self.set(stmt["source"], UNDEFINED)

    def is_type(self, stmt: Stmt, kind: str) -> None:
        """An operand must be of a type."""
        known = self.known(stmt["source"])
        if known.kind == kind:
            return
        if known.kind:
            self.fail()
            self.stop()
            return
        self.fail_if(f"type({self.read(stmt['source'])}) is not {kind}")

    def on_is_array(self, stmt: Stmt) -> None:
        """An operand must be an array."""
        self.is_type(stmt, "list")

    def on_is_object(self, stmt: Stmt) -> None:
        """An operand must be an object."""
        self.is_type(stmt, "dict")

    def on_is_set(self, stmt: Stmt) -> None:
        """An operand must be a set."""
        self.is_type(stmt, "Set")

    def on_dot(self, stmt: Stmt) -> None:
        """A reference's step."""
        self.look_up(stmt)

    def look_up(self, stmt: Stmt) -> str | None:
        """A reference's step; None where it can never be defined."""
        source, wanted, target = stmt["source"], stmt["key"], stmt["target"]
        if type(source) is not int or self.known(source).defined is False:
            self.fail()
            self.stop()
            return None
        left, right = self.read(source), self.read(wanted)
        base = self.known(source).base
        name = self.name(target)
        if self.known(wanted).kind == "str" and self.known(wanted).const:
            # Subscription finds what Rego finds: a field, or an element of
            # a set under its key. All else raises one of these.
            self.emit("try:")
            self.emit(f"    {name} = {left}[{right}]")
            self.emit("except MISSING:")
            self.indent += 1
            self.fail()
            self.indent -= 1
        else:
            tests = [f"type({left}) is dict"]
            if self.known(wanted).kind != "str":
                tests.append(f"type({right}) is str")
            helper = "lookup_base" if base else "lookup"
            self.emit(
                f"{name} = {left}.get({right}, ...)"
                f" if {' and '.join(tests)} else {helper}({left}, {right})"
            )
            self.fail_if(f"{name} is ...")
        self.set(target, Known(defined=True, base=base))
        return name

    def on_len(self, stmt: Stmt) -> None:
        """The size of a collection."""
        name = self.name(stmt["target"])
        self.emit(f"{name} = length({self.read(stmt['source'])})")
        self.fail_if(f"{name} is ...")
        self.set(stmt["target"], Known(defined=True, kind="number"))

    def on_make_null(self, stmt: Stmt) -> None:
        """Null."""
        self.emit(f"{self.name(stmt['target'])} = None")
        self.set(
            stmt["target"], Known(defined=True, kind="None", const="None")
        )

    def on_make_number_int(self, stmt: Stmt) -> None:
        """An integer."""
        text = str(stmt["value"])
        self.emit(f"{self.name(stmt['target'])} = {text}")
        self.set(stmt["target"], a_number(text))

    def on_make_number_ref(self, stmt: Stmt) -> None:
        """A number that stands as text among the strings."""
        value = number(stmt["Index"])
        small = type(value) is int and abs(value) < 10**18
        text = str(value) if small else self.module.constant(value)
        self.emit(f"{self.name(stmt['target'])} = {text}")
        self.set(stmt["target"], a_number(text))

    def on_return_local(self, stmt: Stmt) -> None:
        """Return from the function, and remember what."""
        value = self.read(stmt["source"])
        if self.memo:
            self.emit(f"{self.memo}{value}")
        self.emit(f"return {value}")
        self.stop()

    def on_result_set_add(self, stmt: Stmt) -> None:
        """Add to the result set."""
        self.emit(f"results.append({self.read(stmt['value'])})")

    def on_break(self, stmt: Stmt) -> None:
        """Jump to the end of an outer block."""
        self.jump(self.target(stmt["index"]))
        self.stop()
