"""Fixtures of the contract tests: every promise runs on each framework and loop mode, against a real process."""

import functools
import os
import re
import signal
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import NamedTuple

import pytest
from hypothesis import settings

from shared.loops.modes import MODES
from shared.server.frameworks import FANOUTS, FRAMEWORKS, framework_of
from tests.support.first import coming_first
from tests.support.namespaces import can_unshare
from tests.support.quotas import can_limit
from tests.support.server import RunningServer, run_server

# Property tests draw the same examples every time, and none fails because the machine was busy.
settings.register_profile("tickbench", derandomize=True, deadline=None, database=None, max_examples=50)
settings.load_profile("tickbench")

FULL_SIZE = bool(os.environ.get("TICKBENCH_FULL_SIZE"))
"""Of the figures that the project promises; small in the ordinary run, beside other tests."""

ALL_ARMS = bool(os.environ.get("TICKBENCH_ALL_ARMS"))
"""Whether every contract test is run in every loop design."""

ALL_FRAMEWORKS = bool(os.environ.get("TICKBENCH_ALL_FRAMEWORKS"))
"""Whether every contract test is run on every framework."""

IN_FULL = tuple(next(iter(frameworks)) for frameworks in FRAMEWORKS.values())
"""Frameworks on which it is in any case: the default of each backend."""

IN_EVERY_MODE = (*IN_FULL, "starlette")
"""Frameworks that loop designs are run on with TICKBENCH_ALL_ARMS: the defaults, and what is unlike them in most."""

INFLATE_ALIKE = ("channels", "daphne")
"""Frameworks that inflate, and agree on it, by the code of Starlette or autobahn: asked of those."""

SERVERS = tuple((backend, framework) for backend, frameworks in FRAMEWORKS.items() for framework in frameworks)

DEFLATES: dict[str, tuple[str, ...]] = {
    "once": ("--deflate", "once", "--fanout", FANOUTS[0]),
    "on": ("--deflate", "on", "--fanout", "library"),
}
"""Flags of a server that takes deflate, by how; the fan-outs are those that can, whatever --serve-with says."""

Serve = Callable[..., AbstractContextManager[RunningServer]]
Share = Callable[..., RunningServer]


class Arm(NamedTuple):
    """A server that is to keep every promise."""

    backend: str
    framework: str
    mode: str

    @property
    def is_plain(self) -> bool:
        """Whether its framework is the backend's default."""
        return self.framework == next(iter(FRAMEWORKS[self.backend]))

    @property
    def is_in_full(self) -> bool:
        """Whether every contract test is run on its framework."""
        return ALL_FRAMEWORKS or self.framework in (IN_EVERY_MODE if ALL_ARMS else IN_FULL)

    @property
    def parses_with_websockets(self) -> bool:
        """Whether the parser of the library ``websockets`` is behind its framework."""
        return self.framework in {"starlette", "websockets", "channels"}

    @property
    def is_deaf_behind_an_end(self) -> bool:
        """Whether its library inflates to nothing what follows a block that says that it is the last."""
        return self.parses_with_websockets or self.framework in {"tornado", "autobahn", "daphne"}

    @property
    def waits_for_nobody(self) -> bool:
        """Whether what its framework broadcasts with, ``--fanout naive``, waits for no peer; see docs/protocol.md."""
        of_its_own = self.framework in {"websockets", "channels"} and self.mode != "condition"
        return of_its_own or self.framework in {"picows", "tornado", "autobahn", "daphne"}

    @property
    def is_deaf_while_it_writes(self) -> bool:
        """Whether, with ``--fanout naive``, a member's own handler writes, and hears nothing of its peer meanwhile."""
        return self.mode == "condition" or self.framework == "channels"

    @property
    def flags(self) -> tuple[str, ...]:
        """Those that make a server of its backend this one."""
        return "--framework", self.framework, "--mode", self.mode

    @property
    def name(self) -> str:
        """How the ids of tests name it."""
        return "-".join((self.backend, *([] if self.is_plain else [self.framework]), self.mode))


EVERY_ARM = tuple(Arm(*server, mode) for server in SERVERS for mode in MODES)


def _is_run(arm: Arm) -> bool:
    """Say whether any test is: a loop design is the same whatever framework it has."""
    return arm.mode == MODES[0] or arm.is_plain or (ALL_ARMS and arm.framework in IN_EVERY_MODE)


ARMS = tuple(filter(_is_run, EVERY_ARM))


