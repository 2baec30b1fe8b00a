"""Calls of rules, functions and built-ins.

A rule without parameters is looked up in the frame first, and so is a
function of strings that is worth it.
"""

from policy.engine.plan import Stmt
from policy.engine.translator.composites import Composites
from policy.engine.translator.knowledge import (
    KINDS,
    TOTAL,
    Known,
)


class Calls(Composites):
    """Writes calls."""

    def on_call(self, stmt: Stmt) -> None:
        """A call of a planned function or of a built-in."""
        if stmt["func"] in self.module.plan.functions:
            self.call_function(stmt)
        else:
            self.call_builtin(stmt)

    def call_function(self, stmt: Stmt) -> None:
        """A call of a planned function; undefined fails."""
        function = self.module.plan.functions[stmt["func"]]
        result = self.name(stmt["result"])
        args = ", ".join(self.read(arg) for arg in stmt["args"])
        call = f"{self.module.names[function.name]}({args}, {self.frame})"
        if len(function.params) == 2:
            number = self.module.numbers[function.name]
            held = f"{self.frame}[{number}]"
            call = f"{held} if {number} in {self.frame} else {call}"
            self.emit(f"{result} = {call}")
        elif function.name in self.module.remembered:
            self.remembered(stmt, call, result)
        else:
            self.emit(f"{result} = {call}")
        self.fail_if(f"{result} is ...")
        self.set(stmt["result"])

    def remembered(self, stmt: Stmt, call: str, result: str) -> None:
        """A call of a function of strings, looked up before it is made."""
        args = stmt["args"][2:]
        number = self.module.numbers[stmt["func"]]
        texts = [self.read(arg) for arg in args]
        stored = self.unique("a")
        tests = [
            f"type({text}) is str"
            for arg, text in zip(args, texts, strict=True)
            if self.known(arg).kind != "str"
        ]
        if tests:
            self.emit(f"if {' and '.join(tests)}:")
            self.indent += 1
        self.emit(f"{stored} = ({number}, {', '.join(texts)})")
        # Null is not remembered: it is worth no second look-up.
        self.emit(f"{result} = {self.frame}.get({stored})")
        self.emit(f"if {result} is None:")
        self.emit(f"    {result} = {self.frame}[{stored}] = {call}")
        if tests:
            self.indent -= 1
            self.emit("else:")
            self.emit(f"    {result} = {call}")

    def call_builtin(self, stmt: Stmt) -> None:
        """A call of a built-in; undefined fails, and so does its error."""
        name, args = stmt["func"], stmt["args"]
        declared = self.module.plan.builtins[name]
        result = self.name(stmt["result"])
        kind = KINDS.get(declared.result, "")
        if not declared.result:
            return  # it prints; nothing is printed
        if name in TOTAL:
            self.emit(f"{result} = {self.total(name, args)}")
            self.set(stmt["result"], Known(defined=True, kind=kind))
            return
        if name == "count":
            kind = "int"
        text = self.inlined(name, args)
        if text is not None:
            self.emit(f"{result} = {text}")
            self.set(stmt["result"], Known(defined=True, kind=kind))
            return
        texts = ", ".join(self.read(arg) for arg in args)
        call = f"{result} = {self.module.builtin(name)}({texts})"
        if name == "count":
            sized = f"len({texts}) if type({texts}) in SIZED"
            call = call.replace("= ", f"= {sized} else ", 1)
        if self.module.strict:
            self.emit(call)
        else:
            self.emit("try:")
            self.emit(f"    {call}")
            self.emit("except BuiltinFailed:")
            self.indent += 1
            self.fail()
            self.indent -= 1
        self.fail_if(f"{result} is ...")
        self.set(stmt["result"], Known(defined=True, kind=kind))

    def on_call_dynamic(self, stmt: Stmt) -> None:
        """A call of the rule at a path that is known only then."""
        path = "".join(f"{self.read(part)}, " for part in stmt["path"])
        args = ", ".join(self.read(arg) for arg in stmt["args"])
        function = self.unique("d")
        result = self.name(stmt["result"])
        self.emit(f"{function} = dynamic(DYNAMIC, ({path}))")
        self.fail_if(f"{function} is None")
        self.emit(f"{result} = {function}({args}, {self.frame})")
        # A rule that is there but undefined ends the whole reference: the
        # planner puts this statement three blocks inside of it.
        self.emit(f"if {result} is ...:")
        self.indent += 1
        self.jump(self.target(3))
        self.indent -= 1
        self.set(stmt["result"])
