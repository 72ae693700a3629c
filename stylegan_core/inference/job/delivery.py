"""What becomes of a job's outputs when they are made: a movie, signatures."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel


class MovieTarget(BaseModel, frozen=True, extra="forbid"):
    """A movie that the outputs become.

    Attributes:
        path: absolute.
        codec: asked for; None is the source's where the container takes it.
        quality: constant rate factor of H.264 and H.265; None is near lossless.
        rate: frames a second where the source is no movie, as a fraction such as "24000/1001".
    """

    path: Path
    codec: str | None = None
    quality: int | None = None
    rate: str = "24"


class Signing(BaseModel, frozen=True, extra="forbid"):
    """Who signs the outputs (C2PA).

    Attributes:
        certificate: absolute path, PEM.
        key: absolute path, PEM.
        sha256: of the certificate's bytes.
    """

    certificate: Path
    key: Path
    sha256: str = ""
