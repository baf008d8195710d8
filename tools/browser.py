"""Make sure that there is a Chromium for the browser tests, and fonts to render their pages with.

    python tools/browser.py

Installs what is missing with apt-get (as root, or through sudo without a password); elsewhere lets Playwright fetch
its own Chromium. Says nothing when nothing is missing. Exit code 1, with a sentence, when it cannot be had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Debian's and Ubuntu's packages, and a file that tells that one is there.
FONTS = {
    "fonts-dejavu-core": Path("/usr/share/fonts/truetype/dejavu"),
    "fonts-roboto-unhinted": Path("/usr/share/fonts/truetype/roboto"),
}


def main() -> int:
    """Install what is missing; return the exit code."""
    has_browser = any(map(shutil.which, NAMES))
    if shutil.which("apt-get"):
        missing = [] if has_browser else ["chromium"]
        missing += [package for package, folder in FONTS.items() if not folder.exists()]
        return apt_install(missing, required=not has_browser) if missing else 0
    if has_browser or playwright_has_browser():
        return 0
    print("Fetching Chromium with Playwright", flush=True)
    if subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False).returncode:
        return fail("Chromium could not be fetched", "chromium")
    return 0


def playwright_has_browser() -> bool:
    """Say whether Playwright fetched a Chromium of its own before."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


def apt_install(packages: list[str], *, required: bool) -> int:
    """Install packages of the system; without the right to do so, fail only when the browser itself is missing."""
    if os.geteuid() == 0:
        command = ["apt-get"]
    elif (
        shutil.which("sudo")
        and not subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode
    ):
        command = ["sudo", "-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    else:
        return (
            fail("The browser tests need packages that only root can install", *packages) if required else 0
        )
    print(f"Installing {', '.join(packages)} with apt-get", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["-qq", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        ended = subprocess.run(
            [*command, *options, *step],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        # A failing update may be one broken source among good ones; whether it matters, the install tells.
        if ended.returncode and step[0] == "install":
            print(ended.stdout[-4000:], file=sys.stderr)
            return fail("apt-get could not install them", *packages) if required else 0
    return 0


def fail(reason: str, *packages: str) -> int:
    """Say what is wrong and what to do; return the exit code."""
    print(f"{reason}. Install by hand: {', '.join(packages)}; then the same make again.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
