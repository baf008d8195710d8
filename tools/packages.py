"""Install the programs that the tests drive and pip cannot bring: Chromium with fonts, nginx, Node.js with npm.

    python tools/packages.py [bench]

With `bench`, what the benchmarks' peers need as well. Installs what is missing with apt-get (as root, or through sudo
without a password). Elsewhere lets Playwright fetch its own Chromium, and names the rest. Says nothing when nothing is
missing. Exit code 1, with a sentence, when something cannot be had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: Debian puts servers where only root looks.
SERVERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True)
class Package:
    """A package of Debian and Ubuntu, and what tells that it is there: a program, a module, or a folder of fonts."""

    name: str
    programs: tuple[str, ...] = ()
    fonts: Path | None = None
    module: Path | None = None

    @property
    def is_there(self) -> bool:
        """Whether it is installed, from Debian or from elsewhere."""
        if self.module is not None:
            return self.module.exists()
        if self.fonts is not None:
            return self.fonts.exists()
        return any(map(find_program, self.programs))

    @property
    def is_required(self) -> bool:
        """Whether tests fail without it; without a font, pages only look different."""
        return self.fonts is None


CHROMIUM = Package("chromium", ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))
PACKAGES = (
    CHROMIUM,
    Package("nginx", ("nginx",)),
    Package("nodejs", ("node",)),
    Package("npm", ("npm",)),
    Package("fonts-dejavu-core", fonts=Path("/usr/share/fonts/truetype/dejavu")),
    Package("fonts-roboto-unhinted", fonts=Path("/usr/share/fonts/truetype/roboto")),
)
#: The packages that the peers of the benchmarks need.
PEERS = (Package("libnginx-mod-nchan", module=Path("/usr/lib/nginx/modules/ngx_nchan_module.so")),)


def main(arguments: Sequence[str] = ()) -> int:
    """Install what is missing; return the exit code."""
    wanted = (*PACKAGES, *PEERS) if "bench" in arguments else PACKAGES
    missing = [package for package in wanted if not package.is_there]
    if shutil.which("apt-get"):
        return apt_install(missing) if missing else 0
    required = [package for package in missing if package.is_required]
    if CHROMIUM in required and (playwright_has_browser() or playwright_install()):
        required.remove(CHROMIUM)
    return fail("The tests need programs that only you can install here", required) if required else 0


def find_program(name: str) -> str | None:
    """Return the path of a program, also of a server that only root has on the PATH; None when there is none."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(SERVERS))


def playwright_has_browser() -> bool:
    """Say whether Playwright fetched a Chromium of its own before."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


def playwright_install() -> bool:
    """Let Playwright fetch Chromium; say whether it did."""
    print("Fetching Chromium with Playwright", flush=True)
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    return not subprocess.run(command, check=False).returncode


def apt_install(packages: Sequence[Package]) -> int:
    """Install packages of the system; without the right to do so, fail only when one of them is required."""
    required = [package for package in packages if package.is_required]
    if os.geteuid() == 0:
        command = ["apt-get"]
    elif (
        shutil.which("sudo")
        and not subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode
    ):
        command = ["sudo", "-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    else:
        return fail("The tests need packages that only root can install", required) if required else 0
    names = [package.name for package in packages]
    print(f"Installing {', '.join(names)} with apt-get", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["-qq", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *names]):
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
            return fail("apt-get could not install them", required) if required else 0
    return 0


def fail(reason: str, packages: Sequence[Package]) -> int:
    """Say what is wrong and what to do; return the exit code."""
    names = ", ".join(package.name for package in packages)
    print(f"{reason}. Install by hand: {names}; then the same make again.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
