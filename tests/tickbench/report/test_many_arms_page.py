"""The page of a suite with many arms, in a real browser: read at any width, turned, and narrowed to a group."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import NEEDS_CHROMIUM, open_browser
from tests.support.planted_frameworks import plant, planted_suite
from tickbench.report.build import read_document
from tickbench.report.choice import TITLE
from tickbench.report.document import Document

pytestmark = [NEEDS_CHROMIUM, pytest.mark.xdist_group("browser")]

TABLE = "The decision table"
WIDTHS = [1280, 390]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant(tmp_path_factory.mktemp("many"), planted_suite(repeats=3))


@pytest.fixture(scope="module")
def document(folder: Path) -> Document:
    return read_document(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def look(browser: Browser, folder: Path) -> Iterator[Callable[[int], Page]]:
    pages = list[Page]()

    def look(width: int) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, java_script_enabled=False)
        pages.append(context.new_page())
        pages[-1].goto((folder / "report.html").as_uri())
        return pages[-1]

    yield look
    for page in pages:
        page.context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_first_screen_says_which_to_take(look: Callable[[int], Page], document: Document, width: int) -> None:
    page = look(width)
    heading = page.get_by_role("heading", name=TITLE).bounding_box()
    assert heading is not None
    assert heading["y"] < 300
    first = page.get_by_text(document.choice[0]).bounding_box()
    assert first is not None
    assert first["y"] + first["height"] < 900


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window_either_way_round(look: Callable[[int], Page], width: int) -> None:
    page = look(width)
    for way in ("an arm", "a question"):
        page.get_by_label(way).check()
        assert page.locator("html").evaluate("root => root.scrollWidth") <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_can_be_turned_without_a_script(look: Callable[[int], Page], document: Document, width: int) -> None:
    page = look(width)
    table = page.get_by_role("table", name=TABLE)
    arms, questions = len(document.decision.arms), len(document.decision.questions)
    assert table.get_by_role("rowheader").count() == arms, "so many arms are rows from the start"
    page.get_by_label("a question").check()
    assert table.get_by_role("rowheader").count() == questions
    assert table.get_by_role("columnheader").count() == arms + 1
    page.get_by_label("an arm").check()
    assert table.get_by_role("columnheader").count() == questions + 1


@pytest.mark.parametrize("width", WIDTHS)
def test_it_can_be_narrowed_to_a_group_either_way_round(
    look: Callable[[int], Page], document: Document, width: int
) -> None:
    page = look(width)
    table = page.get_by_role("table", name=TABLE)
    gevent = [arm for arm in document.decision.arms if arm.startswith("gevent")]
    page.get_by_role("checkbox", name="asyncio").uncheck()
    assert table.get_by_role("rowheader").count() == len(gevent)
    page.get_by_label("as documented").uncheck()
    tuned = [arm for arm in gevent if "naive" not in arm]
    assert [
        name.split("\n")[0].replace("\u200b", "") for name in table.get_by_role("rowheader").all_inner_texts()
    ] == tuned
    page.get_by_label("known").uncheck()
    measured = [question for question in document.decision.questions if not question.is_fact]
    assert table.get_by_role("columnheader").count() == len(measured) + 1
    page.get_by_label("a question").check()
    assert table.get_by_role("columnheader").count() == len(tuned) + 1
    assert table.get_by_role("rowheader").count() == len(measured)
    page.get_by_role("checkbox", name="asyncio").check()
    assert table.get_by_role("columnheader").count() == len(document.decision.arms) // 2 + 1


def test_of_every_framework_there_is_more_behind_its_counts(look: Callable[[int], Page]) -> None:
    page = look(1280)
    links = page.locator(".by-arm td a").all()
    assert len(links) > 10
    for target in {link.get_attribute("href") for link in links}:
        assert target is not None
        assert page.locator(target).count() == 1, target


def test_defaults_in_force_stand_in_the_table(document: Document) -> None:
    (row,) = [question for question in document.decision.questions if question.title == "defaults in force"]
    answers = dict(zip(document.decision.arms, row.answers, strict=True))
    assert "writer limit 256 KiB" in answers["asyncio:fanout=naive,clock=loop"].detail
    assert answers["asyncio"].detail == "tickbench sets them"
    assert document.in_force.keys() == {arm for arm in document.decision.arms if "naive" in arm}


def test_it_asks_for_nothing_from_elsewhere(folder: Path) -> None:
    page = (folder / "report.html").read_text("utf-8")
    head = page.partition("</head>")[0]
    assert "default-src 'none'" in head
    assert "<link" not in page
    assert 'src="http' not in page