def pytest_configure() -> None:
    """Take interrupts: a shell that starts tests in the background ignores them, and every child would inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--serve-with", default="", help="flags for every server of the contract tests: --fanout library")


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """
    Have a test run on the arms that may differ in it.

    Of tests that are marked with ``modes`` on no others, which have no such thing; of tests that are marked with
    ``differs`` not in designs that do here what the default one does, by the same code: they run with
    TICKBENCH_ALL_ARMS; and of tests that are not marked with ``framework`` not on frameworks beyond IN_FULL, for
    what is tested is no code of a framework: they run with TICKBENCH_ALL_FRAMEWORKS. So do, of tests that are marked
    with ``framework`` and the values of parameters, those with other values: those ways are ours alone.
    """
    marks = metafunc.definition.iter_markers("parametrize")
    named = [
        name
        for mark in marks
        for name in (re.split(r",\s*", mark.args[0]) if isinstance(mark.args[0], str) else mark.args[0])
    ]
    if "arm" in metafunc.fixturenames and "arm" not in named:  # which is another one
        arms = [arm for arm in ARMS if _is_asked(metafunc.definition, arm)]
        metafunc.parametrize("arm", arms, indirect=True, ids=lambda arm: arm.name, scope="session")


def _is_asked(test: pytest.Item, arm: Arm) -> bool:
    if not (arm.is_in_full or test.get_closest_marker("framework")):
        return False
    differs = test.get_closest_marker("differs")
    if differs and not ALL_ARMS:
        return arm.mode in (MODES[0], *differs.args)
    modes = test.get_closest_marker("modes")
    return modes is None or arm.mode in modes.args


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Leave out, and not skip: a skipped test is a missing tool.

    What is only for a machine that does nothing else, for one that lets a quota be set or a namespace be made, or for
    servers that have our policy for slow consumers, if ``--serve-with`` asks for the fan-out that has none; of
    tests with ``deflate`` what a framework can't do; and of tests with ``framework`` and values what is ours.
    """
    left_out = [item for item in items if _is_unfit(item) or _is_unable(item) or _is_ours(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        unfit = set(left_out)
        items[:] = [item for item in items if item not in unfit]


def _is_unfit(item: pytest.Item) -> bool:
    unshare = item.get_closest_marker("unshare")
    return bool(
        (item.get_closest_marker("full_size") and not FULL_SIZE)
        or (item.get_closest_marker("quota") and not can_limit())
        or (unshare and not can_unshare(unshare.args))
        or (item.get_closest_marker("policy") and "naive" in item.config.getoption("--serve-with").split())
    )


def _is_unable(item: pytest.Item) -> bool:
    params = _params(item)
    arm, deflate = params.get("arm"), params.get("deflate")
    return bool(
        isinstance(arm, Arm)
        and deflate in DEFLATES
        and deflate not in framework_of(arm.backend, arm.framework).deflates
    )


def _is_ours(item: pytest.Item) -> bool:
    params, framework = _params(item), item.get_closest_marker("framework")
    arm = params.get("arm")
    return bool(
        isinstance(arm, Arm)
        and not arm.is_in_full
        and framework
        and framework.args
        and (
            not {value for value in params.values() if isinstance(value, str)} & {*framework.args}
            or (arm.framework in INFLATE_ALIKE and "on" in framework.args)
        )
    )


def _params(item: pytest.Item) -> dict[str, object]:
    return item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}


@pytest.fixture(autouse=True)
def nobody_else_first(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have nobody come first on the cores while a test runs that says what cores were taken."""
    group = request.node.get_closest_marker("xdist_group")
    with coming_first() if group and group.args == ("cores",) else nullcontext():
        yield


@pytest.fixture(scope="session")
def arm(request: pytest.FixtureRequest) -> Arm:
    arm: Arm = request.param
    return arm


@pytest.fixture(scope="session")
def backend(arm: Arm) -> str:
    return arm.backend


@pytest.fixture(scope="session")
def serve(arm: Arm, request: pytest.FixtureRequest) -> Serve:
    """``with serve("--flag", ...) as server``: a server of the test's own."""
    more = request.config.getoption("--serve-with").split()

    def serve_arm(*flags: str, faulty: bool = False, logs: bool = False) -> AbstractContextManager[RunningServer]:
        return run_server(arm.backend, *arm.flags, *more, *flags, faulty=faulty, logs=logs)

    return serve_arm


@pytest.fixture(scope="session")
def servers(serve: Serve) -> Iterator[Share]:
    """Servers that tests share, by their flags; each runs until no more tests of its arm come."""
    with ExitStack() as stack:
        yield functools.cache(lambda *flags, **fields: stack.enter_context(serve(*flags, **fields)))


@pytest.fixture
def share(servers: Share) -> Iterator[Share]:
    """``share("--flag", ...)``: a server that tests with the same flags share, each in a room of its own."""
    used: list[RunningServer] = []

    def shared_server(*flags: str, faulty: bool = False, logs: bool = False) -> RunningServer:
        used.append(servers(*flags, faulty=faulty, logs=logs))
        return used[-1]

    yield shared_server
    for server in used:
        server.settle()


@pytest.fixture
def server(share: Share) -> RunningServer:
    """A server with the limits of the protocol, and quick ticks."""
    # No tick budget: what other tests make the machine do must not refuse anybody here.
    return share("--tick-rate", "50", "--tick-budget", "0", "--echo")


@pytest.fixture
def plain_server(share: Share) -> RunningServer:
    """A server that takes no deflate, and is else as ``server``."""
    return share("--tick-rate", "50", "--tick-budget", "0", "--echo", "--deflate", "off")


@pytest.fixture(scope="session", params=DEFLATES)
def deflate(request: pytest.FixtureRequest) -> str:
    """How a server takes deflate: ``on``, as its framework does where it can, or ``once``, as ours does."""
    name: str = request.param
    return name


@pytest.fixture
def deflating(share: Share, deflate: str) -> RunningServer:
    """A server that takes deflate, and is else as ``server``."""
    return share("--tick-rate", "50", "--tick-budget", "0", "--echo", *DEFLATES[deflate])


@pytest.fixture
def hasty_server(share: Share) -> RunningServer:
    """A server with short time limits."""
    limits = {"handshake-limit": 0.5, "new-player-limit": 0.5, "fault-window": 0.3, "room-linger": 0.1}
    flags = [word for name, value in limits.items() for word in (f"--{name}", str(value))]
    return share("--tick-rate", "50", "--tick-budget", "0", *flags)


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """
    The name of a room that no other test knows.

    It is the same in every run: the seed of a room's random numbers is its name.
    """
    return f"t{zlib.crc32(request.node.nodeid.encode()):08x}"
