"""
What a proxy adds to lateness, and TLS: one server, loaded directly, through HAProxy, and through HAProxy with TLS.

``python -m tests.bench.proxies FOLDER [--backend asyncio] [--connections 500]`` starts a server and two HAProxys on the
first core, the second with a certificate of its own authority, which the load test trusts; ``tickbench compare`` loads
the three ways in blocks. FOLDER keeps the report. Then it prints the medians and ranges, and the ratios to the direct
way with their 95 % intervals. Nothing else should run meanwhile: it takes four minutes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.support.certificates import make_certificate
from tests.support.proxies import haproxy
from tests.support.server import run_server
from tickbench.compare.block_ratios import logs_of
from tickbench.compare.figures import BY_KEY
from tickbench.compare.results import read_results
from tickbench.compare.runs import RunIndex
from tickbench.statistics.verdicts import paired_ratio
from tickbench.verdict.arm_medians import cell

FLAGS = ("--tick-rate", "20", "--bots", "10", "--seed", "20", "--tick-budget", "0")
NOT_VALID = 3
"""Exit status where a run can't be trusted."""
WAYS = ("direct", "HAProxy", "HAProxy with TLS")
FIGURES = ("tick_lateness_ms.p50", "tick_lateness_ms.p99", "generator.us_per_frame", "frames.bytes_a_frame")
SUITE = """
name = "proxies"
arms = [{arms}]
scenario = "steady"
connections = {connections}
duration_s = 8.0
warm_up_s = 2.0
repeats = {blocks}
seed = 20
stop_after = 0
[load]
beside = "{beside}"
"""


def lines(index: RunIndex, arms: Sequence[str]) -> Iterator[str]:
    """Yield a table, a way a row, and the ratios of each way to the direct one."""
    yield f"| way | valid | {' | '.join(BY_KEY[key].name for key in FIGURES)} | TLS handshake p50, ms |"
    yield f"|---|---|{'---|' * len(FIGURES)}---|"
    for way, arm in zip(WAYS, arms, strict=True):
        runs = index.block_runs(arm)
        found = [cell(BY_KEY[key], runs) for key in FIGURES]
        cells = [f"{each.median} ({each.range})" if each.range else each.median for each in found]
        shaken = [run.load.connections.tls_ms for run in runs if run.load is not None]
        tls = ", ".join(f"{each.p50:.1f}" for each in shaken if each is not None and each.p50 is not None) or "-"
        yield f"| {way} | {sum(run.is_valid for run in runs)} of {len(runs)} | {' | '.join(cells)} | {tls} |"
    for way, arm in zip(WAYS[1:], arms[1:], strict=True):
        for key in FIGURES[:3]:
            ratio = paired_ratio(list(logs_of(index, key, arms[0], arm).values()))
            if ratio is not None:
                yield f"{way} to direct, {BY_KEY[key].title}: {ratio.words}, {ratio.blocks} blocks"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backend", choices=["asyncio", "gevent"], default="asyncio")
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--blocks", type=int, default=5)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    usable = os.sched_getaffinity(0)
    with ExitStack() as ends:
        certificate = make_certificate(Path(ends.enter_context(tempfile.TemporaryDirectory())))
        ends.callback(os.sched_setaffinity, 0, usable)
        os.sched_setaffinity(0, {min(usable)})  # what we start inherits it
        server = ends.enter_context(run_server(given.backend, *FLAGS, cold=True))
        plain = ends.enter_context(haproxy(server.address[1]))
        secure = ends.enter_context(haproxy(server.address[1], certificate))
        os.sched_setaffinity(0, usable)
        arms = [f"url={url}" for url in (server.url, plain.ws_url, secure.ws_url)]
        suite = given.folder / "proxies.toml"
        quoted = ", ".join(f'"{arm}"' for arm in arms)
        beside = ",".join(str(proxy.process.pid) for proxy in (plain, secure))  # on the server's core, on purpose
        words = SUITE.format(arms=quoted, connections=given.connections, blocks=given.blocks, beside=beside)
        suite.write_text(words, "utf-8")
        command = [sys.executable, "-m", "tickbench", "compare", "--suite", str(suite), "--out", str(given.folder)]
        trusting = {**os.environ, "SSL_CERT_FILE": str(certificate.authority)}
        status = subprocess.run(command, env=trusting, check=False).returncode
    if status:
        return status
    index = read_results(given.folder / "latest").index
    sys.stdout.write("\n".join([*lines(index, arms), ""]))
    return 0 if all(run.is_valid for arm in arms for run in index.block_runs(arm)) else NOT_VALID


if __name__ == "__main__":
    sys.exit(main())
