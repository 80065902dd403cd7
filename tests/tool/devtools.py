"""Drives a headless Chromium through its DevTools pipe, with nothing but Python's standard library.

The browser reads commands on descriptor 3 and writes answers and events on descriptor 4, each a JSON text that ends with a zero
byte. A Page is one tab: it loads a file, runs expressions, and sends real mouse and key events.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


def find_browser():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    return None


class Browser:
    def __init__(self, path=None):
        self.profile = tempfile.mkdtemp(prefix="tarn-browser-")
        to_browser, self.out = os.pipe()
        self.inp, from_browser = os.pipe()

        def connect():
            # Both ends go out of the way of 3 and 4 first.
            read, write = os.dup2(to_browser, 20), os.dup2(from_browser, 21)
            os.dup2(read, 3)
            os.dup2(write, 4)

        arguments = [path or find_browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                     "--disable-extensions", "--disable-background-networking", "--disable-dev-shm-usage", "--remote-debugging-pipe",
                     f"--user-data-dir={self.profile}", "about:blank"]
        self.process = subprocess.Popen(arguments, preexec_fn=connect, close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer = b""
        self.number = 0
        self.events = []

    def read(self, deadline):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.inp], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser does not answer")
            part = os.read(self.inp, 1 << 16)
            if not part:
                raise ConnectionError("the browser has gone")
            self.buffer += part
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, session=None, timeout=60, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        deadline = time.monotonic() + timeout
        while True:
            answer = self.read(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method, timeout=60):
        deadline = time.monotonic() + timeout
        while True:
            for i, event in enumerate(self.events):
                if event.get("method") == method:
                    return self.events.pop(i)
            self.events.append(self.read(deadline))

    def close(self):
        try:
            self.call("Browser.close", timeout=10)
        except (OSError, TimeoutError, RuntimeError):
            self.process.kill()
        os.close(self.out)
        self.process.wait()
        os.close(self.inp)
        shutil.rmtree(self.profile, ignore_errors=True)


class Page:
    def __init__(self, browser, width=1280, height=900, scheme="light", scale=1):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.size(width, height, scale)
        self.scheme(scheme)

    def call(self, method, **parameters):
        return self.browser.call(method, session=self.session, **parameters)

    def size(self, width, height, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, path):
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        self.browser.wait("Page.loadEventFired")
        self.settle()

    def settle(self):
        """Waits until two frames have been drawn: pending layout and callbacks are through then."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def run(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", "a script failed"))
        return answer["result"].get("value")

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)}).textContent")

    def box(self, selector):
        self.run(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        return self.run(f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                        " return [b.left, b.top, b.width, b.height]; })()")

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def point(self, selector, across=0.5, down=0.5):
        left, top, width, height = self.box(selector)
        return left + width * across, top + height * down

    def hover(self, selector, across=0.5, down=0.5):
        self.mouse("mouseMoved", *self.point(selector, across, down))
        self.settle()

    def click(self, selector, across=0.5, down=0.5, count=1):
        x, y = self.point(selector, across, down)
        self.mouse("mouseMoved", x, y)
        for i in range(count):
            self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=i + 1)
            self.mouse("mouseReleased", x, y, button="left", buttons=0, clickCount=i + 1)
        self.settle()

    def drag(self, selector, start, end, down=0.5):
        x, y = self.point(selector, start, down)
        to, _ = self.point(selector, end, down)
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        for i in range(1, 6):
            self.mouse("mouseMoved", x + (to - x) * i / 5, y, button="left", buttons=1)
        self.mouse("mouseReleased", to, y, button="left", buttons=0, clickCount=1)
        self.settle()

    def key(self, name, text="", shift=False):
        """Presses a key; `text` for one that types a character."""
        parameters = {"key": name, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **parameters, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **parameters)
        self.settle()

    def errors(self):
        """Exceptions, console errors and requests that left the page since it was opened."""
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                found.append(event["params"]["exceptionDetails"].get("exception", {}).get("description", "exception"))
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                found.append(event["params"]["entry"]["text"])
            elif event["method"] == "Network.requestWillBeSent":
                url = event["params"]["request"]["url"]
                if not url.startswith(("file://", "about:", "data:")):
                    found.append("request to " + url)
        return found

    def screenshot(self, path, whole=False):
        parameters = {"format": "png"}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            parameters.update(captureBeyondViewport=True, clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1})
        data = self.call("Page.captureScreenshot", **parameters)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
