"""A real browser, headless, driven over the pipe of its DevTools protocol; nothing to install beside Chromium itself."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--mute-audio", "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required", "--remote-debugging-pipe",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",  # a camera that nobody has to allow
)  # fmt: skip
KEY_CODES = {"ArrowLeft": 37, "ArrowRight": 39, " ": 32, "Escape": 27, "Enter": 13, "Home": 36, "End": 35}


class Tab:
    """A tab of the browser; what its pages log as an error or throw is kept in ``errors``."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing
        self.received = b""
        self.sent = 0
        self.session: str | None = None
        self.errors: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next_message()
            if answer.get("id") == self.sent:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _next_message(self, seconds: float = 90) -> dict[str, Any]:
        while b"\0" not in self.received:
            assert select.select([self.reading], [], [], seconds)[0], "the browser does not answer"
            more = os.read(self.reading, 1 << 20)
            assert more, "the browser has ended"
            self.received += more
        message, _, self.received = self.received.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        kind, found = event.get("method"), event.get("params", {})  # no method: the answer to a call that was given up
        if kind == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(found["exceptionDetails"])[:1000])
        elif kind == "Runtime.consoleAPICalled" and found["type"] in ("error", "assert"):
            self.errors.append(json.dumps(found["args"])[:1000])
        elif kind == "Log.entryAdded" and found["entry"]["level"] == "error":
            self.errors.append(json.dumps(found["entry"])[:1000])

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def size(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is, or its promise comes to, as JSON."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 20) -> Any:
        """Waits until a JavaScript expression is truthy and returns it."""
        end = time.monotonic() + seconds
        while not (found := self.value(expression)):
            assert time.monotonic() < end, f"not within {seconds} s: {expression}; errors: {self.errors}"
            time.sleep(0.05)
        return found

    def press(self, key: str, shift: bool = False) -> None:
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        code = KEY_CODES.get(key, ord(key[0].upper()))
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, modifiers=8 * shift, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code, modifiers=8 * shift)

    def mouse(self, kind: str, x: float, y: float) -> None:
        """``press`` or ``release`` the left button at a place of the page, ``move`` the mouse there or ``drag`` it."""
        events = {"press": "mousePressed", "release": "mouseReleased"}
        held = kind in ("press", "drag")
        button = {"button": "none"} if kind == "move" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=events.get(kind, "mouseMoved"), x=x, y=y, buttons=int(held), **button)

    def click(self, x: float, y: float) -> None:
        self.mouse("press", x, y)
        self.mouse("release", x, y)

    def scheme(self, name: str) -> None:
        """``dark`` or ``light``, as the system of the one who looks would say."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def choose_files(self, selector: str, *files: Path) -> None:
        """What a person does who chooses files for an ``<input type=file>``."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])


@contextmanager
def browser_tab(profile: Path) -> Iterator[Tab]:
    """A tab in a fresh browser; skips the test where there is no Chromium."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed")
    pipes = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for pair in (os.pipe(), os.pipe()) for end in pair]
    commands_out, commands_in, answers_out, answers_in = pipes
    actions = [(os.POSIX_SPAWN_DUP2, commands_out, 3), (os.POSIX_SPAWN_DUP2, answers_in, 4)]
    actions += [(os.POSIX_SPAWN_OPEN, own, os.devnull, os.O_WRONLY, 0) for own in (1, 2)]  # type: ignore[misc]
    command = [program, *FLAGS, f"--user-data-dir={profile}"]
    pid = os.posix_spawn(program, command, os.environ, file_actions=actions, setsid=True)
    os.close(commands_out)
    os.close(answers_in)
    try:
        yield Tab(answers_out, commands_in)
    finally:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(commands_in)
        os.close(answers_out)
