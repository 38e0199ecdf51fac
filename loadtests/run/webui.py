"""
Our part of Locust's web UI: a panel with the state and result of a run, and the check of what the form sends.

Importing this imports Locust, which patches the process.
"""

import math
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask_login import current_user
from jinja2 import Environment

from loadtests.options import RUN_TIME_IS_OURS, Scenarios, read_options
from loadtests.run.locust_run import LocustRun
from loadtests.run.logins import Logins
from loadtests.surroundings.reachability import NoServerError, check_server
from shared.measure.summary import LoadSummary
from shared.wire.target import without_login

HERE = Path(__file__).parent
ROOT_TAG = '<div id="root"></div>'
"""Where Locust builds its own page."""


def install(web_ui: Any, parsed: Namespace, run: LocustRun, scenarios: Scenarios, logins: Logins) -> None:
    """Add the panel to Locust's web UI, and check what its form sends before Locust takes it."""
    frame = (HERE / "panel_frame.html").read_text("utf-8")
    template = Environment(autoescape=True).from_string((HERE / "panel.html.j2").read_text("utf-8"))
    pages = Blueprint("tickbench", __name__, url_prefix=f"{parsed.web_base_path or ''}/tickbench")

    @pages.route("/panel")
    @web_ui.auth_required_if_enabled  # type: ignore[untyped-decorator] # untyped in Locust
    def panel() -> str:
        summary = run.outcome.summary if run.outcome is not None else None
        return template.render(
            words=run.words,
            mark="" if run.outcome is None else "good" if run.outcome.status == 0 else "bad",
            summary=summary,
            figures=[] if summary is None else key_figures(summary),
        )

    @pages.route("/summary.json")
    @web_ui.auth_required_if_enabled  # type: ignore[untyped-decorator] # as above
    def summary_json() -> Response:
        if run.outcome is None or run.outcome.summary is None:
            return Response(f"{run.words}\n", 404, content_type="text/plain")
        summary = run.outcome.summary
        saved_as = {"Content-Disposition": f"attachment; filename={file_name(summary)}"}
        return Response(summary.to_json(), headers=saved_as, content_type="application/json")

    def look_at_form() -> Response | None:
        if request.endpoint != "locust.swarm" or (web_ui.web_login and not current_user.is_authenticated):
            return None
        why = run.hindrance() or foreign(request.origin, request.host)
        why = why or complaint(request.form, parsed, scenarios, logins)
        return jsonify({"success": False, "message": why, "host": parsed.host}) if why else None

    def add_panel(response: Response) -> Response:
        if request.endpoint == "locust.index" and response.status_code == 200:
            response.set_data(response.get_data(as_text=True).replace(ROOT_TAG, f"{frame}{ROOT_TAG}", 1))
        return response

    links = [{"href": "./tickbench/summary.json", "title": "Download the summary of the last run (JSON)"}]
    web_ui.template_args["extended_csv_files"] = links
    web_ui.app.before_request(look_at_form)
    web_ui.app.after_request(add_panel)
    web_ui.app.register_blueprint(pages)


def complaint(form: Mapping[str, str], parsed: Namespace, scenarios: Scenarios, logins: Logins) -> str:
    """Say what is wrong with what was entered, and what would be right; empty if nothing is."""
    if form.get("run_time"):
        return f"run time {form['run_time']}: {RUN_TIME_IS_OURS}"
    known = {name: value for name, value in form.items() if name in parsed}
    together = Namespace(**(vars(parsed) | known))
    if why := _stranger(form, parsed):
        return why
    try:
        login = logins.of(together.host)
        check_server(read_options(together, form.get("user_count", ""), scenarios, login).target)
    except (ValueError, NoServerError) as error:
        return str(error).removeprefix("--")
    for name, text in known.items():
        if isinstance(getattr(parsed, name), int) and not isinstance(getattr(parsed, name), bool):
            try:  # as Locust will
                int(text)
            except ValueError:
                return f"{name.replace('_', '-')} {text}: right would be a whole number"
    return ""


def _stranger(form: Mapping[str, str], parsed: Namespace) -> str:
    """Say why a form names no server that it may name, or may tell it nothing of what it says; empty if all is well."""
    host = form.get("host", parsed.host) or ""
    if "host" in form and not host.strip():
        return "host: which server is to be loaded is missing; right would be one like ws://127.0.0.1:8000"
    if hidden := sorted({"header", "insecure"} & form.keys()):
        return f"{hidden[0]}: that is for the command line alone; leave it out"
    if without_login(host) != host:
        return "host: a user and a password would be shown here; right would be a URL with them on the command line"
    if host != parsed.host and (parsed.header or parsed.insecure):
        return "host: --header and --insecure are for the server of the command line; begin anew for another one"
    return ""


def foreign(origin: str | None, host: str) -> str:
    """Say that a form comes from a page of another server, which may not have us load anybody; empty if not."""
    if origin is None or origin.partition("://")[2] == host:
        return ""
    return f"a page of {origin} asks for it; right would be the form of this one"


def file_name(summary: LoadSummary) -> str:
    """Return the name under which a summary is saved."""
    return f"tickbench_{summary.started_at[:19].replace(':', '-')}_{summary.scenario}.json"


def key_figures(summary: LoadSummary) -> list[dict[str, object]]:
    """Return the most important figures, each with its ``name`` and ``value``, and whether a reason ``spoiled`` it."""
    connections, frames, lateness = summary.connections, summary.frames, summary.tick_lateness_ms
    figures = (
        ("connected", f"{connections.connected} of {connections.requested}", "connections.connected"),
        ("frames", f"{frames.received} of {lateness.count}", "frames.received"),
        ("ticks came", _percent(summary.ticks_came), "ticks_came"),
        ("reach", _percent(summary.reach), "reach"),
        ("longest silence", _in_words(summary.longest_silence_ms, "{:.0f} ms"), "longest_silence_ms"),
        ("tick lateness p50", _in_words(lateness.p50, "{:.2f} ms"), "tick_lateness_ms.p50"),
        ("tick lateness p99", _in_words(lateness.p99, "{:.2f} ms"), "tick_lateness_ms.p99"),
        ("tick lateness max", _in_words(lateness.max, "{:.2f} ms"), "tick_lateness_ms.max"),
        ("interval error p99", _in_words(summary.interval_error_ms.p99, "{:.2f} ms"), "interval_error_ms.p99"),
        ("skipped ticks", _in_words(summary.server.skipped_ticks, "{}"), "server.skipped_ticks"),
        ("server CPU a frame", _in_words(summary.server.cpu_us_per_frame, "{:.1f} us"), "server.cpu_us_per_frame"),
    )
    return [
        {"name": name, "value": value, "spoiled": bool(summary.validity.spoiled_by(key))}
        for name, value, key in figures
    ]


def _in_words(value: float | None, words: str) -> str:
    return "unknown" if value is None else words.format(value)


def _percent(ratio: float | None) -> str:
    """Return a ratio (0..1) in percent, rounded down: only 1 is shown as 100 %."""
    return _in_words(None if ratio is None else math.floor(10_000 * ratio) / 100, "{:.2f} %")
