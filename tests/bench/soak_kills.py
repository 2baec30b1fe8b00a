"""Kill at random moments of mixed load, and demand what was acknowledged.

Each round serves an instance with `curtilage serve`, alone or with two
workers, on SQLite or on PostgreSQL. One process asks the server about people
(`kill_reader`); another gives and withdraws consents, shows, corrects,
erases and signs (`kill_desk`). At a random moment the server, one of its
workers or the desk gets SIGKILL; what died is started again, and
`kill_books` holds the instance against all that had been acknowledged. At
the end ledger and vault are verified by their commands.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from typer.testing import CliRunner

from api.cli.main import build
from tests.bench.kill_books import Audit, Books, LostError
from tests.bench.room import Needs
from tests.databases import ADDRESS as SERVER
from tests.databases import Kind, create_owner, drop_template
from tests.parts import MissingPartError, postgresql
from tests.serving import Served, serving
from tests.worlds import ADDRESS, NUMBER, World, build_world, reopen

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=1_000_000_000, seconds=3000),
    True: Needs(bytes=4_000_000_000, seconds=15_000),
}
ENDS_IN_TIME = True
KILLS = {False: 200, True: 1000}  # on each database
WORKERS = (2, 1)
SETTLED = 12
PASSING = 800
# How long the load runs before a kill, at most.
_MOMENT = 1.5
_READY_SECONDS = 120
# Workers that are killed more often without a pause look like workers that
# cannot start, and the parent gives them up.
_WORKER_KILLS = 3


@dataclass(slots=True, kw_only=True)
class Client:
    """A client process, and the thread that writes its words down."""

    process: "subprocess.Popen[str]"
    books: Books
    ready: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    fault: LostError | None = None

    def listen(self) -> None:
        """Write down what it says, until it is dead and all is read."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.endswith("\n"):
                return  # killed in the middle of a word
            said = json.loads(line)
            self.ready.set()
            try:
                self.books.take(said)
            except LostError as error:
                self.fault = error

    def kill(self) -> None:
        """Kill it, and hear what it had said."""
        self.process.kill()
        self.process.wait()
        if self.thread is not None:
            self.thread.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.demand_sound()

    def demand_sound(self) -> None:
        """Raise what it met that is no refusal."""
        if self.fault is not None:
            raise self.fault

    def await_ready(self) -> None:
        """Wait until it has said something."""
        deadline = time.monotonic() + _READY_SECONDS
        while not self.ready.wait(0.1):
            if self.process.poll() is not None or time.monotonic() > deadline:
                msg = f"a client does not start: {self.process.args!r}"
                raise LostError(msg)


def measure(
    *, full: bool, folder: Path, seconds: float | None = None
) -> dict[str, object]:
    """Kill as often as asked, or as time allows; a loss is an error.

    Args:
        full: more kills.
        folder: for instances and a cluster.
        seconds: how long it may take, at most.

    Returns:
        For each database what was killed and what was acknowledged.

    """
    seed = int(os.environ.get("SEED") or random.SystemRandom().getrandbits(32))
    _say(f"SEED={seed} repeats these moments and choices")
    found: dict[str, object] = {"seed": seed}
    share = None if seconds is None else seconds / len(Kind) / len(WORKERS)
    with ExitStack() as stack:
        try:
            stack.enter_context(_cluster())
        except MissingPartError as error:
            _say(f"PostgreSQL is left out: {error}")
        for kind in Kind:
            if kind is Kind.POSTGRESQL and SERVER not in os.environ:
                found[kind.value] = "left out"
                continue
            for workers in WORKERS:
                place = f"{kind.value}, workers {workers}"
                found[place] = soak(
                    folder / f"{kind.value}-{workers}",
                    kind,
                    workers=workers,
                    kills=KILLS[full] // len(WORKERS),
                    seed=seed,
                    seconds=share,
                )
    return found


def soak(
    home: Path,
    kind: Kind,
    *,
    workers: int,
    kills: int,
    seed: int,
    seconds: float | None = None,
    passing: int = PASSING,
) -> dict[str, object]:
    """Kill one kind of instance, again and again.

    Args:
        home: folder of the instance.
        kind: of its database.
        workers: of the server.
        kills: how many.
        seed: of the moments and of what the clients do.
        seconds: no kill comes later than this.
        passing: how many people there are to erase.

    Returns:
        What was killed how often, and what was acknowledged.

    Raises:
        LostError: an invariant does not hold.

    """
    end = None if seconds is None else time.monotonic() + seconds
    with build_world(
        home, database=kind, extra=SETTLED + passing, log_level="error"
    ) as world:
        run = _Run(world, workers=workers, seed=seed)
        try:
            while run.kills.total() < kills and not _past(end):
                run.round(kills, end)
            run.end()
        finally:
            run.close()
        _verify(home)
    return {"kills": dict(run.kills), **run.books.count()}


