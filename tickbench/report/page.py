"""Render the report as an HTML page: one file that needs no network."""

import re

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tickbench.arms import BACKENDS, Arm
from tickbench.report import words
from tickbench.report.charts import SPOILED_OUTCOMES, all_charts
from tickbench.report.choice import TITLE
from tickbench.report.decision import ANOTHER, AS_WRITTEN, LIBRARY, TUNED
from tickbench.report.document import Document
from tickbench.report.framework_facts import FrameworkFacts, all_facts, facts_of, framework_of
from tickbench.report.noise import noise_of
from tickbench.report.practice import anchor_of
from tickbench.report.table import Decision

TEMPLATE = "page.html.j2"
MOST_COLUMNS = 6
"""With more arms than these the table has a row for each, until it is turned: so many columns are too narrow."""
STACKS = {name: (name, name) for name in BACKENDS}
STYLES = {
    AS_WRITTEN: ("documented", AS_WRITTEN),
    TUNED: ("tuned", TUNED),
    LIBRARY: ("library", LIBRARY),
    ANOTHER: ("another", ANOTHER),
}
"""The groups that the table can be narrowed to: the key of each, and its words."""


def render_page(document: Document) -> str:
    """Return the page. Everything that is not the page's own text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tickbench", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    noise = noise_of(document)
    drawn = {plot.figure for plot in noise.plots}
    groups, classes = groups_of(document.decision, document.suite.parsed_arms())
    return environment.get_template(TEMPLATE).render(
        document=document,
        suite=document.suite,
        choice_title=TITLE,
        groups=groups,
        group_keys=[key for _, boxes in groups for key, _ in boxes],
        classes=classes,
        is_turned=len(document.decision.arms) > MOST_COLUMNS,
        known=all_facts(),
        frameworks=frameworks_of(document),
        verdict=words.verdict_sentences(document),
        stopped_early=words.stopped_early_sentence(document),
        measured=words.measured_sentence(document),
        searched_in_slots=any(search.in_slots for search in document.suite.searches),
        decision=document.decision,
        slots_sentence=words.slots_sentence(document),
        slot_titles=words.SLOT_TITLES,
        slot_rows=words.slot_rows(document),
        comparisons=document.comparisons,
        noise=noise,
        other_figures=[each for each in document.comparisons.others if each.figure not in drawn],
        charts=all_charts(document),
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - the library
        safe=Markup,  # of the charts: plotly's own, and the arms' names in it are escaped
        percentile_titles=words.PERCENTILE_TITLES,
        percentile_rows=words.percentile_rows(document),
        spoiled_outcomes=SPOILED_OUTCOMES,
        arrival=document.arrival,
        limits=words.limit_facts(document),
        facts=words.environment_facts(document.environment),
        packages=document.environment.packages,
    )


def groups_of(decision: Decision, arms: list[Arm]) -> tuple[list[tuple[str, list[tuple[str, str]]]], dict[str, str]]:
    """
    Return what the table can be narrowed to, and of each arm the classes of its cells.

    That is, for each kind of group its title, and its groups: a key and words each. A kind of which there is one group
    only is left out.

    """
    stacks = {arm.name: STACKS.get(arm.backend, ("other", ANOTHER)) for arm in arms}
    styles = {name: STYLES[style] for name, style in zip(decision.arms, decision.styles, strict=True)}
    found = [
        ("Show", list(dict.fromkeys(stacks[name] for name in decision.arms))),
        ("written", list(dict.fromkeys(styles[name] for name in decision.arms))),
        ("what is", [("measured", "measured"), ("fact", "known")]),
    ]
    classes = {name: f"of-{stacks[name][0]} of-{styles[name][0]}" for name in decision.arms}
    return [(title, boxes) for title, boxes in found if len(boxes) > 1], classes


def frameworks_of(document: Document) -> list[tuple[str, str, FrameworkFacts]]:
    """Return the frameworks of the arms: where they are on the page, their names, and what is known of them."""
    found = {}
    for arm in document.suite.parsed_arms():
        if (known := facts_of(arm)) is not None:
            found[anchor_of(arm)] = (f"{framework_of(arm)} on {arm.backend}", known)
    return [(anchor, *each) for anchor, each in found.items()]


def _breakable(arm: str) -> Markup:
    """Return an arm's name that a narrow column breaks where its parts end."""
    return Markup("<wbr>").join(re.split(r"(?<=[:,=])", arm))
