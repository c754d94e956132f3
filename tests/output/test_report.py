"""The report: what is in it, that names do no harm, and that it works in a browser."""

import html.parser
import json
import re
import time
from pathlib import Path

import pytest
from drawings import draw
from PIL import Image

from iem_jax.output.figures import thumbnail
from iem_jax.output.report import report_chunks

EVIL = "<script>document.title='harmed'</script>\"onmouseover='x' &amp; ü\n\udcff"
ROWS = [
    {"name": "b/two", "status": "ok", "inp_error": 0.5, "iou": 0.75, "dice": 0.8},
    {"name": "a/one", "status": "ok", "inp_error": 0.75, "iou": 0.25, "dice": 0.4},
    {"name": EVIL, "status": "uniform", "inp_error": 0.25, "iou": float("nan")},
    {"name": "lost", "status": "failed"},
]


def write_report(folder: Path, rows=ROWS) -> Path:
    for index, row in enumerate(rows):
        path = folder / f"thumbnails/{row['name'].replace('/script', '_script')}.jpg"
        if row["status"] != "failed" and "<" not in row["name"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = draw(index, 96, 64)
            import numpy as np

            thumbnail(picture, np.asarray(picture)[..., 0] > 100).save(path)
    text = "".join(report_chunks(folder, rows, {"lost": "file <b>not</b> found"}, {"pictures": len(rows)}))
    (folder / "report.html").write_bytes(text.encode("utf-8", "replace"))
    return folder / "report.html"


class Collector(html.parser.HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def collect(page: Path) -> list[tuple[str, dict]]:
    collector = Collector()
    collector.feed(page.read_text("utf-8"))
    return collector.tags


def test_names_are_escaped(tmp_path):
    tags = collect(write_report(tmp_path))
    assert [tag for tag, _ in tags].count("script") == 1
    assert not [attributes for _, attributes in tags if any(name.startswith("on") for name in attributes)]
    names = [attributes["data-name"] for tag, attributes in tags if tag == "article"]
    assert names[2] == EVIL.replace("\n", "\\n").replace("\udcff", "\\udcff")
    assert "<b>not" not in (tmp_path / "report.html").read_text("utf-8")


def test_page_is_self_contained(tmp_path):
    page = write_report(tmp_path)
    tags = collect(page)
    sources = [attributes["src"] for _, attributes in tags if "src" in attributes]
    assert len(sources) == 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not [tag for tag, _ in tags if tag in ("link", "iframe", "object")]
    text = page.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|@import|fetch\(|XMLHttpRequest", text)


def test_links_are_to_files_that_exist(tmp_path):
    (tmp_path / "masks/a").mkdir(parents=True)
    Image.new("L", (4, 4)).save(tmp_path / "masks/a/x #1?.png")
    page = "".join(report_chunks(tmp_path, [{"name": "a/x #1?", "status": "ok"}], {}, {}))
    assert re.findall(r'href="([^"]*)"', page) == ["masks/a/x%20%231%3F.png"]


def test_nothing_but_the_pictures_is_different_from_run_to_run(tmp_path):
    assert write_report(tmp_path).read_bytes() == write_report(tmp_path).read_bytes()


@pytest.fixture
def page(browser, tmp_path):
    browser.call("POST", "/url", {"url": write_report(tmp_path).as_uri()})
    return browser


def test_search(page):
    page.type("#search", "ONE")
    assert page.names() == ["a/one"]
    assert page.run("document.getElementById('count').textContent") == "1 of 4"
    page.type("#search", "x")
    assert page.names() == []
    assert page.run("!document.getElementById('none').hidden")


def test_filter_by_status(page):
    page.click("#status option:last-child")
    assert page.names() == [EVIL.replace("\n", "\\n").replace("\udcff", "\\udcff")]  # the one that is uniform


def test_sort(page):
    evil = EVIL.replace("\n", "\\n").replace("\udcff", "\\udcff")
    page.click("#sort option[value=iou]")
    assert page.names() == ["a/one", "b/two", evil, "lost"]  # those without a score come last
    page.click("#direction")
    assert page.names() == ["b/two", "a/one", evil, "lost"]
    page.click("#sort option[value=inp_error]")
    assert page.names() == ["a/one", "b/two", evil, "lost"]
    page.click("#sort option[value=name]")
    page.click("#direction")
    assert page.names()[1:3] == ["a/one", "b/two"]


def test_open_one_and_turn_pages(page):
    page.click("article:nth-child(1)")
    assert page.run("document.getElementById('view').open")
    assert page.run("document.getElementById('view-name').textContent") == "b/two"
    assert page.run("document.querySelector('#view-body img').naturalWidth") == 192
    assert "0.75" in page.run("document.getElementById('view-body').textContent")
    page.click("#next")
    assert page.run("document.getElementById('view-name').textContent") == "a/one"
    page.click("#next")
    page.click("#next")
    assert "file <b>not</b> found" in page.run("document.getElementById('view-body').textContent")
    page.click("#view form button")
    assert not page.run("document.getElementById('view').open")


def test_evil_name_does_no_harm_and_nothing_is_logged(page):
    page.click("article:nth-child(3)")
    assert page.run("document.title") == "Masks by IEM"
    assert page.run("document.querySelectorAll('#view-name *').length") == 0
    assert page.call("POST", "/se/log", {"type": "browser"}) == []


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_sticks_out(page, width):
    page.resize(width, 900)
    assert page.run("window.innerWidth") == width
    assert page.run("document.documentElement.scrollWidth <= window.innerWidth")
    columns = page.run("getComputedStyle(document.querySelector('main')).gridTemplateColumns.split(' ').length")
    assert columns >= 2
    page.resize(1200, 900)


def test_stays_quick_with_a_thousand_pictures(browser, tmp_path):
    """No time is asserted; the cards out of sight are not laid out, and a search shows only what matches."""
    rows = [{"name": f"p{index:04d}", "status": "ok", "inp_error": index / 1000} for index in range(1000)]
    browser.call("POST", "/url", {"url": write_report(tmp_path, rows).as_uri()})
    assert browser.run("document.querySelectorAll('article').length") == 1000
    assert browser.run("getComputedStyle(document.querySelector('article')).contentVisibility") == "auto"
    browser.type("#search", "99")
    assert len(browser.names()) == 19


# Confidence, and more pictures than a page can hold


def test_confidence_is_shown_sorted_and_filtered_by(browser, tmp_path):
    certain = zip(ROWS, (0.9, 0.5, 0.7), strict=False)
    rows = [row | {"confidence": value} for row, value in certain] + [{"name": "lost", "status": "failed"}]
    browser.call("POST", "/url", {"url": write_report(tmp_path, rows).as_uri()})
    assert "confidence 0.900" in browser.run("document.querySelector('article').textContent")
    browser.click("#sort option[value=confidence]")
    assert browser.names()[0] == "a/one"
    browser.type("#confidence", "0.65")
    assert browser.names() == ["a/one"]


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr("iem_jax.output.report.EMBEDDED", 3)


def test_a_large_page_holds_a_line_a_picture(large, tmp_path):
    page = write_report(tmp_path)
    tags = collect(page)
    assert not [tag for tag, _ in tags if tag in ("article", "img")]
    text = page.read_text("utf-8")
    assert "data:image" not in text
    found = json.loads(re.search(r'id="rows">(.*?)</script>', text, re.DOTALL)[1])
    assert [row[0] for row in found["rows"]] == [
        row["name"].replace("\n", "\\n").replace("\udcff", "\\udcff") for row in ROWS
    ]
    assert found["rows"][0][2] == [None, 0.5, 0.75, 0.8, None]
    assert "<" not in re.search(r'id="rows">(.*?)</script>', text, re.DOTALL)[1]


def test_a_large_page_works_alike(large, browser, tmp_path):
    (tmp_path / "masks/b").mkdir(parents=True)
    (tmp_path / "masks/b/two.png").write_bytes(b"")
    evil = EVIL.replace("\n", "\\n").replace("\udcff", "\\udcff")
    browser.call("POST", "/url", {"url": write_report(tmp_path).as_uri()})
    assert browser.names() == ["b/two", "a/one", evil, "lost"]
    browser.click("#sort option[value=iou]")
    assert browser.names() == ["a/one", "b/two", evil, "lost"]
    browser.type("#search", "TWO")
    assert browser.names() == ["b/two"]
    browser.click("article")
    for _ in range(50):
        if browser.run("document.querySelector('#view-body img').naturalWidth"):
            break
        time.sleep(0.05)
    assert browser.run("document.querySelector('#view-body img').naturalWidth") == 192  # the file beside the page
    assert browser.run("document.querySelector('#view-body a').getAttribute('href')") == "masks/b/two.png"
    assert browser.run("document.title") == "Masks by IEM"
    assert browser.call("POST", "/se/log", {"type": "browser"}) == []


def test_cards_of_a_large_page_are_drawn_as_they_are_scrolled_to(browser, tmp_path):
    rows = [{"name": f"p{index:05d}", "status": "ok", "inp_error": index / 1e5} for index in range(3000)]
    text = "".join(report_chunks(tmp_path, rows, {}, {}))
    (tmp_path / "report.html").write_text(text)
    browser.call("POST", "/url", {"url": (tmp_path / "report.html").as_uri()})
    first = browser.run("document.querySelectorAll('article').length")
    assert 100 < first < 1000
    for _ in range(20):
        browser.run("window.scrollTo(0, document.body.scrollHeight)")
        time.sleep(0.05)
    assert browser.run("document.querySelectorAll('article').length") > first
    browser.type("#search", "p02999")
    assert browser.names() == ["p02999"]
    assert browser.run("document.getElementById('count').textContent") == "1 of 3000"


def test_thumbnails_are_no_larger_than_their_picture(tmp_path):
    import jax
    import numpy as np

    from iem_jax.config import IEMConfig
    from iem_jax.data.loader import load_sample
    from iem_jax.data.sample import Sample
    from iem_jax.output.products import Products
    from iem_jax.output.writer import Writer

    for name, size, expected in (("small", (40, 30), (80, 40)), ("large", (400, 300), (384, 192))):
        draw(0, *size).save(tmp_path / f"{name}.png")
        item = load_sample(Sample(name, tmp_path / f"{name}.png"), 32, "pad")
        made = Products(Writer(tmp_path / "out"), ["report"], "model", IEMConfig(), jax.devices()[0])
        made.write(item, np.ones((32, 32), bool))
        with Image.open(tmp_path / f"out/thumbnails/{name}.jpg") as found:
            assert found.size == expected
