import re

from shared.web import HEADERS, load_web_files


def test_the_page_is_three_files() -> None:
    files = load_web_files()
    assert {path: file.content_type for path, file in files.items()} == {
        "/": "text/html",
        "/client.js": "text/javascript",
        "/style.css": "text/css",
    }
    assert all(len(file.body.decode()) > 500 for file in files.values())


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for file in load_web_files().values():
        text = file.body.decode()
        assert re.findall(r"""(?:src|href|url|import)\s*[=(]?\s*["']?(?:https?:)?//[^\s"')]+""", text) == []


def test_the_page_runs_no_inline_code_that_its_policy_forbids() -> None:
    page = load_web_files()["/"].body.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"\son[a-z]+=|\sstyle=|<style", page) == []
    assert dict(HEADERS)["Content-Security-Policy"].startswith("default-src 'self'")


def test_names_are_never_html() -> None:
    code = load_web_files()["/client.js"].body.decode()
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", code) == []
