"A headless Chromium, and axe-core in it; a machine without them skips, a machine of the CI does not."

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

AXE = "4.14.1"  # version of axe-core that npm installs where none is there


def _lacking(what: str):
    "Skip, or fail where CI promises that everything is there."
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what} is not installed")


@contextmanager
def chromium(width: int = 1280, height: int = 900):
    "Start Debian's Chromium without a window."
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        _lacking("selenium (pip install selenium)")
    program = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    helper = shutil.which("chromedriver")
    if not program or not helper:
        _lacking("a browser (apt-get install -y --no-install-recommends chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "hide-scrollbars",
        "no-first-run",
        f"window-size={width},{height}",
    ):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=Service(helper, log_output=subprocess.DEVNULL)
    )
    try:
        yield driver
    finally:
        driver.quit()


def look_as(driver, width: int = 1280, dark: bool = False, media: str = "") -> None:
    "Look with a screen of this width, in light or dark, or on paper."
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {
            "width": width,
            "height": 844 if width < 500 else 900,
            "deviceScaleFactor": 1,
            "mobile": width < 500,
        },
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})


def axe_core() -> str:
    "Read axe-core: the file that AXE_CORE names, one beside this environment, or one that npm installs there."
    home = Path(sys.prefix) / "share" / "axe"
    path = Path(os.environ.get("AXE_CORE") or home / "node_modules/axe-core/axe.min.js")
    if not path.exists() and shutil.which("npm"):
        home.mkdir(parents=True, exist_ok=True)
        words = [
            "npm",
            "install",
            "--prefix",
            str(home),
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            f"axe-core@{AXE}",
        ]
        subprocess.run(words, capture_output=True, timeout=120)
    if not path.exists():
        _lacking("axe-core (npm install axe-core)")
    return path.read_text(encoding="utf-8")


def violations(driver, within: str = "html") -> list[str]:
    "Run axe-core on the page that is shown, or on a part of it, and spell what it finds."
    driver.execute_script(axe_core())
    found = driver.execute_async_script(
        "const end = arguments[1]; axe.run(arguments[0], {resultTypes: ['violations']}).then(r => end(r.violations));",
        within,
    )
    return [
        f"{one['id']}: {one['help']}: {node['html'][:160]}"
        for one in found
        for node in one["nodes"]
    ]
