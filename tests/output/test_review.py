"""The review in report.html, in a browser: decisions, what is kept of them, and review.csv."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from drawings import draw
from reviewing import EVIL, SEEN, choose, current, decisions, load, save, text, wait, write_page

from iem_jax.output import report
from iem_jax.output.figures import outline, thumbnail


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Browser:
    """A page without decisions."""
    browser.resize(1200, 900)
    browser.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open(write_page(tmp_path / "report.html"))
    yield browser
    assert browser.run("document.title") == "Masks by IEM"
    assert browser.call("POST", "/se/log", {"type": "browser"}) == []
    browser.resize(1200, 900)


@pytest.fixture(params=[1000, 3], ids=["small", "large"])
def either(request, page: Browser, tmp_path: Path, monkeypatch) -> Browser:
    """A page with everything in it, or one that holds rows and draws cards."""
    monkeypatch.setattr(report, "EMBEDDED", request.param)
    page.open(write_page(tmp_path / "report.html"))
    return page


def test_keys_decide_and_move_on(either):
    assert (current(either), text(either, "left")) == ("b/two", "5 left")
    either.press("a", "i", "R")
    assert decisions(either) == {"b/two": "accept", "a/one": "invert", SEEN[2]: "reject"}
    assert (current(either), text(either, "left")) == ("=1+1", "2 left")
    either.press("p", "Left", "Left", "Left", "Left")  # no further than to the first
    assert current(either) == "b/two"
    either.press("n", "Right")
    assert current(either) == SEEN[2]
    either.press("a")
    assert decisions(either)[SEEN[2]] == "accept"
    either.press("a", "a")
    assert "lost has no mask" in text(either, "said")
    either.press("a", "n")
    assert (current(either), text(either, "left")) == (SEEN[5], "none left: save review.csv")
    assert "lost" not in decisions(either)


def test_undo_goes_back_to_the_picture(page):
    page.press("a", "a", "p", "r", "u")
    assert decisions(page) == {"b/two": "accept", "a/one": "accept"}
    page.press("Control+z")
    assert (decisions(page), current(page), text(page, "left")) == ({"b/two": "accept"}, "a/one", "4 left")
    assert "a/one: undecided again" in text(page, "said")
    page.press("u", "u")
    assert (decisions(page), text(page, "left")) == ({}, "5 left")


def test_least_sure_come_first_on_request(page):
    page.click("#sort option[value=confidence]")
    assert page.names() == ["=1+1", "a/one", SEEN[2], SEEN[5], "b/two", "lost"]
    assert current(page) == "=1+1"


def test_buttons_on_a_phone(page):
    page.resize(390, 844)
    for name in ("accept", "invert", "reject", "undo", "previous", "next"):
        box = page.run(
            f"(({{left, right, top, bottom}}) => [left, right, top, bottom])"
            f"(document.querySelector('[data-act={name}]').getBoundingClientRect())"
        )
        assert 0 <= box[0] < box[1] <= 390
        assert 36 <= box[3] - box[2] <= box[3] <= 844
    for name in ("accept", "next", "reject", "previous", "invert", "undo"):
        page.click(f"[data-act={name}]")
    assert decisions(page) == {"b/two": "accept", SEEN[2]: "reject"}
    page.click("article:nth-child(2)")
    page.click("[data-act=invert]")
    assert page.run("document.getElementById('view-name').textContent") == SEEN[2]
    assert page.run("document.getElementById('view').className") == "reject"
    assert page.run("document.documentElement.scrollWidth") == 390
    page.click("#view form button")
    assert decisions(page)["a/one"] == "invert"
    assert page.run("document.activeElement === document.querySelector('[aria-current]')")


def test_reload_keeps_decisions_and_goes_on_where_it_was_left(either):
    either.press("i", "a", "r", "u")
    either.call("POST", "/refresh")
    assert decisions(either) == {"b/two": "invert", "a/one": "accept"}
    assert (current(either), text(either, "left")) == (SEEN[2], "3 left")


def test_decisions_belong_to_a_run_in_a_folder_and_go_by_name(page, tmp_path):
    page.press("a", "a", "a", "r")
    page.open(write_page(tmp_path / "other/report.html"))
    assert decisions(page) == {}
    page.open(write_page(tmp_path / "report.html", run="with other settings"))
    assert decisions(page) == {}
    page.open(write_page(tmp_path / "report.html", (EVIL, "new", "b/two"), (0.5, 0.5, 0.5)))
    assert decisions(page) == {"b/two": "accept", SEEN[2]: "accept"}


def test_review_csv_has_the_names_of_the_manifest(either, tmp_path):
    either.press("a", "n", "i", "r", "n", "a")
    data = save(either, tmp_path)
    found = list(csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")))
    assert found == [
        ["name", "decision"],
        ["b/two", "accept"],
        [EVIL, "invert"],
        ["=1+1", "reject"],
        ["=\r'x'", "accept"],
    ]
    either.press("u", "u", "u", "u")
    assert "4 decisions loaded" in load(either, tmp_path / "review.csv")
    assert decisions(either) == {"b/two": "accept", SEEN[2]: "invert", "=1+1": "reject", SEEN[5]: "accept"}
    assert save(either, tmp_path) == data
    either.press("u")
    assert (decisions(either), text(either, "left")) == ({}, "5 left")


def test_review_csv_of_other_programs_is_read(page, tmp_path):
    lines = 'name,decision\r\n"b/two",reject\r\nlost,accept\r\nfar,accept\r\n\r\n"=1+1",invert'
    (tmp_path / "other.csv").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert load(page, tmp_path / "other.csv") == "2 decisions loaded; 2 are of pictures that are not here."
    assert decisions(page) == {"b/two": "reject", "=1+1": "invert"}
    page.call("POST", "/refresh")
    assert decisions(page) == {"b/two": "reject", "=1+1": "invert"}


@pytest.mark.parametrize(
    "content", ["", "name;decision\nb/two;accept\n", "name,decision\nb/two,yes\n", 'name,decision\n"b,accept']
)
def test_a_bad_review_csv_changes_nothing(browser, tmp_path, content):
    browser.open(write_page(tmp_path / "report.html"))
    browser.press("a")
    (tmp_path / "bad.csv").write_text(content)
    assert "bad.csv is not used" in load(browser, tmp_path / "bad.csv")
    assert decisions(browser) == {"b/two": "accept"}


def test_filter_by_decision(page):
    page.press("a", "r")
    choose(page, "undecided")
    assert page.names() == [SEEN[2], "=1+1", SEEN[5]]  # what has no mask is not to be decided
    assert current(page) == SEEN[2]
    page.press("a")  # keys go on from a list that was chosen by pointer, and what is decided stays in sight
    assert page.names() == [SEEN[2], "=1+1", SEEN[5]]
    choose(page, "reject")
    assert page.names() == ["a/one"]
    choose(page, "invert")
    assert page.names() == []
    page.press("a", "n", "p", "Enter", "u")
    choose(page, "")
    assert decisions(page) == {"b/two": "accept", "a/one": "reject"}


def test_keys_are_letters_while_one_types(page):
    page.type("#search", "aui")
    page.press("r", "Control+z")
    page.call("POST", f"/element/{page.find('#search')}/clear")
    page.type("#search", "two")
    assert decisions(page) == {}
    page.press("Enter", "a")
    assert decisions(page) == {"b/two": "accept"}


def test_only_the_current_card_stops_tab_and_enter_opens_it(page):
    assert page.run("document.querySelectorAll('article[tabindex=\"0\"]').length") == 1
    page.press("n", " ")
    assert text(page, "view-name") == "a/one"
    assert page.run("document.getElementById('view').open")
    page.press("i", "p")
    assert page.run("document.querySelector('#view > .decision').textContent") == "inside out"
    page.press("Escape")
    wait(lambda: page.run("document.getElementById('bar').parentElement === document.body"))
    assert page.run("document.activeElement.dataset.name") == "a/one"
    page.press("Tab")
    assert page.run("document.activeElement.dataset.act") == "accept"
    page.press("Enter", "Enter")
    assert page.run("document.activeElement.dataset.act") == "accept"  # a button that is pressed again keeps the focus
    assert decisions(page) == {"a/one": "accept", SEEN[2]: "accept"}


def test_a_key_decides_only_on_what_is_seen_and_once(page):
    page.resize(390, 500)
    page.run("scrollTo(0, document.body.scrollHeight)")
    page.press("r")
    assert decisions(page) == {}
    assert "b/two" in text(page, "said")
    page.press("r")
    assert decisions(page) == {"b/two": "reject"}
    page.run("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', repeat: true, bubbles: true}))")
    assert decisions(page) == {"b/two": "reject"}


def test_it_says_that_nothing_is_kept_where_nothing_can_be(browser, tmp_path):
    browser.open(write_page(tmp_path / "report.html"))
    assert browser.run("document.getElementById('unkept').hidden")
    (tmp_path / "frame.html").write_text(
        '<iframe sandbox="allow-scripts" src="report.html" width=900 height=700></iframe>'
    )
    browser.open(tmp_path / "frame.html")
    frame = browser.call("POST", "/element", {"using": "css selector", "value": "iframe"})
    browser.call("POST", "/frame", {"id": frame})
    assert browser.run("document.getElementById('unkept').checkVisibility()")
    browser.click("[data-act=accept]")
    assert decisions(browser) == {"b/two": "accept"}


def test_it_says_that_nothing_is_kept_where_the_storage_is_full(page):
    page.press("a")
    page.run("(Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }, 1)")
    assert page.run("document.getElementById('unkept').hidden")
    page.press("r")
    assert page.run("document.getElementById('unkept').checkVisibility()")
    assert decisions(page) == {"b/two": "accept", "a/one": "reject"}


def test_the_large_view_shows_the_overlay(browser, tmp_path):
    (tmp_path / "overlays").mkdir()
    draw(0, 300, 200).save(tmp_path / "overlays/one.jpg")
    draw(1, 300, 200).save(tmp_path / "overlays/#2?.jpg")
    browser.open(write_page(tmp_path / "report.html", ["one", "#2?"], [0.5, 0.6]))
    browser.press("Enter")
    for _ in range(2):
        wait(lambda: browser.run("document.querySelector('.whole').naturalWidth") == 300)
        browser.press("n")
    browser.press("i")
    assert browser.run("document.querySelector('.whole')") is None  # it would show the mask that was


def test_tabs_know_of_each_other(page, tmp_path):
    page.press("a", "r")
    first = page.call("GET", "/window")
    page.call("POST", "/window", {"handle": page.call("POST", "/window/new", {"type": "tab"})["handle"]})
    page.open(tmp_path / "report.html")
    page.press("i", "u", "p", "u", "i")
    page.call("DELETE", "/window")
    page.call("POST", "/window", {"handle": first})
    wait(lambda: decisions(page) == {"b/two": "accept", "a/one": "invert"})
    assert text(page, "left") == "3 left"


def test_a_mask_inside_out_is_shown_so(browser, tmp_path):
    picture = draw(0, 192, 192)
    pixels = np.asarray(picture)
    mask = pixels[..., 0] > 100
    (tmp_path / "thumbnails").mkdir()
    thumbnail(picture, mask).save(tmp_path / "thumbnails/one.jpg", quality=95)
    browser.open(write_page(tmp_path / "report.html", ["one"], [0.5]))
    browser.press("i", "Enter")
    for place, expected in (("1", pixels), ("2", outline(pixels, ~mask))):
        found = np.asarray(browser.screenshot(f".half:nth-child({place})").resize((192, 192)), float)
        inner = np.s_[80:110, 80:110], np.s_[5:30, 5:30]
        assert max(abs(found[part] - expected[part]).mean() for part in inner) < 8


def test_going_on_far_down_a_large_page(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "EMBEDDED", 3)
    number = 500
    names, confidences = [f"p{i:03d}" for i in range(number)], [i / number for i in range(number)]
    browser.open(write_page(tmp_path / "report.html", names, confidences))
    press = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', bubbles: true}))"
    browser.run(f"(() => {{ for (let i = 0; i < 130; i++) {press}; }})()")  # more than are drawn at first
    assert (current(browser), text(browser, "left")) == ("p130", "370 left")
    (tmp_path / "most.csv").write_text("name,decision\n" + "".join(f"p{i:03d},accept\n" for i in range(400)))
    assert load(browser, tmp_path / "most.csv") == "400 decisions loaded."
    browser.call("POST", "/refresh")
    assert (current(browser), text(browser, "left")) == ("p400", "100 left")
    assert len(browser.names()) <= 140
    browser.press("p")
    assert current(browser) == "p399"
    browser.run("document.getElementById('earlier').click()")
    assert "p340" in browser.names()
