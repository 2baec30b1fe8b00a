"""The import graph in DESIGN.md is the import graph in the code.

Each rule is a function from a module's place and text to the sentences that
say what is wrong, so that each can be tried on text that breaks it.
"""

import ast
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "vault": set[str](),
    "consent": set[str](),
    "anonymize": set[str](),
    "policy": {"vault", "consent", "anonymize"},
    "services": {"policy"},
    "api": {"vault", "consent", "anonymize", "policy", "services"},
}
# Third party, or a part of the standard library that reaches outside, and
# the only places that may import it.
FENCES = {
    "ahocorasick_rs": ("anonymize/*",),
    "alembic": ("api/*",),
    "aiohttp": ("policy/opa*.py",),
    "boto3": ("vault/providers_aws.py",),
    "botocore": ("vault/providers_aws.py",),
    # Keys, and what is sealed or signed with them.
    "cryptography": (
        "vault/*",
        "consent/checkpoint.py",
        "consent/cosignatures.py",
        "consent/entries.py",
        "consent/ledger_keys.py",
        "consent/kantara.py",
        "consent/receipts.py",
        "consent/usage_receipts.py",
        "consent/sealing.py",
        "consent/signed_notes.py",
        "consent/verifier.py",
        "consent/witness_store.py",
        "api/bootstrap.py",
        "api/demo/story.py",
        "api/opa_sidecar.py",
        "api/secrets.py",
        "api/webhook_signing.py",
    ),
    "docx": ("anonymize/documents_child.py",),
    "elementpath": ("consent/xpref.py",),
    "fastapi": ("api/*",),
    "httpx": (),
    "hvac": ("vault/providers_transit.py",),
    "itsdangerous": ("api/*",),
    "jinja2": ("api/*",),
    "joserfc": ("consent/receipts.py", "api/*"),
    "opentelemetry": ("api/spans.py",),
    "numpy": ("anonymize/*",),
    "opa_client": ("policy/*",),
    "pkcs11": ("vault/providers_pkcs11.py",),
    "opendp": ("anonymize/noise.py",),
    "polars": ("anonymize/*",),
    "presidio_analyzer": ("anonymize/text.py",),
    "psycopg": (),
    "py4j": ("anonymize/spark.py",),
    "pyspark": ("anonymize/spark.py",),
    "pypdf": ("anonymize/documents_child.py",),
    "re2": ("policy/*",),
    "reportlab": ("anonymize/report_pdf.py",),
    "requests": ("policy/opa*.py", "api/spans.py"),
    "socket": ("policy/opa*.py", "api/*"),
    # Page assets are built by npm, and policies by OPA's compiler.
    "subprocess": (
        "api/assets/*",
        "api/demo/*",
        "api/opa_sidecar.py",
        "api/postgresql_copies.py",
        "api/workers.py",
        "policy/compiling.py",
    ),
    # Table classes and the statements over them.
    "spacy": ("anonymize/english_model.py",),
    "sqlmodel": (
        "*/*tables.py",
        "*/*statements.py",
        "*/*store*.py",
        "*/registry.py",
        "consent/event_log.py",
        "consent/mandates.py",
        "consent/people.py",
        "consent/registry_rows.py",
        "consent/revisions.py",
        "consent/serving.py",
        "policy/restraints.py",
        "api/databases.py",
        "api/bootstrap.py",
    ),
    "starlette": ("api/*",),
    "typer": ("api/*",),
    "urllib.request": ("policy/opa*.py", "api/*"),
    "uvicorn": ("api/*",),
}
MINTS_GRANTS = ("policy/gate.py", "policy/numbers.py", "policy/release.py")
# What must not happen because a module is imported.
WORK = {
    "connect",
    "create_engine",
    "exists",
    "FastAPI",
    "getenv",
    "load",
    "now",
    "open",
    "open_database",
    "Popen",
    "read_bytes",
    "read_text",
    "run",
    "safe_load",
    "Settings",
    "today",
    "token_bytes",
    "urandom",
    "urlopen",
    "uuid4",
    "write_text",
}
# Time and randomness come in as parameters; the outermost layer brings them.
AMBIENT = {
    ("time", "time"),
    ("time", "time_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("date", "today"),
    ("os", "urandom"),
    ("secrets", "token_bytes"),
    ("uuid", "uuid4"),
    ("uuid", "uuid1"),
}
PRINTS = ("api/cli.py", "api/cli/*", "api/demo/*", "consent/verifier.py")
MODULES = sorted(
    path
    for package in MAY_IMPORT
    for path in (ROOT / package).rglob("*.py")
    if "node_modules" not in path.parts
)


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted names that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            if node.module in {"urllib", "http"}:
                yield from (f"{node.module}.{a.name}" for a in node.names)


def name_of(call: ast.Call) -> tuple[str, str]:
    """Return what a call's function is an attribute of, and its name."""
    function = call.func
    if isinstance(function, ast.Attribute):
        owner = function.value
        return getattr(owner, "id", getattr(owner, "attr", "")), function.attr
    return "", getattr(function, "id", "")


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield every call in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node


def graph(where: str, tree: ast.AST) -> Iterator[str]:
    """Say which imports go another way than down, or past a root."""
    package = where.split("/", maxsplit=1)[0]
    for name in imported(tree):
        head, _, tail = name.partition(".")
        if name.startswith("."):
            yield f"{where} imports {name} relatively"
        elif head in MAY_IMPORT and head != package:
            if head not in MAY_IMPORT[package]:
                yield f"{where} imports {head}, against the graph"
            if tail:
                yield f"{where} reaches past the root of {head}: {name}"
        elif head == "tests":
            yield f"{where} imports {name}"


def fences(where: str, tree: ast.AST) -> Iterator[str]:
    """Say which libraries are imported outside their fence."""
    for name in imported(tree):
        for library, places in FENCES.items():
            inside = name == library or name.startswith(f"{library}.")
            if inside and not any(fnmatch(where, place) for place in places):
                yield f"{where} imports {name}, outside its fence"


def grants(where: str, tree: ast.AST) -> Iterator[str]:
    """Say where a grant to read is minted outside the gate."""
    for call in calls(tree):
        if name_of(call)[1] == "ReadGrant" and where not in MINTS_GRANTS:
            yield f"{where}:{call.lineno} mints a ReadGrant"


def loading(where: str, tree: ast.AST) -> Iterator[str]:
    """Say where a module is imported by a name that is computed."""
    for call in calls(tree):
        if name_of(call)[1] in {"import_module", "__import__"}:
            literal = call.args and isinstance(call.args[0], ast.Constant)
            if not literal:
                yield f"{where}:{call.lineno} imports a computed name"


def printing(where: str, tree: ast.AST) -> Iterator[str]:
    """Say where something is printed outside the command line."""
    for call in calls(tree):
        allowed = any(fnmatch(where, place) for place in PRINTS)
        if name_of(call) == ("", "print") and not allowed:
            yield f"{where}:{call.lineno} prints"


def ambient(where: str, tree: ast.AST) -> Iterator[str]:
    """Say where time or randomness is taken instead of being passed in."""
    if where.startswith("api/"):
        return
    for call in calls(tree):
        owner, name = name_of(call)
        if (owner, name) in AMBIENT or name == "uuid4":
            yield f"{where}:{call.lineno} takes {owner}.{name} by itself"


def import_time(where: str, tree: ast.AST) -> Iterator[str]:
    """Say where work is done because a module is imported."""
    for node in at_import(tree):
        if isinstance(node, ast.Call) and name_of(node)[1] in WORK:
            yield f"{where}:{node.lineno} calls {name_of(node)[1]} at import"
        if isinstance(node, ast.Attribute) and node.attr == "environ":
            yield f"{where}:{node.lineno} reads the environment at import"


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is evaluated when a module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            now = [*child.decorator_list, *child.args.defaults]
            now += [value for value in child.args.kw_defaults if value]
            for part in now:
                yield part
                yield from at_import(part)
        elif isinstance(child, ast.Lambda) or is_guarded(child):
            continue
        else:
            yield child
            yield from at_import(child)


def is_guarded(node: ast.AST) -> bool:
    """Tell whether a block runs only as a command, or only for types."""
    return isinstance(node, ast.If) and (
        "__main__" in ast.unparse(node.test)
        or ast.unparse(node.test).endswith("TYPE_CHECKING")
    )


Rule = Callable[[str, ast.AST], Iterator[str]]
RULES: tuple[Rule, ...] = (
    graph,
    fences,
    grants,
    loading,
    printing,
    ambient,
    import_time,
)
SEEDED = [
    (graph, "vault/store.py", "from consent import Ledger"),
    (graph, "services/moving.py", "import vault"),
    (graph, "policy/gate.py", "from vault.store import Store"),
    (graph, "policy/gate.py", "from . import facts"),
    (graph, "policy/gate.py", "from api import bootstrap"),
    (graph, "consent/store.py", "def f():\n    import policy"),
    (graph, "api/app.py", "from tests.conftest import corpus"),
    (fences, "policy/gate.py", "from fastapi import FastAPI"),
    (fences, "anonymize/risk.py", "import presidio_analyzer"),
    (fences, "api/app.py", "from opa_client.opa import OpaClient"),
    (fences, "consent/records.py", "import cryptography.x509"),
    (fences, "vault/store.py", "from urllib import request"),
    (fences, "services/moving.py", "import socket"),
    (fences, "consent/records.py", "from sqlmodel import SQLModel"),
    (grants, "services/moving.py", "grant = vault.ReadGrant(tenant='t')"),
    (loading, "api/app.py", "importlib.import_module(name)"),
    (loading, "api/app.py", "__import__('va' + 'ult')"),
    (printing, "vault/store.py", "def f():\n    print(1)"),
    (ambient, "vault/store.py", "def f():\n    return time.time()"),
    (ambient, "policy/gate.py", "def f():\n    return uuid4()"),
    (import_time, "vault/store.py", "ENGINE = create_engine('sqlite://')"),
    (import_time, "vault/store.py", "class C:\n    x = open('f')"),
    (import_time, "vault/store.py", "def f(x=Path('f').read_text()): ..."),
    (import_time, "api/app.py", "app = fastapi.FastAPI()"),
    (import_time, "api/app.py", "URL = os.environ['URL']"),
    (import_time, "api/app.py", "if True:\n    NOW = datetime.now()"),
]
HARMLESS = """
import re
from dataclasses import dataclass

WORD = re.compile("x")

if __name__ == "__main__":
    open("f")

@dataclass
class Value:
    path: str

    def read(self):
        import importlib
        importlib.import_module("polars")
        return open(self.path)
"""


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_a_module_keeps_every_rule(path: Path) -> None:
    """Each module keeps the graph, the fences and the other house rules."""
    where = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text("utf-8"))

    wrong = [sentence for rule in RULES for sentence in rule(where, tree)]

    assert [] == wrong


@pytest.mark.parametrize(("rule", "where", "text"), SEEDED)
def test_a_seeded_violation_is_found(
    rule: Rule, where: str, text: str
) -> None:
    """Each rule names the module that breaks it."""
    wrong = list(rule(where, ast.parse(text)))

    assert len(wrong) >= 1
    assert all(sentence.startswith(where) for sentence in wrong)


def test_harmless_code_breaks_no_rule() -> None:
    """Work inside functions and under the main guard is not at import."""
    tree = ast.parse(HARMLESS)

    wrong = [
        sentence for rule in RULES for sentence in rule("vault/a.py", tree)
    ]

    assert [] == wrong


def test_there_are_modules_to_check() -> None:
    """No package is empty, so that the rules above hold something."""
    packages = {path.relative_to(ROOT).parts[0] for path in MODULES}

    assert set(MAY_IMPORT) == packages


@pytest.mark.parametrize(
    "path",
    sorted(Path(__file__).parent.rglob("test_*.py")),
    ids=lambda p: p.name,
)
def test_every_test_says_what_it_shows(path: Path) -> None:
    """Every test function has a docstring."""
    silent = [
        f"{path.name}:{node.lineno} {node.name}"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]

    assert [] == silent
