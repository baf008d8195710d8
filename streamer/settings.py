"""Every setting of the streamer: its unit, its default, its environment name. Reads the environment, nothing else."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import platformdirs

#: How, and from which level on, the streamer writes about itself.
LOG_FORMATS: Final = ("text", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
#: Bound of every number: what has no end is no number of milliseconds for the system, and no number in JSON.
_MOST: Final = 2**53


_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:@/\s]*))(?::[0-9]{0,5})?")


class SettingError(ValueError):
    """A setting has a value that is not allowed. The message names the setting, the value, and what was expected."""


def _setting(default: Any, doc: str, *, minimum: float | None = None, choices: tuple[str, ...] = ()) -> Any:
    metadata = {"doc": doc, "minimum": minimum, "choices": choices}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _default_data() -> Path:
    return Path(platformdirs.user_data_dir("panel-streamer"))


def _default_max_runs() -> int:
    return max(2, os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings; each is read from ``STREAMER_`` + its name in capitals.

    Raises `SettingError` when a value is out of its range, or when they do not go together (another address than
    loopback needs a token).
    """

    url: str = _setting(
        "", "URL of a streamer to use instead of the embedded one; empty: the embedded or the local one."
    )
    data: Path = _setting(_default_data, "Folder of the log; the platform's user data folder by default.")
    pipelines: tuple[str, ...] = _setting(
        (), "Modules or paths of pipelines, comma separated, added to the entry points `streamer.pipelines`."
    )
    token: str = _setting("", "The operators' secret; when set, every request must carry it.")
    host: str = _setting("127.0.0.1", "Address to listen on; another than loopback needs a token.")
    port: int = _setting(5007, "TCP port to listen on; 0: any free one.", minimum=0)
    files: tuple[str, ...] = _setting(
        (),
        "Folders, comma separated, that path parameters of pipelines may name, with all below; the data folder always. "
        "Empty: whatever the streamer's user may read.",
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (),
        "Host names, comma separated, by which the API may be addressed besides its own address and localhost.",
    )
    allowed_origins: tuple[str, ...] = _setting(
        (),
        "Origins, comma separated, of pages that may call the API from a browser, such as https://ops.example.",
    )
    max_runs: int = _setting(
        _default_max_runs,
        "Runs executed at once; the others wait in the queue. The number of processors, 2 at least.",
        minimum=1,
    )
    max_queue: int = _setting(1000, "Runs that may wait; one more is refused with 503.", minimum=1)
    heartbeat_seconds: float = _setting(
        15.0, "Seconds of silence after which a stream carries a comment.", minimum=0.05
    )
    retry_milliseconds: int = _setting(
        2000,
        "Milliseconds a stream's reader waits before it reconnects; jittered by half for each.",
        minimum=1,
    )
    write_timeout_seconds: float = _setting(
        30.0, "Seconds a stream waits for a reader that takes nothing before it is closed.", minimum=0.1
    )
    max_stream_seconds: float = _setting(
        3600.0,
        "Seconds after which a stream is asked to reconnect, jittered from a half of it to all; 0: never.",
        minimum=0,
    )
    stall_seconds: float = _setting(
        15.0, "Seconds without an event or other sign of life after which a run is `stalled`.", minimum=0.2
    )
    lost_seconds: float = _setting(
        300.0,
        "Seconds without a sign of life after which a run that somebody else executes is `failed` as lost.",
        minimum=1,
    )
    cancel_grace_seconds: float = _setting(
        10.0, "Seconds a run has to end by itself after a cancel; then its process is terminated.", minimum=0
    )
    kill_grace_seconds: float = _setting(
        5.0, "Seconds between terminating a process and killing it.", minimum=0
    )
    commit_seconds: float = _setting(
        0.01, "Seconds the log waits for more to store in the same commit.", minimum=0
    )
    max_body_bytes: int = _setting(1_000_000, "Largest JSON body accepted, in bytes.", minimum=1000)
    max_ingest_bytes: int = _setting(
        16_000_000, "Largest ingest body (NDJSON) accepted, in bytes.", minimum=1000
    )
    max_bodies_bytes: int = _setting(
        128_000_000, "Bytes of all bodies that are being read at one time.", minimum=1000
    )
    max_ingest_events: int = _setting(10_000, "Most events accepted in one ingest call.", minimum=1)
    tail_bytes: int = _setting(
        16_000_000,
        "Bytes of encoded frames kept in memory for readers near the end of the log.",
        minimum=10_000,
    )
    spool_bytes: int = _setting(
        256_000_000,
        "Bytes that a run may keep on disk while its streamer is away, beside what fits into memory; 0: none.",
        minimum=0,
    )
    spool_total_bytes: int = _setting(
        1_000_000_000,
        "Bytes of all that waits on disk for streamers, from which on no further run begins to.",
        minimum=0,
    )
    log_level: str = _setting(
        "warning",
        "Least level of what the streamer writes about itself; info: a line a request.",
        choices=LOG_LEVELS,
    )
    log_format: str = _setting(
        "text", "Form of what the streamer writes about itself; json: one object a line.", choices=LOG_FORMATS
    )
    max_streams: int = _setting(10_000, "Open streams; one more is refused with 503.", minimum=1)
    keep_seconds: float = _setting(
        0.0, "Seconds after its end for which a run is kept; 0: for as long as the data folder.", minimum=0
    )
    keep_runs: int = _setting(
        0, "Runs that are over of which the last ones to end are kept; 0: all of them.", minimum=0
    )
    keep_bytes: int = _setting(
        0,
        "Bytes of events beyond which runs that are over are removed, those that ended first; 0: no bound.",
        minimum=0,
    )
    compact_seconds: float = _setting(
        3600.0,
        "Seconds after its end when a run's progress events are removed, but for their curves; 0: never.",
        minimum=0,
    )

    def __post_init__(self) -> None:
        for spec in fields(self):
            minimum, choices = spec.metadata["minimum"], spec.metadata["choices"]
            value = getattr(self, spec.name)
            if choices and value not in choices:
                raise SettingError(
                    f"{environment_name(spec.name)}: expected one of {', '.join(choices)}, received {value!r}"
                )
            if minimum is not None and not minimum <= value <= _MOST:
                expected = f"{minimum:g} or more" if not value >= minimum else f"at most {_MOST:,}"
                raise SettingError(
                    f"{environment_name(spec.name)}: expected {expected}, received {str(value)[:60]}"
                )
        if self.port > 65535:
            raise SettingError(f"STREAMER_PORT: expected 0 to 65535, received {self.port}")
        if self.token and (not self.token.isascii() or not self.token.isprintable() or " " in self.token):
            raise SettingError("STREAMER_TOKEN: expected printable ASCII characters without spaces")
        if not self.token and not is_loopback(self.host):
            raise SettingError(
                f"STREAMER_HOST: refusing to listen on {self.host!r} without STREAMER_TOKEN: anybody who reaches "
                "the port could run pipelines on this machine; set a token, or listen on 127.0.0.1"
            )

    @property
    def is_own_folder(self) -> bool:
        """Whether the data folder is one of the user's own, and not the platform's."""
        return self.data != _default_data()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **changes: Any) -> Settings:
        """Read the settings from the environment; `changes` win; empty counts as not set. Raises `SettingError`."""
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for spec in fields(cls):
            text = environment.get(environment_name(spec.name), "").strip()
            if text:
                values[spec.name] = _read(environment_name(spec.name), text, str(spec.type))
        return cls(**{**values, **changes})


