"""What a report says in sentences. Pure; knows nothing of HTML or Markdown."""

from shared.measure.histogram import Histogram
from tickbench.checks import is_valid
from tickbench.results import Results
from tickbench.rows import counted_runs

STACK_PACKAGES = ("aiohttp", "gevent", "gevent-websocket", "flask", "greenlet", "locust", "msgspec", "tickbench")
"""Those whose versions are worth a look before all others."""


def measured_sentence(results: Results) -> str:
    """Say what was measured."""
    suite, pinning = results.record.suite, results.environment.machine.pinning
    load = f"{_counted(len(suite.arms), 'arm')} to {_counted(suite.connections, 'connection')}"
    rate, bots = suite.server.get("tick-rate", "20"), suite.server.get("bots", 0)
    cores = "server and generator unpinned"
    if pinning.server is not None and pinning.generator is not None:
        cores = f"server on core {pinning.server[0]}, generator on core {pinning.generator[0]}"
    return (
        f"The same game was served by {load} in one room at {rate} Hz with {bots} bots (scenario {suite.scenario}), "
        f"{suite.duration_s:g} s measured a run after {suite.warm_up_s:g} s of warm-up; {cores}; one host, loopback."
    )


def basis_sentence(results: Results) -> str:
    """Say what it rests on, and that no verdict is drawn from it."""
    suite = results.record.suite
    planned, finished = len(suite.arms) * suite.repeats, sum(run.load is not None for run in results.runs)
    valid = sum(map(is_valid, results.runs))
    lead = (
        f"It rests on {finished} of {_counted(planned, 'planned run')}, {valid} of them valid, each in fresh processes"
    )
    return f"{lead}; {_counted(suite.repeats, 'repeat')}: no verdict is given, a difference may be noise."


def stopped_early_sentence(results: Results) -> str:
    """Say that runs are missing; empty if none is."""
    planned = len(results.record.suite.arms) * results.record.suite.repeats
    missing = planned - len(results.runs)
    if missing <= 0:
        return ""
    return f"The comparison was stopped early: {missing} of {_counted(planned, 'run')} not made."


def environment_facts(results: Results) -> list[tuple[str, str]]:
    """Return the environment as names and words, the most telling first."""
    environment = results.environment
    machine, python = environment.machine, environment.python
    soft, hard = machine.descriptor_limits
    governors = {governor for governor in machine.governors.values() if governor}
    return [
        ("recorded", environment.recorded_at),
        ("stack", ", ".join(f"{name} {version}" for name, version in _stack(environment.packages))),
        ("Python", f"{python.implementation} {python.version} ({', '.join(python.build)}; {python.compiler})"),
        ("garbage collector", f"thresholds {', '.join(map(str, python.gc_thresholds))}; {_gil(python.has_gil)}"),
        ("processor", f"{machine.cpu_model}, {machine.cores} cores, {len(machine.usable_cores)} usable"),
        ("system", f"{machine.system}, {machine.architecture}, {machine.memory_bytes / 2**30:.1f} GiB of memory"),
        ("pinning", machine.pinning.warning or "server and generator on cores of their own"),
        ("governor", ", ".join(sorted(governors)) or "none shown"),
        ("clock source", machine.clock_source or "unknown"),
        ("open files", f"soft limit {soft}, hard limit {hard}; children run with the hard one"),
        ("load average", ", ".join(f"{load:.2f}" for load in machine.load_average) + " at the start"),
        ("steal", f"{machine.steal_percent:.1f} % at the start"),
        ("boot", machine.boot_id or "unknown"),
        (
            "variables",
            ", ".join(f"{key}={value}" for key, value in environment.variables.items()) or "none that matter",
        ),
        ("commit", _commit(environment.git_commit, environment.git_is_clean)),
    ]


def percentile_rows(results: Results) -> list[tuple[str, list[str]]]:
    """Return for each arm the pooled tick lateness of its counted runs as texts: :data:`PERCENTILE_TITLES`."""
    rows = []
    for arm in results.record.suite.parsed_arms():
        pooled = pooled_lateness(results, arm.name)
        rows.append((arm.name, _percentile_words(pooled) if pooled.count else ["-"] * len(PERCENTILE_TITLES)))
    return rows


PERCENTILE_TITLES = ["ticks", "mean", "p50", "p90", "p99", "p99.9", "max"]
TICKS_FOR_P999 = 10_000


def pooled_lateness(results: Results, arm: str) -> Histogram:
    """Merge the tick lateness of an arm's counted runs."""
    pooled = Histogram()
    for load in counted_runs(arm, results.runs):
        pooled.add(Histogram.from_summary(load.tick_lateness_ms))
    return pooled


def _percentile_words(pooled: Histogram) -> list[str]:
    percentiles = [f"{pooled.percentile_us(percent) / 1000:.2f}" for percent in (50, 90, 99)]
    p999 = f"{pooled.percentile_us(99.9) / 1000:.2f}" if pooled.count >= TICKS_FOR_P999 else "too few ticks"
    return [f"{pooled.count:,}", f"{pooled.mean_us / 1000:.2f}", *percentiles, p999, f"{pooled.max_us / 1000:.2f}"]


def _stack(packages: dict[str, str]) -> list[tuple[str, str]]:
    versions = {name.lower().replace("_", "-"): version for name, version in packages.items()}
    return [(name, versions[name]) for name in STACK_PACKAGES if name in versions]


def _gil(has_gil: bool) -> str:
    return "with the GIL" if has_gil else "built without the GIL"


def _commit(commit: str | None, is_clean: bool | None) -> str:
    if commit is None:
        return "not run from a checkout"
    return commit if is_clean else f"{commit}, with changes that are not committed"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
