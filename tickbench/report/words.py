"""Write the sentences and facts of a report, for the HTML page, the Markdown file and the screen."""

import msgspec

from shared.measure.histogram import Histogram
from shared.measure.quota import quota_words
from shared.measure.summary import FOR_ANOTHER
from tickbench.compare.suite import BLOCKS, TOGETHER
from tickbench.machine.environment import Environment
from tickbench.report.document import Document
from tickbench.report.news import counted_words, listed
from tickbench.verdict.comparisons import Comparisons

OF_SERVERS = (
    "aiohttp",
    "starlette",
    "uvicorn",
    "websockets",
    "picows",
    "tornado",
    "autobahn",
    "twisted",
    "channels",
    "django",
    "daphne",
    "channels-redis",
    "redis",
    "gevent",
    "gevent-websocket",
    "flask",
    "flask-sock",
    "simple-websocket",
    "greenlet",
)
STACK_PACKAGES = (*OF_SERVERS, "locust", "msgspec", "tickbench")
"""Packages whose versions are shown before all others."""


def verdict_sentences(document: Document) -> list[str]:
    """Return what came out, first what matters most: the news, and what the news rest on."""
    return [document.news, basis_sentence(document)]


def basis_sentence(document: Document) -> str:
    """Say what the verdict rests on: how many blocks, what noise looks like here, and why they were not all made."""
    suite = document.suite
    blocks = [run for run in document.runs if run.part == BLOCKS and run.mark != "superseded"]
    made = len({run.block for run in blocks})
    counted = counted_words(made, "block") if made == suite.repeats else f"{made} of {suite.repeats} blocks"
    rate, bots = suite.server.get("tick-rate", "20"), suite.server.get("bots", 0)
    room = "rooms" if suite.has_rooms else "one room"
    length = f"{suite.together_s:g} s at once" if document.is_together else f"{suite.alone_s:g} s a run"
    lead = (
        f"This rests on {counted} of {counted_words(suite.connections, 'connection')} in "
        f"{room} at {rate} Hz with {bots} bots, {length}"
    )
    lead = f"{lead}; {floor_words(document.comparisons)}." if suite.again is not None else f"{lead}."
    return " ".join(filter(None, [lead, document.comparisons.ended_early]))


def floor_words(comparisons: Comparisons) -> str:
    """Say how far an arm differed from itself, figure by figure: the noise of this machine."""
    known = [each for each in comparisons.floor if each.ratio is not None and each.ratio.low is not None]
    if not known:
        return "how far an arm differs from itself here is not known"
    parts = [f"{each.title} {each.ratio.low:.2f} to {each.ratio.high:.2f}" for each in known if each.ratio is not None]
    return f"beside itself (A/A) {known[0].first} had, in times, {listed(parts)}"


def stopped_early_sentence(document: Document) -> str:
    """Say that runs are missing; empty if none is."""
    if document.is_complete:
        return ""
    return (
        "The comparison was stopped early: runs are missing; tickbench compare --resume, with this folder, makes "
        "them. A ratio of two arms leaves out the blocks in which one of them is missing."
    )


def measured_sentence(document: Document) -> str:
    """Say how it was measured."""
    pinning = document.environment.machine.pinning
    cores = "server and generator unpinned"
    if pinning.server is not None and pinning.generator is not None:
        several = "s" if len(pinning.server) > 1 else ""
        servers = listed([str(core) for core in pinning.server])
        cores = f"server on core{several} {servers}, generator on core {pinning.generator[0]}"
    machine = document.environment.machine
    others = [arm.name for arm in document.suite.parsed_arms() if arm.url is not None or arm.command is not None]
    foreign = f" {', '.join(others)}: not ours, so none of the flags of [server] reach it." if others else ""
    host = "Servers wherever their URLs are" if any(arm.startswith("url=") for arm in others) else "One host, loopback"
    usable = f"{len(machine.usable_cores)} usable"
    scaling = _scaling_words(document)
    return f"{host}, {cores} of {usable}: ratios carry over, absolute times do not.{foreign}{scaling}"


