"""nginx in a process of its own: a configuration of `docs/nginx.md` within what matters of Debian's default one."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Final

import psutil

from tests.support import ROOT, ServerProcess, free_port, wait_until
from tools.packages import find_program

#: Debian's nginx.conf, but for paths and the workers' user.
_MAIN: Final = """\
daemon off;
worker_processes 1;
MAIN
pid FOLDER/nginx.pid;
error_log FOLDER/error.log;
events { worker_connections 768; }
http {
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log FOLDER/access.log;
    gzip on;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    SITE
}
"""


def documented(name: str) -> str:
    """Return the configuration of that name in `docs/nginx.md`."""
    text = (ROOT / "docs" / "nginx.md").read_text()
    (found,) = re.findall(rf"<!-- nginx: {name} -->\n```nginx\n(.*?)```", text, re.DOTALL)
    return str(found)


class Nginx(ServerProcess):
    """nginx with one site: `documented(name)`, its ports replaced by ours, and `changes` made to its text.

    `streamer` and `dashboards` are the ports behind it. `main` goes to the top of the configuration.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        streamer: int,
        dashboards: int = 1,
        changes: dict[str, str] | None = None,
        main: str = "",
    ) -> None:
        port = free_port()
        self.folder = folder / "nginx"
        self.folder.mkdir(parents=True)
        site = documented(name)
        for shown, ours in {
            "listen 80;": f"listen 127.0.0.1:{port};",
            "http://127.0.0.1:5007;": f"http://127.0.0.1:{streamer};",
            "http://127.0.0.1:5006;": f"http://127.0.0.1:{dashboards};",
            **(changes or {}),
        }.items():
            assert shown in site or name == "default", f"expected {shown!r} in the configuration {name}"
            site = site.replace(shown, ours)
        # Its workers would be another user's, who may not enter the tests' folder.
        user = "user root;\n" if os.geteuid() == 0 else ""
        configuration = self.folder / "nginx.conf"
        text = _MAIN.replace("MAIN", user + main).replace("SITE", site).replace("FOLDER", str(self.folder))
        configuration.write_text(text)
        program = find_program("nginx")
        assert program is not None, "nginx is not installed: python tools/packages.py"
        super().__init__(
            [program, "-p", str(self.folder), "-c", str(configuration), "-e", str(self.folder / "error.log")],
            port=port,
            data=self.folder,
            ready_path="/api/health/live",
        )

    def workers(self) -> set[int]:
        """Return the processes that serve, those that are only ending included."""
        assert self.process is not None
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def reload(self) -> None:
        """Have it read its configuration again, and return when a new process serves."""
        assert self.process is not None
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.workers() - before, timeout=30, message="a new worker serves")
