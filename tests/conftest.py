"""What all tests share: the real components, the corpus, the network guard.

========================  ==================================================
``opa_binary``            the pinned OPA
``opa_server``            address of an OPA server that runs ``policies/``
``postgresql_url``        a database of this process's own, on a throw-away
                          cluster; also in ``CURTILAGE_TEST_POSTGRESQL``
``database``              each kind of database in turn, for `build_world`
``chromium_executable``   a Chromium to open pages in
``corpus``                the folder of reference data beside the checkout
========================  ==================================================

Where a component is missing, the tests that need it are skipped, each with
the reason; under ``CI`` they fail, as does every skip but that of a test
marked ``corpus``. ``CURTILAGE_NO_POSTGRESQL=1`` starts no cluster.
"""

import logging
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
import structlog

from api.logs import LibraryHandler
from policy.bundle import load_bundle
from policy.compiling import build_server_bundle
from tests.databases import (
    KINDS,
    Kind,
    create_database,
    create_owner,
    drop_template,
)
from tests.long_first import pytest_collection_modifyitems
from tests.loopback import guard_network
from tests.parts import (
    ROOT,
    MissingPartError,
    chromium,
    is_ci,
    opa,
    postgresql,
)

__all__ = ["pytest_collection_modifyitems"]

DATABASE = "CURTILAGE_TEST_POSTGRESQL"
_SERVER = "CURTILAGE_TEST_POSTGRESQL_SERVER"
_SUPERUSER = "CURTILAGE_TEST_POSTGRESQL_SUPERUSER"
_ABSENT = "CURTILAGE_TEST_POSTGRESQL_ABSENT"
CORPUS = ROOT.parent / "shared" / "corpus"
_STARTED = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """Guard the network, and start one cluster for all processes."""
    guard_network()
    # No example fails for being slow on a busy machine; under CI the
    # examples are the same each time.
    hypothesis.settings.register_profile(
        "curtilage", deadline=None, derandomize=is_ci(), print_blob=True
    )
    hypothesis.settings.load_profile("curtilage")
    started = config.stash[_STARTED] = ExitStack()
    if DATABASE in os.environ and _SERVER not in os.environ:
        return  # somebody brought a database of their own
    worker = getattr(config, "workerinput", None)
    if worker is None and not config.getoption("collectonly"):
        _start_cluster(started)
    if _SERVER in os.environ:
        name = worker["workerid"] if worker else "alone"
        os.environ[DATABASE] = create_database(
            os.environ[_SERVER], f"curtilage_{name}"
        )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the cluster and remove it."""
    drop_template()
    config.stash[_STARTED].close()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs the reference data, where that is not here."""
    if item.get_closest_marker("corpus") and not CORPUS.is_dir():
        pytest.skip("the reference data ../shared/corpus is not here")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count a skip under CI as a failure: there everything can be had."""
    report = yield
    expected = hasattr(report, "wasxfail") or item.get_closest_marker("corpus")
    if report.skipped and is_ci() and not expected:
        report.outcome = "failed"
        report.longrepr = f"skipped under CI: {report.longrepr}"
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> None:
    """Close with one line for each real component."""
    terminalreporter.section("real components")
    for name, find in (
        ("OPA", opa.find),
        ("PostgreSQL", postgresql.find),
        ("Chromium", chromium.find),
    ):
        try:
            terminalreporter.write_line(str(find()))
        except MissingPartError as error:
            terminalreporter.write_line(f"{name} is missing: {error}")


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a test's command line or server set up for the logs."""
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root = logging.getLogger()
    for one in list(root.handlers):
        if isinstance(one, LibraryHandler):
            root.removeHandler(one)
    logging.getLogger("uvicorn").setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").disabled = False


@pytest.fixture(scope="session")
def opa_binary() -> Path:
    """Return the pinned OPA."""
    try:
        return opa.find().path
    except MissingPartError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def opa_server(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Run an OPA server with the policies, and return its address."""
    archive = tmp_path_factory.mktemp("bundle") / "bundle.tar.gz"
    build_server_bundle(
        opa_binary,
        ROOT / "policies",
        archive,
        revision=load_bundle().revision,
    )
    with opa.serve(opa_binary, ["--bundle", archive]) as address:
        yield address


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """Return the address of this process's own database."""
    if DATABASE not in os.environ:
        pytest.skip(os.environ.get(_ABSENT, "PostgreSQL was not started"))
    return os.environ[DATABASE]


@pytest.fixture(scope="session", params=KINDS)
def database(request: pytest.FixtureRequest) -> Kind:
    """Return each kind of database that an instance may stand on."""
    kind: Kind = request.param
    if kind is Kind.POSTGRESQL:
        request.getfixturevalue("postgresql_url")
    return kind


@pytest.fixture(scope="session")
def chromium_executable() -> Path:
    """Return a Chromium to open pages in."""
    try:
        return chromium.find().path
    except MissingPartError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Return the folder of reference data beside the checkout."""
    if not CORPUS.is_dir():
        pytest.skip("the reference data ../shared/corpus is not here")
    return CORPUS


def _start_cluster(started: ExitStack) -> None:
    if os.environ.get("CURTILAGE_NO_POSTGRESQL"):
        os.environ[_ABSENT] = "CURTILAGE_NO_POSTGRESQL is set"
        return
    try:
        server = started.enter_context(postgresql.cluster(postgresql.find()))
    except MissingPartError as error:
        os.environ[_ABSENT] = str(error)
        return
    os.environ[_SUPERUSER] = server
    started.callback(os.environ.pop, _SUPERUSER, None)
    os.environ[_SERVER] = create_owner(server)
    # A run inside this process, by pytester, starts its own.
    started.callback(os.environ.pop, _SERVER, None)
    started.callback(os.environ.pop, DATABASE, None)