def _scaling_words(document: Document) -> str:
    """Say that scaling was not measured, where there are clusters of more processes than the server has cores."""
    cores = len(document.environment.machine.pinning.server or [0])
    crowded = [arm.name for arm in document.suite.parsed_arms() if arm.processes > cores]
    if not crowded:
        return ""
    where = "one core" if cores == 1 else f"{cores} cores"
    return f" All processes of {listed(crowded)} share {where}: this is what they cost, and not how they scale."


def slots_sentence(document: Document) -> str:
    """Say whether the blocks were measured in slots, and which parts were not, or why the blocks were not."""
    suite = document.suite
    if not suite.in_slots:
        foreign = [arm.name for arm in suite.parsed_arms() if arm.url is not None]
        why = "the suite has no slot_s"
        if suite.slot_s:
            why = f"tickbench did not start {listed(foreign)}, and makes nothing else stand still"
        return f"In the blocks each run is whole, one arm after the other: {why}."
    whole = [side.name for side in suite.sides] + [search.name for search in suite.searches if not search.slot_s]
    return (
        f"In the blocks the arms are measured side by side, in slots of {suite.slot_s:g} s: one runs, the others stand "
        "still (SIGSTOP) with their connections open. What follows a waking is thrown away, until TCP takes the pause "
        "for over. A slot that the machine spoiled is left out, and another is made for it. "
        + _together_words(document)
        + (f" In whole runs, one arm after the other: {listed(whole)}." if whole else "")
    )


def _together_words(document: Document) -> str:
    """Say which ratios are of arms that ran at once, and which of arms alone and why."""
    suite, pinning = document.suite, document.environment.machine.pinning
    if not suite.together_s:
        return "All figures, and all ratios, are of arms that ran alone."
    if document.met:
        return f"All ratios are of arms that ran alone: {document.met}."
    if not suite.run_together:
        unable = [arm.name for arm in suite.parsed_arms() if not arm.takes_phase]
        why = f"with {suite.number_at_once} servers there is none, or too many, beside it"
        if suite.has_rooms:
            why = "with rooms there are ticks all over a period"
        elif unable:
            why = f"{listed(unable)} cannot be told when ticks are due"
        return f"All ratios are of arms that ran alone, as none could run at once: {why}."
    runs, groups = suite.number_at_once, suite.groups
    cores = "on the same core" if pinning.server is not None else "on whichever core the system gave them"
    itself = f", and of {suite.again} to itself," if suite.again in suite.run_together else ""
    who = f"of {listed(suite.run_together)} to each other"
    how = f"{runs} servers ran at once"
    if len(groups) > 1:
        who = f"of {counted_words(len(suite.run_together) - 1, 'arm')} to {groups[0][0]}"
        how = f"{runs} servers at most ran at once, in {len(groups)} groups of which each had {groups[0][0]},"
    return (
        f"The ratios {who}{itself} are of {suite.together_s:g} s a block in "
        f"which {how} {cores}, each ticking 1/{runs} of a period after another: whatever the "
        "machine did, it did to all of them. All else, and the ratios of memory and pings, is of arms that ran alone."
        + (f" So are those of some groups: {document.met_partly}." if document.met_partly else "")
    )


SLOT_TITLES = ["arm", "slots made", "left out", "thrown away before each", "why left out"]


def slot_rows(document: Document) -> list[list[str]]:
    """Return for each arm that was measured in slots what became of them (:data:`SLOT_TITLES`)."""
    excluded, times = document.comparisons.excluded, document.suite.times_at_once
    rows = [(each.arm, each) for each in excluded if each.part == BLOCKS]
    at_once = [(f"{each.arm}, at once", each) for each in excluded if each.part == TOGETHER]
    if len({(each.made / times[each.arm], each.percent) for _, each in at_once}) == 1:  # no arm has failed
        alike = [each for _, each in at_once]
        why = {why: count for each in alike for why, count in each.left_out.items() if why != FOR_ANOTHER}
        fewest = min(alike, key=lambda each: each.made)
        at_once = [("each, at once", msgspec.structs.replace(fewest, left_out=why))]
    return [
        [
            name,
            f"{each.made:,}",
            f"{each.percent:.1f} %",
            f"{each.thrown_s:.2f} s",
            "; ".join(f"{why}: {count:,}" for why, count in each.left_out.items()) or "-",
        ]
        for name, each in [*rows, *at_once]
    ]


