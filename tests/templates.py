"""Templates on which two readings of Go's `text/template` would part.

A table of edges, and generators: of templates, now and then with a character
too many or too few, and of formats. All are filled in with `VARIABLES`.
"""

import random
from collections.abc import Mapping
from typing import Any

VARIABLES: Mapping[str, Any] = {
    "a": 1,
    "b": [1, 2, 3],
    "c": {"x": "y", "n": None, "z": [True, False]},
    "s": "héllo <b>&'\"",
    "e": "",
    "n": None,
    "f": 1.5,
    "big": 123456789012345678901234567890,
    "t": True,
    "o": {},
    "l": [],
    "m": [[1, "a"], [None, {"q": 2}]],
    "d": {"k": {"j": "J"}, "k2": []},
    "x": "x",
}
OTHERS: tuple[Mapping[str, Any], ...] = (
    VARIABLES,
    {
        "a": "z",
        "b": ["x", "y"],
        "c": {"x": 0},
        "s": "é<&>\"'x",
        "n": False,
        "m": {"b": {"x": 1}, "a": {"x": 2}},
        "d": [1],
    },
    {},
)

_LINES = r"""
{{.}}
{{.a}}
{{$}}
{{.missing}}
{{.missing.deep}}
{{.n}}
{{.n.x}}
{{.c.n.x}}
{{(.c.n).x}}
{{$x := .c.n}}{{$x.y}}
{{.a.b}}
{{.b}}|{{.c}}|{{.s}}|{{.f}}|{{.big}}|{{.t}}|{{.o}}|{{.l}}|{{.m}}
a {{- .a -}} b
a {{- .a}} b
a {{.a -}} b
{{-3}}
{{- 3 -}}
{{3 -}} x
{{/* comment */}}x
x {{- /* c */ -}} y
{{/* a */ }}
{{ /* a */}}
{{if .a}}A{{end}}
{{if .l}}A{{else}}B{{end}}
{{if .e}}A{{else if .a}}C{{else}}B{{end}}
{{if .e}}A{{else if .o}}C{{else}}B{{end}}
{{if .e}}A{{else if .o}}C{{else if .t}}D{{end}}
{{if .e}}A{{else with .o}}C{{end}}
{{with .c}}{{.x}}{{$.a}}{{end}}
{{with .l}}A{{else with .c}}{{.x}}{{else}}B{{end}}
{{with $v := .c}}{{$v.x}}{{.x}}{{end}}{{$v}}
{{with .l}}A{{else}}{{.a}}{{end}}
{{with .l}}A{{else if .c}}{{.a}}{{end}}
{{range .b}}[{{.}}]{{end}}
{{range $v := .b}}[{{$v}}]{{end}}
{{range $i, $v := .b}}[{{$i}}{{$v}}]{{end}}
{{range $k, $v := .c}}[{{$k}}={{$v}}]{{end}}
{{range .c}}[{{.}}]{{end}}
{{range .l}}A{{else}}B{{end}}
{{range .missing}}A{{else}}B{{end}}
{{range .n}}A{{else}}B{{end}}
{{range .s}}A{{end}}
{{range .a}}A{{end}}
{{range 3}}[{{.}}]{{end}}
{{range $i := 3}}[{{$i}}]{{end}}
{{range $i, $v := 3}}[{{$i}}]{{end}}
{{range 0}}A{{else}}B{{end}}
{{range -1}}A{{else}}B{{end}}
{{range 1.0}}A{{end}}
{{range (len .b)}}{{.}}{{end}}
{{range index .s 0}}.{{end}}
{{range $x := index .s 0}}{{printf "%T" $x}}{{break}}{{end}}
{{range .b}}{{if eq . "2"}}{{break}}{{end}}{{.}}{{end}}
{{range .b}}{{if eq . "2"}}{{continue}}{{end}}{{.}}{{end}}
{{range .b}}{{range $.l}}x{{else}}{{break}}{{end}}{{.}}{{end}}
{{range .b}}{{range $.l}}x{{else}}{{continue}}{{end}}{{.}}{{end}}
{{range .b}}{{range $.b}}x{{else}}{{break}}{{end}}{{.}}{{end}}
{{break}}
{{range .b}}A{{else}}{{break}}{{end}}
{{range .l}}A{{else}}{{break}}{{end}}
{{$x := 1}}{{$x}}{{$x = 2}}{{$x}}
{{$x = 1}}
{{$x}}
{{$x := 1}}{{if .t}}{{$x := 2}}{{$x}}{{end}}{{$x}}
{{$x := 1}}{{if .t}}{{$x = 2}}{{$x}}{{end}}{{$x}}
{{$x := 1}}{{range .b}}{{$x = .}}{{end}}{{$x}}
{{range $v = .b}}{{end}}
{{$v := 1}}{{range $v = .b}}{{$v}}{{end}}{{$v}}
{{$v := 1}}{{range $v = .l}}{{$v}}{{end}}{{$v}}
{{$i := 1}}{{$v := 2}}{{range $i, $v = .b}}{{$i}}{{$v}},{{end}}{{$i}}{{$v}}
{{$a := 1}}{{range $a, $a = .b}}{{$a}},{{end}}{{$a}}
{{range $a, $a := .b}}{{$a}},{{end}}
{{$v := .b}}{{range $i, $v}}{{$i}}{{end}}
{{range $i, := .b}}{{$i}}{{end}}
{{range $i, }}{{end}}
{{range $i, .b}}{{end}}
{{$i, $v := .b}}
{{if .t}}{{$q := 1}}{{else}}{{$q}}{{end}}
{{if .e}}{{$q := 1}}{{else}}{{$q}}{{end}}
{{print ($x := 3)}}{{$x}}
{{$ = 5}}{{$}}{{.}}
{{$ := 5}}{{$}}
{{.a | print}}
{{.a | print | printf "%s-%s" "x"}}
{{.a |}}
{{| .a}}
{{.a | 1}}
{{.a | .b}}
{{1 | .a}}
{{1 | .missing}}
{{.missing 1}}
{{.a 1}}
{{.missing.x 1}}
{{1 2}}
{{"a" | "b"}}
{{nil}}
{{print nil}}
{{eq nil .n}}
{{eq .n nil}}
{{eq .missing nil}}
{{eq nil nil}}
{{eq .l nil}}
{{eq nil .l}}
{{ne nil .l}}
{{eq .l .l}}
{{eq .l .o}}
{{eq .a 1}}
{{eq .a "1"}}
{{eq 1 .a}}
{{eq .a .b}}
{{eq "x" "y" "x"}}
{{eq "x" 1 "x"}}
{{eq "x" "x" 1}}
{{eq 1 1.0}}
{{eq 1.0 1.0}}
{{eq true .t}}
{{eq (index "a" 0) 97}}
{{eq 97 (index "a" 0)}}
{{lt (index "a" 0) 98}}
{{lt -1 (index "a" 0)}}
{{eq 1}}
{{eq}}
{{ne 1 2 3}}
{{ne 1 2}}
{{lt 1 2}}{{le 2 2}}{{gt 1 2}}{{ge 2 2}}
{{lt "a" "b"}}{{le "b" "a"}}{{gt "é" "z"}}
{{lt .a "2"}}
{{lt 1 2.0}}
{{lt true false}}
{{le true true}}
{{lt nil 1}}
{{lt .l .l}}
{{lt 1}}
{{and .t .a}}{{and .e .a}}{{and}}
{{and 1}}{{and 0 1}}{{or 0 1}}{{or 0 ""}}{{or .e .missing}}
{{.a | and .t}}{{.e | or .n}}{{.missing | and 1}}
{{.t | and}}
{{or .n}}
{{and .n (index .l 5)}}
{{or .t (index .l 5)}}
{{or .e (index .l 5)}}
{{not .t}}{{not .e}}{{not .missing}}{{not 0}}{{not 0.0}}{{not .o}}
{{not}}
{{not 1 2}}
{{len .s}}{{len .b}}{{len .c}}{{len .a}}{{len "é"}}
{{len .n}}
{{len .missing}}
{{len 3}}
{{len .t}}
{{index .b 0}}{{index .c "x"}}{{index .c "none"}}
{{index .b 3}}
{{index .b -1}}
{{index .b "x"}}
{{index .b 1.0}}
{{index .b nil}}
{{index .c 1}}
{{index .c nil}}
{{index .c .a}}
{{index .b .a}}
{{index .m 0 1}}{{index .m 1 1 "q"}}
{{index .m 1 0 0}}
{{index .n 0}}
{{index .b}}
{{index .n}}
{{index .s 0}}{{index .s 1}}{{index .s 100}}
{{index .a 0}}
{{index .t 0}}
{{(index .c "none").x}}
{{print (index .c "none")}}
{{index}}
{{slice .s 0 1}}{{slice .s 3}}{{slice .s}}
{{slice .s 0 2}}
{{slice .b 1}}{{slice .b 1 2}}{{slice .b 1 2 3}}
{{slice .b 2 1}}
{{slice .b 0 4}}
{{slice .b 0 9}}
{{slice .b -1}}
{{slice .b "x"}}
{{slice .s 0 1 2}}
{{slice .b 0 1 2 3}}
{{slice .n}}
{{slice .c}}
{{slice .a 0 1}}{{printf "%T" (slice .a 0 1)}}
{{slice .s 9 3}}
{{slice .s 0 100}}
{{print}}{{println}}{{print 1 2 "a" "b" 3 4 .a .a true nil nil}}
{{println 1 "a" nil}}
{{print .a .a}}{{print .f 1}}{{print "a" .l .o "b"}}
{{html .s}}{{js .s}}{{urlquery .s}}
{{html .missing}}{{html nil "a"}}{{html 1 2 .missing .missing}}{{html}}
{{js .missing}}{{urlquery .missing .n}}{{js "\u2028\x7f\n\té\U000e0001 =&<>"}}
{{html "a\x00b"}}
{{urlquery "a b&c=d/é~-_.!*'()"}}
{{.missing | html}}{{.missing | print}}{{.missing | printf "%v"}}
{{printf "%d" 3}}{{printf "%d" .a}}{{printf "%s" .a}}{{printf "%v" .a}}
{{printf "%q" .a}}{{printf "%x" .a}}{{printf "%T" .a}}
{{printf "%#v" .}}
{{printf "%v|%s|%d|%q|%x|%X|%t|%c" .m .m .m .m .m .m .m .m}}
{{printf "%5v|%-5v|%05v|%.1v" .b .b .b .b}}
{{printf "%5v|%-5s|%5d|%+v|%# x" .c .c .c .c .c}}
{{printf "%T %T %T %T %T %T %T %T %T" .a .b .c .s .n .t 1 1.5 (index .s 0)}}
{{printf "%w %w %w" .a .b 1}}{{printf "%#w" .c}}
{{printf "%p" 1}}{{printf "%p" .s}}{{printf "%p" .n}}
{{printf "%!" 1}}{{printf "%z %z" .s .b}}{{printf "%d %d" 1}}
{{printf "%d" 1 2 .c nil}}
{{printf "%[2]d %[1]d" 1 2}}{{printf "%[3]d" 1}}{{printf "%[x]d" 1}}
{{printf "%[1]*d" 5 6}}{{printf "%*d" 5 6}}{{printf "%-*d|" 5 6}}
{{printf "%*d" .a 6}}{{printf "%*d" (index .s 0) 6}}
{{printf "%.*f" 2 1.2345}}
{{printf "%" }}{{printf "" 1}}{{printf .s}}
{{printf .a}}
{{printf 1}}
{{printf nil}}
{{printf .missing}}
{{printf}}
{{"%s" | printf}}{{"x" | printf "%s"}}
{{.a | printf}}

{{printf "%v %d %x %#v" (index .s 0) (index .s 0) (index .s 0) (index .s 0)}}
{{printf "%c %q %U %b" (index .s 0) (index .s 0) (index .s 0) (index .s 0)}}
{{printf "%o %s %z" (index .s 0) (index .s 0) (index .s 0)}}
{{printf "%t %v %s %d %q %5t|%-6v|" true true true true true true true}}
{{printf "%v %d %s %q %T %5v|%t" nil nil nil nil nil nil nil}}
{{printf "%f|%e|%g|%v" 1.5 1.5 1.5 1.5}}
{{printf "%6.2f|%+v|%#v|%d|%s" 1.5 1.5 1.5 1.5 1.5}}
{{1.0}}{{1e3}}{{1e21}}{{1e20}}{{123456789.0}}{{0.00001}}{{1e-7}}{{-0.0}}
{{.5}}{{1.}}{{1_000}}{{1_0.5}}{{0x1p4}}{{0x1.8p1}}
{{0x1F}}{{0b11}}{{0o17}}{{017}}{{0}}{{00}}{{-0x1e}}{{0x1e}}{{-5}}{{+5}}
{{1e1_0}}
{{08}}
{{0x}}
{{1__0}}
{{1_}}
{{_1}}
{{9223372036854775807}} {{-9223372036854775808}}
{{9223372036854775808}}
{{18446744073709551615}}
{{18446744073709551616}}
{{-9223372036854775809}}
{{+9223372036854775808}}
{{if false}}{{9223372036854775808}}{{end}}x
{{1e400}}
{{1e-400}}
{{0x1p}}
{{1x}}
{{1.2.3}}
{{'a'}} {{'é'}} {{'\n'}} {{'\x41'}} {{'\377'}} {{'\u00e9'}} {{'\''}}
{{''}}
{{'ab'}}
{{'\"'}}
{{'\400'}}
{{'\ud800'}}
{{'a}}
{{"a\n\t\"\\\x41\101é\u00e9\U0001f600"}}
{{"\'"}}
{{"\q"}}
{{"a}}
{{`a\n"b`}}
{{`a}}
{{true}}{{false}}
{{true.x}}
{{nil.x}}
{{1.x}}
{{"a".x}}
{{..x}}
{{.x.y}}
{{. x}}
{{.c.x}}{{.c .x}}
{{$.c.x}}
{{(.c).x}}{{((.c)).x}}{{(.c).z}}
{{(1)}}{{()}}
{{(1}}
{{1)}}
{{(print 1 2) | print}}
{{print (1) (2)}}
{{print(1)}}
{{print "a""b"}}
{{print.x}}
{{foo}}
{{if false}}{{foo}}{{end}}
{{print print}}{{print println}}
{{print len}}
{{call .a}}
{{call}}
{{if false}}{{call .a}}{{end}}ok
{{template "x"}}
{{define "x"}}[{{.}}|{{$}}]{{end}}{{template "x"}}{{template "x" .a}}
{{define "x"}}[{{.a}}]{{end}}{{template "x"}}{{template "x" .}}
{{define "x"}}a{{end}}{{define "x"}}b{{end}}{{template "x"}}
{{define "x"}}a{{end}}{{define "x"}} {{end}}{{template "x"}}
{{define "x"}} {{end}}{{define "x"}}b{{end}}{{template "x"}}
{{define "template"}}a{{end}}
{{define "template"}}a{{end}} b
{{define "template"}} {{end}}b
{{block "x" .c}}{{.x}}{{end}}{{template "x" .c}}
{{block "x"}}{{end}}
{{block "x" .}}{{else}}{{end}}
{{if .t}}{{define "x"}}{{end}}{{end}}
{{define x}}{{end}}
{{define "x" .}}{{end}}
{{template x}}
{{template "x" . .}}
{{template `x`}}{{define `x`}}1{{end}}
{{$v := 1}}{{define "x"}}{{$v}}{{end}}
{{$v := 1}}{{block "x" .}}{{$v}}{{end}}
{{range .b}}{{block "x" .}}{{break}}{{end}}{{end}}
{{range .b}}{{template "x" .}}{{end}}{{define "x"}}<{{.}}>{{end}}
{{block "t" .b}}{{if .}}{{.}}{{template "t" slice . 1}}{{end}}{{end}}
{{template "x" $z := .a}}{{$z}}{{define "x"}}{{.}}{{end}}
{{end}}
{{else}}
{{if .t}}
{{if}}{{end}}
{{if .t}}{{else}}{{else}}{{end}}
{{range .b}}{{else if .t}}{{end}}
{{if .t}}{{else with .c}}{{end}}
{{if .t}}{{end .}}
{{end}
{{}}
{{ }}
{{- -}}
{{.a}
a }} b
{{{.a}}}
{{.a}}{{"}}"}}{{`}}`}}
{{.é}}{{.a1}}{{._}}
{{.a-b}}
{{.a+1}}
{{.a,1}}
{{$x:=1}}{{$x}}
{{$x :=1}}{{$x}}
{{$x : = 1}}
{{$1 := 2}}{{$1}}
{{:= 1}}
{{@}}
{{.a @}}
{{"<no value>"}}{{.x}}<no value>
{{if .a}}{{end}}{{with 1}}{{.}}{{end}}{{with 0}}{{else}}z{{end}}
{{if (eq .x "x")}}1{{end}}{{if eq .x "x" | not}}2{{else}}3{{end}}
{{if and .t (gt (len .b) 2)}}y{{end}}
{{if .f}}y{{end}}{{if 0.0}}y{{else}}n{{end}}
{{range $i, $e := .m}}{{range $j, $f := $e}}{{$i}}{{$j}}{{$f}};{{end}}{{end}}
{{range .m}}{{range .}}{{.q}}{{end}}{{end}}
{{range .m}}{{with index . 1}}{{.}}{{end}}{{end}}
{{range $v := .m}}{{$v.x}}{{end}}
{{with .c.n}}A{{else}}{{.}}{{end}}
{{range .c}}{{if .}}{{.}}{{end}}{{end}}
{{1i}}
{{1+2i}}
{{1+2}}
{{1 + 2}}
{{.s | len | printf "%03d"}}
{{"\xff"}}
{{with $x := 1}}{{end}}{{$x}}
{{range $x := .b}}{{$x := 9}}{{$x}}{{end}}
{{$x := 0}}{{range .b}}{{$x}}{{$x := .}}{{end}}
{{$x := 0}}{{range .b}}{{$x}}{{if .}}{{$x := .}}{{end}}{{$x}}{{end}}
{{range .b}}{{$y := .}}{{$y}}{{end}}
{{len (print .m)}}
{{printf "%v" (slice .m 1)}}
{{printf "%08b|%o|%X|%#x|%+d|% d" 5 8 255 255 5 5}}
{{printf "%c%c%q%q%U" 65 128512 65 128512 65}}
{{printf "%6.2s|%-6s|%06s|%x" "héllo" "a" "a" "hé"}}
{{printf "% x|%#x|%X|%+q|%#q" "hé" "hé" "hé" "hé" "hé"}}
{{/* a
plain
{{²}}
{{.ↈ}}
{{.é٣}}
"""
TEMPLATES = [
    *_LINES.strip("\n").split("\n"),
    "{{\n}}",
    "{{.a\t|\tprint}}",
    "{{`a\nb`}}",
    "{{`a\r\nb`}}",
    "{{\n.a\n}}",
    "a\n{{- \n.a\n -}}\nb",
    "{{.a -\n}}",
    "x\n\n{{-/* a */-}}\n\ny",
    "x\n\n{{- /* a\nb */ -}}\n\ny",
    '{{"a\nb"}}',
    '\u00a0{{define "template"}}a{{end}}\u2003',
    "",
    "{{.\ta}}",
    "{{.a}}\0{{\0}}",
]

