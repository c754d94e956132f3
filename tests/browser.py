"""Headless Chromium, driven by the WebDriver protocol."""

import base64
import contextlib
import io
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

CODES = {
    "Control": "\ue009",
    "Left": "\ue012",
    "Right": "\ue014",
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Tab": "\ue004",
}


class Browser:
    """One window."""

    def __init__(self, port: int):
        self._root = f"http://127.0.0.1:{port}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1200,900"]
        options = {"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": options}})
        self._root += f"/session/{session['sessionId']}"

    def call(self, method: str, path: str, body: dict | None = None):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self._root + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]

    def run(self, script: str):
        return self.call("POST", "/execute/sync", {"script": f"return {script}", "args": []})

    def find(self, selector: str) -> str:
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        return next(iter(found.values()))

    def click(self, selector: str) -> None:
        self.call("POST", f"/element/{self.find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Press one key after another, each with those held down that stand before a "+" in it."""
        events = []
        for combination in keys:
            held = combination.split("+")
            events += [{"type": "keyDown", "value": CODES.get(key, key)} for key in held]
            events += [{"type": "keyUp", "value": CODES.get(key, key)} for key in reversed(held)]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": events}]})

    def open(self, page: Path) -> None:
        self.call("POST", "/url", {"url": page.as_uri()})

    def resize(self, width: int, height: int) -> None:
        """Show what a window of this size shows, be it as narrow as a phone."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.command("Emulation.setDeviceMetricsOverride", **size)

    def command(self, name: str, **parameters) -> None:
        self.call("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def screenshot(self, selector: str = "body") -> Image.Image:
        data = self.call("GET", f"/element/{self.find(selector)}/screenshot")
        return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")

    def names(self) -> list[str]:
        return self.run("[...document.querySelectorAll('article')].filter(x => !x.hidden).map(x => x.dataset.name)")


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a browser, or skip the test where there is none."""
    driver = shutil.which("chromedriver")
    if driver is None or shutil.which("chromium") is None:
        pytest.skip("chromium and chromium-driver are not installed (Debian packages)")
    port = 20_000 + os.getpid() % 20_000
    with subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(200):
            try:
                browser = Browser(port)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        else:
            process.kill()
            pytest.skip("chromedriver does not start")
        try:
            yield browser
        finally:
            with contextlib.suppress(OSError):
                browser.call("DELETE", "")
            process.terminate()
