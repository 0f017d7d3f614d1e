"""
A headless Chromium, driven by its DevTools protocol. It blocks: for a thread.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from pathlib import Path
from shutil import rmtree, which
from tempfile import mkdtemp
from threading import Timer
from typing import Any

from websockets.sync.client import ClientConnection, connect

MISSING = None if which("chromium") else "this machine has no chromium"
PATIENCE = 60.0


class Chromium:
    """
    One browser with one page. Use it as a context.

    @ivar told: what the page has written on its console, and what the browser refused it.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self._directory = mkdtemp(prefix="hermes-chromium-")
        self._process = subprocess.Popen(
            [
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                # The test's own authority.
                "--ignore-certificate-errors",
                "--remote-debugging-port=0",
                "--window-size=1200,1250",
                f"--user-data-dir={self._directory}",
                "about:blank",
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self._watchdog = Timer(3 * PATIENCE, self._process.kill)
        self._watchdog.start()
        self._number = 0
        self._session: str | None = None
        self._socket: ClientConnection

    def __enter__(self) -> Chromium:
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _open(self) -> None:
        assert self._process.stderr is not None
        address = ""
        for line in self._process.stderr:
            found = re.search(r"DevTools listening on (ws://\S+)", line)
            if found is not None:
                address = found[1]
                break
        assert address, "chromium did not start"
        self._socket = connect(address, max_size=None, compression=None)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        if hasattr(self, "_socket"):
            self._socket.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        rmtree(self._directory, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> Any:
        """
        Call a method of the protocol.
        """
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._heard(answer)

    def _heard(self, event: Any) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Log.entryAdded":
            self.told.append(parameters["entry"]["text"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.told.append(json.dumps(parameters["exceptionDetails"]))
        elif event.get("method") == "Runtime.consoleAPICalled":
            self.told.append(json.dumps(parameters["args"]))

    def go(self, url: str) -> None:
        """
        Load a page, to its end.
        """
        self.call("Page.navigate", url=url)
        self.until(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")

    def evaluate(self, expression: str) -> Any:
        """
        What an expression of JavaScript comes to in the page.
        """
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """
        Wait until an expression is true: also over the loading of another page.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
            if "exceptionDetails" not in answer and answer["result"].get("value"):
                return
            time.sleep(0.05)
        raise AssertionError(f"{expression} did not become true: {self.text()}")

    def text(self) -> str:
        """
        What a reader sees.
        """
        return str(self.evaluate("document.body.innerText"))

    def screenshot(self, file: str) -> None:
        """
        Write a PNG.
        """
        data = self.call("Page.captureScreenshot", format="png")["data"]
        Path(file).write_bytes(base64.b64decode(data))
