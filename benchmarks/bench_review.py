"""The review page with many pictures, in headless Chromium: how long it takes to open, and each key press.

python benchmarks/bench_review.py [--numbers=10000,100000]

Rows are made up and have no thumbnails. A key press is timed in the page, from the event to the end of the layout that
follows it.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from iem_jax.output.report import report_chunks

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
PRESS = """(() => {
  const times = [];
  document.activeElement.blur();
  for (let i = 0; i < %d; i++) {
    const start = performance.now();
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "%s", bubbles: true}));
    document.body.getBoundingClientRect();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return ["0.5", "0.95", "1"].map((share) => times[Math.ceil(times.length * share) - 1]);
})()"""
LONGEST = 60  # seconds that loading may take
OPENED = "performance.getEntriesByType('navigation')[0].loadEventEnd"


def write_page(folder: Path, number: int) -> Path:
    """Write a report of rows that are made up."""
    rows = [
        {"name": f"photograph_{index:07d}", "status": "ok", "confidence": index * 7919 % number / number}
        for index in range(number)
    ]
    (folder / "report.html").write_text("".join(report_chunks(folder, rows, {}, {"pictures": number})))
    return folder / "report.html"


def measure(browser, folder: Path, number: int) -> dict[str, object]:
    """Return seconds to open the page, anew and with nine of ten pictures decided, and milliseconds of key presses."""
    page = write_page(folder, number)
    result: dict[str, object] = {"megabytes": round(page.stat().st_size / 1e6, 1)}
    browser.open(page)
    result["open_seconds"] = round(browser.run(OPENED) / 1000, 2)
    result["accept_ms"] = browser.run(PRESS % (500, "a"))
    result["undo_ms"] = browser.run(PRESS % (100, "u"))
    lines = "".join(f"photograph_{index:07d},accept\n" for index in range(number * 9 // 10))
    (folder / "review.csv").write_text(f"name,decision\n{lines}")
    start = time.perf_counter()
    browser.type("#loaded", str(folder / "review.csv"))
    while "decisions loaded" not in browser.run("document.getElementById('said').textContent"):
        assert time.perf_counter() < start + LONGEST, browser.call("POST", "/se/log", {"type": "browser"})
        time.sleep(0.05)
    result["load_seconds"] = round(time.perf_counter() - start, 2)
    browser.call("POST", "/refresh")
    result["open_again_seconds"] = round(browser.run(OPENED) / 1000, 2)
    result["accept_far_down_ms"] = browser.run(PRESS % (300, "a"))
    return result


def main() -> None:
    """Measure and print."""
    from browser import open_browser

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", default="10000,100000")
    result: dict[str, object] = {"cores": os.cpu_count(), "load": os.getloadavg()}
    with open_browser() as browser, tempfile.TemporaryDirectory() as folder:
        for number in map(int, parser.parse_args().numbers.split(",")):
            (Path(folder) / str(number)).mkdir()
            result[str(number)] = measure(browser, Path(folder) / str(number), number)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
