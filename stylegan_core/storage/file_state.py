"""File state: size, modification time and SHA-256 of a file at one moment, for comparison with the file later."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from stylegan_core.storage.hashing import sha256_of

_LARGE_BYTES = 64 << 20
"""From this size on (movies, which are hashed for each of their frames) the digest is cached in the process."""


@lru_cache(maxsize=64)
def _cached_sha256(path: Path, _size_bytes: int, _mtime_ns: int) -> str:
    return sha256_of(path)


@dataclass(frozen=True)
class FileState:
    """A file at one moment.

    Attributes:
        size_bytes: its length.
        mtime_ns: its modification time.
        sha256: of its bytes, in hexadecimal.
    """

    size_bytes: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Reads the whole file.

        Raises:
            OSError: the file is missing or unreadable.
        """
        with path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            small = status.st_size < _LARGE_BYTES  # one read: hundreds of small frames a second are common
            digest = hashlib.sha256(file.readall()).hexdigest() if small else None
        digest = digest or _cached_sha256(path, status.st_size, status.st_mtime_ns)
        return cls(status.st_size, status.st_mtime_ns, digest)

    @classmethod
    def parse(cls, value: object) -> FileState:
        """The inverse of ``as_list``.

        Raises:
            ValueError: not a list of size, modification time and SHA-256.
        """
        if isinstance(value, list) and len(value) == 3:
            size_bytes, mtime_ns, sha256 = value
            if isinstance(size_bytes, int) and isinstance(mtime_ns, int) and isinstance(sha256, str):
                return cls(size_bytes, mtime_ns, sha256)
        raise ValueError(f"expected [size, modification time, SHA-256], got {value!r}")

    def as_list(self) -> list[int | str]:
        """Size, modification time and SHA-256, as records store them."""
        return [self.size_bytes, self.mtime_ns, self.sha256]

    def unchanged(self, path: Path, *, checksum: bool) -> FileState | None:
        """The present state if the content is the same, else None.

        Args:
            path: the file, which may be missing.
            checksum: whether to hash the file even if its size and time are the same.
        """
        try:
            status = path.stat()
            if status.st_size != self.size_bytes:
                return None
            if status.st_mtime_ns == self.mtime_ns and not checksum:
                return self
            now = FileState.of(path)
        except OSError:
            return None
        return now if now.sha256 == self.sha256 else None