# What Rego writes in a way that JSON does not read, and what it does.
SPELLED: list[Any] = [
    {"a": "\x07"},
    {"a": "\x0b"},
    {"a": "\x7f"},
    {"a": "\x00"},
    {"a": "\x08\x0c\n\r\t"},
    {"a": "\x85\xa0\u200b\u2028\ufeff\ue000"},
    {"a": "\U0001f600"},
    {"a": "\U000e0001"},
    {"\x01": 1},
    {"a": [{"\U000f0000": 1}]},
    {"a": 1e-7},
    {"a": -0.0},
    {"a": 2**60},
    {"a": {"b": {"c": []}}},
    {"é": 1, "a b": 2},
    {"a": [None]},
    [],
    "text",
]
SHOWN = "{{.}}|{{.a}}|{{printf `%q %x` .a .a}}"


def _words(listed: str) -> list[str]:
    return listed.split()


_ATOMS = _words(
    ". $ .a .b .c .s .e .n .f .t .o .l .m .d .zz .c.x .c.n .d.k.j $.b $.c.z"
    ' $v $w $v.x 1 0 2 -3 1.5 2e3 0x1f \'a\' "x" "é<&>" `` true false nil'
    " print"
)
_ATOMS += ["(index .b 0)", '(index "abc" 1)', "(len .b)", "(slice .s 0 1)"]
_ATOMS += ["(print 1 2)", "(.c).x"]
_CALLS = _words(
    "print println printf html js urlquery len index slice eq ne lt le gt ge"
    " and or not call foo"
)
_CALLS += [f'printf "{f}"' for f in ("%v", "%d", "%q", "%5v|%T", "%#v", "%x")]
_CALLS += ["index .b", "index .c", "slice .b", "slice .s"]
_TEXTS = ["a", "x y", " ", "\n", "  \n\t", "é", "<b>", "{", "}", "}}", "{ {"]
_TEXTS += ["<no value>", ""]
_LOOPED = _words(".b .c .m .l .d . 3 .zz $v .b .c .m .d")
_SLIPS = "{}-.$|() \"`'\\=:,0a\n/*_i+e"
_GIVEN = _words(
    ".a .b .c .s .n .f .big .t .l .o .m .zz 1 -7 255 1.5 -0.0 1e21 123456.789"
    " 1e-7 100000.0 'a' 'é' \"x\" \"\" true false nil 3 2"
)
_GIVEN += ['(index "abc" 1)', "(len .s)"]


