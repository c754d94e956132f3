"""The review page for tests: how it is made, what it says and how one acts on it."""

import time
from pathlib import Path

from browser import Browser

from iem_jax.output import report

EVIL = "a, \"quoted\"\n<script>document.title='harmed'</script> ü ℵ\udcff"
NAMES = ("b/two", "a/one", EVIL, "=1+1", "lost", "=\r'x'")
CONFIDENCES = (0.9, 0.5, 0.7, 0.3, None, 0.8)
SEEN = tuple(name.replace("\n", "\\n").replace("\r", "\\r").replace("\udcff", "\\udcff") for name in NAMES)


def write_page(page: Path, names=NAMES, confidences=CONFIDENCES, run: str = "run") -> Path:
    rows = [
        {"name": name, "status": "failed"}
        if confidence is None
        else {"name": name, "status": "ok", "confidence": confidence}
        for name, confidence in zip(names, confidences, strict=True)
    ]
    page.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(report.report_chunks(page.parent, rows, {}, {"pictures": len(rows)}, run))
    page.write_bytes(text.encode("utf-8", "replace"))
    return page


def current(page: Browser) -> str:
    marked = page.run("[...document.querySelectorAll('[aria-current]')].map((card) => card.dataset.name)")
    assert len(marked) == 1
    return marked[0]


def decisions(page: Browser) -> dict[str, str]:
    cards = "[...document.querySelectorAll('article')].filter((card) => card.className)"
    return dict(page.run(f"{cards}.map((card) => [card.dataset.name, card.className])"))


def text(page: Browser, name: str) -> str:
    return page.run(f"document.getElementById('{name}').textContent")


def wait(condition) -> None:
    for _ in range(100):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited for 5 seconds")


def save(page: Browser, folder: Path) -> bytes:
    (folder / "review.csv").unlink(missing_ok=True)
    page.click("#save")
    wait((folder / "review.csv").exists)
    return (folder / "review.csv").read_bytes()


def load(page: Browser, path: Path) -> str:
    page.run("(document.getElementById('said').textContent = '')")
    page.type("#loaded", str(path))
    wait(lambda: text(page, "said"))
    return text(page, "said")


def choose(page: Browser, decision: str) -> None:
    """Choose what is shown as one does with a pointer; WebDriver leaves out its events."""
    page.run(
        "(() => { const choice = document.getElementById('decision'); choice.focus();"
        "choice.dispatchEvent(new PointerEvent('pointerdown', {bubbles: true}));"
        f"choice.value = '{decision}'; choice.dispatchEvent(new Event('change', {{bubbles: true}})); }})()"
    )
