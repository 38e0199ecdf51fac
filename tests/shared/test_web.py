import re

from shared.web import HEADERS, load_monitor_files, load_web_files

FILES = load_web_files() | load_monitor_files()


def test_the_page_is_three_files() -> None:
    files = load_web_files()
    assert {path: file.content_type for path, file in files.items()} == {
        "/": "text/html",
        "/client.js": "text/javascript",
        "/style.css": "text/css",
    }
    assert all(len(file.body.decode()) > 500 for file in files.values())


def test_the_page_for_operators_is_three_more() -> None:
    files = load_monitor_files()
    assert {path: file.content_type for path, file in files.items()} == {
        "/monitor": "text/html",
        "/monitor.js": "text/javascript",
        "/monitor.css": "text/css",
    }
    assert not files.keys() & load_web_files().keys()


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for file in FILES.values():
        text = file.body.decode()
        assert re.findall(r"""(?:src|href|url|import)\s*[=(]?\s*["']?(?:https?:)?//[^\s"')]+""", text) == []


def test_the_page_runs_no_inline_code_that_its_policy_forbids() -> None:
    for path in ("/", "/monitor"):
        page = FILES[path].body.decode()
        assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
        assert re.findall(r"\son[a-z]+=|\sstyle=|<style", page) == []
    assert dict(HEADERS)["Content-Security-Policy"].startswith("default-src 'self'")


def test_names_are_never_html() -> None:
    for path in ("/client.js", "/monitor.js"):
        code = FILES[path].body.decode()
        assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", code) == []