class _Run:
    """One instance under load."""

    def __init__(self, world: World, *, workers: int, seed: int) -> None:
        self.books = Books()
        self.kills: Counter[str] = Counter()
        self._world = world
        self._workers = workers
        self._seed = seed
        self._draw = random.Random(seed)  # noqa: S311 - moments, not keys
        extra = [name for name in world.cast if name.startswith("extra-")]
        self._settled = extra[:SETTLED]
        self._passing = extra[SETTLED:]
        self._looking = reopen(world)
        self._audit = Audit(
            self._looking,
            self.books,
            [world.cast[name] for name in self._settled],
        )
        self._desk: Client | None = None
        # The server was killed, and not yet seen to come up again.
        self._owing = False

    def round(self, kills: int, end: float | None) -> None:
        """Serve, and kill until the server itself was killed."""
        with self._serving() as server:
            reader = self._start_reader(server)
            try:
                in_turn = 0
                while self.kills.total() < kills and not _past(end):
                    self._calm(reader)
                    time.sleep(self._draw.random() * _MOMENT)
                    what = self._choose(in_turn)
                    self._kill(what, server)
                    self.kills[what] += 1
                    _say(f"   {self.kills.total()}/{kills} {what} killed")
                    in_turn += what == "worker"
                    self._owing = what == "server"
                    if self._owing:
                        return
                self._audit.run()
            finally:
                reader.kill()

    def end(self) -> None:
        """Start again what was killed last, and look at everything."""
        if self._owing:
            with self._serving():
                self._audit.run()
        if self._desk is not None:
            self._desk.kill()
        whole = reopen(self._world)
        try:
            whole.ledger.settle()
            Audit(
                whole,
                self.books,
                [self._world.cast[name] for name in self._settled],
            ).run()
            journaled = {one.subject for one in whole.journal.completed()}
            if missing := self.books.erased.keys() - journaled:
                msg = f"{len(missing)} erasures are not in the journal"
                raise LostError(msg)
        finally:
            whole.close()

    def close(self) -> None:
        """Leave no process behind."""
        if self._desk is not None and self._desk.process.poll() is None:
            self._desk.process.kill()
            self._desk.process.wait()
        self._looking.close()

    def _serving(self) -> AbstractContextManager[Served]:
        return serving(self._world, workers=self._workers, by_command=True)

    def _calm(self, reader: Client) -> None:
        """Bring all clients up, and look at what the last kill left."""
        if self._desk is None:
            self._desk = self._start_desk()
        reader.await_ready()
        self._desk.await_ready()
        self._audit.run()
        reader.demand_sound()
        self._desk.demand_sound()

    def _choose(self, in_turn: int) -> str:
        if self._workers > 1 and in_turn < _WORKER_KILLS:
            return self._draw.choice(("worker", "worker", "server", "desk"))
        return self._draw.choice(("server", "server", "desk"))

    def _kill(self, what: str, server: Served) -> None:
        if what == "desk":
            assert self._desk is not None
            self._desk.kill()
            self._desk = None
        elif what == "worker":
            started = _children(server.process.pid)
            os.kill(self._draw.choice(started), signal.SIGKILL)
        else:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()

    def _start_reader(self, server: Served) -> Client:
        names = [*self._settled * 8, *self._passing]
        questions = [
            (str(self._world.cast[name]), self._question(name))
            for name in names
        ]
        return self._start(
            ("kill_reader", str(server.port), server.token), questions
        )

    def _question(self, name: str) -> str:
        number = self._world.values[name][NUMBER]
        return json.dumps(
            {
                "person": {
                    "identifier": {"attribute": NUMBER, "value": number}
                },
                "attributes": ADDRESS,
                "understands": ["delete_by", "mask", "notify"],
            }
        )

    def _start_desk(self) -> Client:
        cast, books = self._world.cast, self.books
        people = {
            "settled": [str(cast[name]) for name in self._settled],
            "passing": [
                str(cast[name])
                for name in self._passing
                if cast[name] not in books.erasing
            ],
        }
        return self._start(("kill_desk", str(self._world.home)), people)

    def _start(self, command: tuple[str, ...], given: object) -> Client:
        name, *arguments = command
        seed = self._draw.getrandbits(32)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", f"tests.bench.{name}"),
                *(*arguments, str(seed)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        with process.stdin:
            json.dump(given, process.stdin)
        client = Client(process=process, books=self.books)
        client.thread = threading.Thread(target=client.listen)
        client.thread.start()
        return client


def _verify(home: Path) -> None:
    """Verify ledger and vault as an operator would."""
    for command in (("ledger", "verify"), ("vault", "verify")):
        said = CliRunner().invoke(build(), ["--home", str(home), *command])
        if said.exit_code != 0:
            msg = f"{' '.join(command)}: {said.output}"
            raise LostError(msg)


def _children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(one) for one in path.read_text("ascii").split()]


@contextmanager
def _cluster() -> Iterator[None]:
    """Run a PostgreSQL of our own, unless somebody runs one for us."""
    if SERVER in os.environ:
        yield
        return
    with postgresql.cluster(postgresql.find()) as server:
        os.environ[SERVER] = create_owner(server)
        try:
            yield
        finally:
            drop_template()
            del os.environ[SERVER]


def _past(end: float | None) -> bool:
    return end is not None and time.monotonic() > end


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