def environment_facts(environment: Environment) -> list[tuple[str, str]]:
    """Return the environment as names and words, the most telling first."""
    machine, python = environment.machine, environment.python
    soft, hard = machine.descriptor_limits
    changed = "" if environment.git_is_clean else ", with changes that are not committed"
    gil = "with the GIL" if python.has_gil else "built without the GIL"
    governors = {governor for governor in machine.governors.values() if governor}
    return [
        ("recorded", environment.recorded_at),
        ("stack", ", ".join(f"{name} {version}" for name, version in _stack(environment.packages))),
        ("Python", python.words),
        ("garbage collector", f"thresholds {', '.join(map(str, python.gc_thresholds))}; {gil}"),
        ("processor", f"{machine.cpu_model}, {machine.cores} cores, {len(machine.usable_cores)} usable"),
        ("system", f"{machine.system}, {machine.architecture}, {machine.memory_bytes / 2**30:.1f} GiB of memory"),
        ("pinning", machine.pinning.warning or "server and generator on cores of their own"),
        ("governor", ", ".join(sorted(governors)) or "none shown"),
        ("CPU quota", "; ".join(map(quota_words, machine.cpu_quotas)) or "none"),
        ("clock source", machine.clock_source or "unknown"),
        ("open files", f"soft limit {soft}, hard limit {hard}; children run with the hard one"),
        ("load average", ", ".join(f"{load:.2f}" for load in machine.load_average) + " at the start"),
        ("steal", f"{machine.steal_percent:.1f} % at the start"),
        ("boot", machine.boot_id or "unknown"),
        (
            "variables",
            ", ".join(f"{key}={value}" for key, value in environment.variables.items()) or "none that matter",
        ),
        ("commit", environment.git_commit + changed if environment.git_commit else "not run from a checkout"),
    ]


def percentile_rows(document: Document) -> list[tuple[str, list[str], bool]]:
    """Return for each arm its pooled tick lateness as texts (:data:`PERCENTILE_TITLES`), and whether it is spoiled."""
    rows = []
    for each in document.lateness:
        pooled = Histogram.from_summary(each.lateness_ms)
        texts = _percentile_words(pooled) if pooled.count else ["-"] * len(PERCENTILE_TITLES)
        rows.append((each.arm, texts, each.is_spoiled))
    return rows


PERCENTILE_TITLES = ["ticks", "mean", "p50", "p90", "p99", "p99.9", "max"]
TICKS_FOR_P999 = 10_000
SPOILED = " (spoiled)"
"""Mark of a figure that can be trusted in none of the runs."""


def _percentile_words(pooled: Histogram) -> list[str]:
    percentiles = [f"{pooled.percentile_us(percent) / 1000:.2f}" for percent in (50, 90, 99)]
    p999 = f"{pooled.percentile_us(99.9) / 1000:.2f}" if pooled.count >= TICKS_FOR_P999 else "too few ticks"
    return [f"{pooled.count:,}", f"{pooled.mean_us / 1000:.2f}", *percentiles, p999, f"{pooled.max_us / 1000:.2f}"]


def _stack(packages: dict[str, str]) -> list[tuple[str, str]]:
    versions = {name.lower().replace("_", "-"): version for name, version in packages.items()}
    return [(name, versions[name]) for name in STACK_PACKAGES if name in versions]


def limit_facts(document: Document) -> list[tuple[str, str]]:
    """Return the thresholds that a run is held to, as names and words."""
    return [(name.replace("_", " "), f"{value:g}") for name, value in document.limits.items()]