class Chance:
    """Makes templates; of one seed always the same."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - templates, no secret

    def one(self, *of: str) -> str:
        """Choose one of these."""
        return self.chance.choice(of)

    def often(self, share: float) -> bool:
        """Say yes in this share of cases."""
        return self.chance.random() < share

    def action(self, inside: str) -> str:
        """Set something between delimiters, which trim or do not."""
        left = self.one("{{", "{{", "{{", "{{- ", "{{ ")
        return left + inside + self.one("}}", "}}", "}}", " -}}", " }}")

    def operand(self, depth: int) -> str:
        """Make an operand."""
        if self.often(0.75):
            return self.one(*_ATOMS)
        return f"({self.pipeline(depth)})"

    def pipeline(self, depth: int = 2) -> str:
        """Make a pipeline, seldom a sound one."""
        kind = self.chance.random()
        if depth <= 0 or kind < 0.35:
            return self.one(*_ATOMS)
        if kind < 0.7:
            count = self.chance.choice([0, 1, 1, 1, 2, 2, 3])
            operands = [self.operand(depth - 1) for _ in range(count)]
            return " ".join([self.one(*_CALLS), *operands])
        if kind < 0.95:
            call = self.one(*_CALLS)
            if self.often(0.5):
                call += " " + self.operand(depth - 1)
            bar = self.one(" | ", "|", " |  ")
            return f"{self.pipeline(depth - 1)}{bar}{call}"
        return f"{self.one(*_ATOMS)} {self.one(*_ATOMS)}"

    def body(self, depth: int, *counts: int) -> str:
        """Make some nodes."""
        count = self.chance.choice(counts or (0, 1, 1, 2, 2, 3))
        return "".join(self.node(depth) for _ in range(count))

    def node(self, depth: int) -> str:
        """Make a node."""
        kind = self.chance.random()
        if kind < 0.2:
            return self.one(*_TEXTS)
        if depth <= 0 or kind < 0.55:
            sets = self.one("", "", "$v := ", "$w := ", "$v = ", "$w = ")
            return self.action(sets + self.pipeline())
        if kind < 0.77:
            return self.choice(self.one("if", "with"), depth - 1)
        if kind < 0.93:
            return self.loop(depth - 1)
        name = self.one('"t"', '"u"', '"w"', '"zz"')
        given = self.pipeline(1)
        if self.often(0.6):
            return self.action(f"template {name} {given}")
        body = self.body(depth - 1)
        return self.action(f"block {name} {given}") + body + "{{end}}"

    def choice(self, word: str, depth: int) -> str:
        """Make an `if` or `with`."""
        made = self.action(f"{word} {self.pipeline()}") + self.body(depth)
        while self.often(0.25):
            made += self.action(f"else {word} {self.pipeline(1)}")
            made += self.body(depth)
        if self.often(0.4):
            made += self.action("else") + self.body(depth)
        return made + self.action("end")

    def loop(self, depth: int) -> str:
        """Make a `range`."""
        sets = self.one(
            *("", "$v := ", "$i, $v := ", "$v, $w := ", "$v = "),
            *("$v, $w = ", "$v, "),
        )
        over = self.one(*_LOOPED, self.pipeline(1))
        made = self.action(f"range {sets}{over}") + self.body(depth)
        if self.often(0.3):
            jump = self.one("{{break}}", "{{continue}}")
            made += f"{{{{if {self.pipeline(1)}}}}}{jump}{{{{end}}}}"
            made += self.body(depth, 1)
        if self.often(0.3):
            made += self.action("else") + self.body(depth)
            made += self.one("", "", "{{break}}", "{{continue}}")
        return made + self.action("end")

    def slipped(self, made: str) -> str:
        """Put a character in, or take some out."""
        at = self.chance.randrange(len(made) + 1)
        kind = self.chance.random()
        if kind < 0.4:
            return made[:at] + made[at + 1 :]
        if kind < 0.8:
            return made[:at] + self.one(*_SLIPS) + made[at:]
        other = self.chance.randrange(len(made) + 1)
        return made[: min(at, other)] + made[max(at, other) :]

    def template(self) -> str:
        """Make a template."""
        made = "{{$v := .c}}{{$w := .b}}" if self.often(0.8) else ""
        for name, share in (("t", 0.3), ("u", 0.15)):
            if self.often(share):
                body = self.body(1)
                made += f'{{{{define "{name}"}}}}{body}{{{{end}}}}'
        made += self.body(self.chance.choice([1, 2, 3]), 1, 1, 2, 3)
        return self.slipped(made) if self.often(0.12) else made

    def directive(self) -> str:
        """Make what stands between `%` and its end."""
        count = self.chance.choice([0, 0, 1, 1, 2])
        return (
            "%"
            + "".join(self.one(*"+-# 0") for _ in range(count))
            + self.one(
                "", "", "5", "12", "*", "[1]", "[2]*", "[x]", "[1", "08"
            )
            + self.one("", "", ".", ".0", ".2", ".*", ".[2]*", ".10")
            + self.one("", "", "", "[1]", "[2]")
            + self.one(*"vvvvdsqxXoObcUteEfFgGTpwz%é!")
        )

    def formatted(self) -> str:
        """Make a template that is one `printf`."""
        parts = [
            self.one("", "x", "%%", " ") + self.directive()
            for _ in range(self.chance.choice([1, 1, 2, 3]))
        ]
        count = self.chance.choice([0, 1, 1, 2, 2, 3])
        given = [self.one(*_GIVEN) for _ in range(count)]
        return f"{{{{printf `{''.join(parts)}` {' '.join(given)}}}}}"