def environment_name(name: str) -> str:
    """Return the environment variable of a setting: ``STREAMER_PORT`` for ``port``."""
    return f"STREAMER_{name.upper()}"


def host_name(host: str) -> str:
    """Return the name or the address in a `Host` header or an origin, without its port, in lower case.

    Args:
        host: ``NAME``, ``NAME:PORT``, ``ADDRESS:PORT`` or ``[IPv6]:PORT`` (RFC 3986, section 3.2.2).

    Returns:
        The name; a text of another form as it is, which is nobody's name.
    """
    match = _HOST.fullmatch(host)
    return (match["v6"] or match["name"] if match else host).lower()


def is_loopback(host: str) -> bool:
    """Say whether an address to listen on is reached from this machine only.

    Args:
        host: A host name or an IP address, with or without brackets.

    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _read(name: str, text: str, kind: str) -> Any:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        raise SettingError(f"{name}: expected a number, received {text!r}") from None
    if kind == "Path":
        return Path(text).expanduser()
    if kind.startswith("tuple"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def allowed_folders(settings: Settings) -> tuple[Path, ...]:
    """Return the folders that path parameters of pipelines may name; empty: any.

    Args:
        settings: The streamer's settings.

    """
    return (settings.data.absolute(), *map(Path, settings.files)) if settings.files else ()
