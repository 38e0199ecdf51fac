"""
Predicts what more cores carry, from what ``tickbench compare --suite scale`` measured, by the model of docs/scaling.md.

``python -m tests.bench.scaling results/ID [--cores 2 8 64] [--share 0.7]`` prints what the parts cost (CPU of a server
and of HAProxy for each frame sent, medians and ranges of the blocks), and for each number of cores how many of them
should be servers, and how many rooms and players they carry before the first server is full. Only runs that are valid
count. Nothing is measured here.
"""

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

ALONE, BEHIND_HAPROXY, TWO = "asyncio", "asyncio:processes=1", "asyncio:processes=2"
DRAWS = 40
"""How often rooms are dealt out to servers, to see how unevenly they fall."""


class Parts(NamedTuple):
    """CPU time for each frame that is sent, in us."""

    server_us: float
    proxy_us: float


class Prediction(NamedTuple):
    """What so many cores carry."""

    cores: int
    servers: int
    rooms: float

    @property
    def proxies(self) -> int:
        """Cores that are HAProxy's."""
        return self.cores - self.servers


def costs_us(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    """Return the CPU time a frame by arm and block, of valid runs; of an arm that ran again, the first."""
    costs: dict[str, dict[int, float]] = defaultdict(dict)
    for run in runs:
        load = run["load"]
        if run["part"] == "blocks" and not run["again"] and load and load["validity"]["ok"]:
            costs[run["arm"]][run["block"]] = load["server"]["cpu_us_per_frame"]
    return costs


def parts_of(costs: Mapping[str, Mapping[int, float]]) -> list[Parts]:
    """Return the parts by block: what HAProxy takes is what a server behind it takes more than one alone."""
    alone, behind = costs[ALONE], costs[BEHIND_HAPROXY]
    return [Parts(alone[block], behind[block] - alone[block]) for block in sorted(alone.keys() & behind.keys())]


def rooms_until_full(servers: int, rooms_a_server: int) -> float:
    """
    Return how many rooms may be open, on average, before one server has more than it carries.

    Each room goes to a server by the hash of its name, as drawn by lot: balls into bins, and the fullest is the limit.
    """
    luck = random.Random(servers)
    return mean(_deal(luck, servers, rooms_a_server) for _ in range(DRAWS))


def _deal(luck: random.Random, servers: int, rooms_a_server: int) -> int:
    held = [0] * servers
    for rooms in range(servers * rooms_a_server + 1):
        server = luck.randrange(servers)
        if held[server] == rooms_a_server:
            return rooms
        held[server] += 1
    raise AssertionError("more rooms than all can hold")


def predict(cores: int, parts: Parts, share: float, frames_a_room: float) -> Prediction:
    """Return the best split of cores, of each of which ``share`` is used: servers, and threads of HAProxy."""
    best = Prediction(cores, 0, 0)
    full_us = share * 1_000_000
    a_server = int(full_us / parts.server_us / frames_a_room)
    for servers in range(1, cores):
        by_proxy = (cores - servers) * full_us / max(parts.proxy_us, 0.001) / frames_a_room
        if by_proxy <= best.rooms:
            break  # with fewer threads of HAProxy it only gets less
        rooms = min(rooms_until_full(servers, a_server), by_proxy)
        if rooms > best.rooms:
            best = Prediction(cores, servers, rooms)
    return best


def lines(costs: Mapping[str, Mapping[int, float]], cores: Sequence[int], share: float, load: Any) -> Iterator[str]:
    """Yield what the parts cost and what is predicted of them."""
    blocks = parts_of(costs)
    if not blocks:
        raise SystemExit(f"error: no block in which both {ALONE} and {BEHIND_HAPROXY} are valid")
    of_all = Parts(median(each.server_us for each in blocks), median(each.proxy_us for each in blocks))
    for name, values in (
        ("a server", [each.server_us for each in blocks]),
        ("HAProxy", [each.proxy_us for each in blocks]),
        ("two servers and HAProxy, all", [*costs.get(TWO, {}).values()]),
    ):
        if values:
            spread = f"{min(values):.1f} to {max(values):.1f}, {len(values)} blocks"
            yield f"{name}: {median(values):.1f} us a frame ({spread})"
    members = load["connections"]["requested"] / load["rooms"]
    frames_a_room = members * load["tick_rate_hz"]
    yield f"a room: {members:g} members, {load['tick_rate_hz']:g} Hz; of a core is used: {100 * share:g} %"
    yield ""
    yield "| cores | servers | HAProxy | rooms | players | players, by the dearest and the cheapest block |"
    yield "|---|---|---|---|---|---|"
    for count in cores:
        best = predict(count, of_all, share, frames_a_room)
        ends = [predict(count, each, share, frames_a_room).rooms * members for each in blocks]
        players = f"{best.rooms * members:,.0f} | {min(ends):,.0f} to {max(ends):,.0f}"
        yield f"| {count} | {best.servers} | {best.proxies} | {best.rooms:,.0f} | {players} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--cores", type=int, nargs="+", default=[2, 8, 64])
    parser.add_argument("--share", type=float, default=0.7, help="of a core, that may be used before ticks are late")
    parser.add_argument("--rooms", type=int, default=30, help="that the suite's connections are in")
    given = parser.parse_args()
    runs = [json.loads(path.read_text("utf-8")) for path in sorted((given.results / "runs").glob("*.json"))]
    if not runs:
        parser.error(f"{given.results}: no runs in it; right would be the folder that compare wrote")
    load = {**next(run["load"] for run in runs if run["load"]), "rooms": given.rooms}
    sys.stdout.write("\n".join([*lines(costs_us(runs), given.cores, given.share, load), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
