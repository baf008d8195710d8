"""`SecretStore`: the secret parameters of runs that are not over, in files outside the log. It hides none."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import msgspec

from streamer.server.log.base import LogUnavailable


class SecretStore:
    """One file of mode 0600 for each run with secrets, in a folder of mode 0700. Any thread may call it; it blocks.

    The file is on disk before the run is in the log, so that a queued run has its secrets after a restart. It is
    deleted when the run has ended.

    Args:
        data: The streamer's data folder.
    """

    def __init__(self, data: Path) -> None:
        self._folder = data / "secrets"

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.json"

    def write(self, run_id: str, secrets: Mapping[str, Any]) -> None:
        """Keep a run's secrets; nothing happens when there are none.

        Args:
            run_id: Id of the run.
            secrets: The values by the parameters' names, as JSON.

        Raises:
            LogUnavailable: The file cannot be written.

        """
        if not secrets:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            # Nobody may read it at any moment: not even before its mode could be changed.
            descriptor = os.open(self._path(run_id), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(dict(secrets)))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LogUnavailable(f"cannot keep the secret parameters: {error}") from error

    def read(self, run_id: str) -> dict[str, Any]:
        """Return a run's secrets; none when there is no file.

        Args:
            run_id: Id of the run.

        Returns:
            The values by the parameters' names.

        """
        try:
            secrets: dict[str, Any] = msgspec.json.decode(
                self._path(run_id).read_bytes(), type=dict[str, Any]
            )
        except (OSError, msgspec.DecodeError):
            return {}
        return secrets

    def forget(self, run_id: str) -> None:
        """Delete a run's secrets; nothing happens when there are none."""
        self._path(run_id).unlink(missing_ok=True)

    def forget_others(self, live: Container[str]) -> None:
        """Delete the secrets of runs that ended while no streamer was there.

        Args:
            live: Ids of the runs whose secrets stay.

        """
        for path in self._folder.glob("*"):
            if path.stem not in live:
                path.unlink(missing_ok=True)
