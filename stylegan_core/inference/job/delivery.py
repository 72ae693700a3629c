"""Delivery settings of a job: the movie that outputs are assembled to, and their signature."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel


class MovieTarget(BaseModel, frozen=True, extra="forbid"):
    """The movie that the outputs are assembled to.

    Attributes:
        path: absolute.
        codec: None is the source's where the container supports it.
        quality: constant rate factor of H.264 and H.265; None is near lossless.
        rate: frames a second where the source is not a movie, as a fraction such as "24000/1001".
    """

    path: Path
    codec: str | None = None
    quality: int | None = None
    rate: str


class Signing(BaseModel, frozen=True, extra="forbid"):
    """The certificate that signs the outputs (C2PA).

    Attributes:
        certificate: absolute path, PEM.
        key: absolute path, PEM.
        sha256: of the certificate's bytes.
    """

    certificate: Path
    key: Path
    sha256: str = ""
