"""What need not be done again: a frame whose input, model and settings are those of its record.

A record is trusted by size and time of the files; where these differ, or on request, by their SHA-256. Nothing is
skipped without a record: a file that was renamed just before a kill is made once more.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stylegan_core.inference.job.spec import Job
from stylegan_core.storage.hashing import sha256_of
from stylegan_core.storage.records import newest_by_frame, read_records

Record = dict[str, Any]


_LARGE_BYTES = 64 << 20
"""Of movies, which every one of their frames asks for: their digest is kept while the process runs."""


@lru_cache(maxsize=64)
def _sha256_once(path: Path, _size_bytes: int, _mtime_ns: int) -> str:
    return sha256_of(path)


@dataclass(frozen=True)
class FileState:
    """A file as it was at one moment.

    Attributes:
        size_bytes: its length.
        mtime_ns: its time of change.
        sha256: of its bytes.
    """

    size_bytes: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Reads the whole file.

        Raises:
            OSError: it is not there.
        """
        with path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            small = status.st_size < _LARGE_BYTES  # in one go: small frames come in hundreds a second
            digest = hashlib.sha256(file.readall()).hexdigest() if small else None
        digest = digest or _sha256_once(path, status.st_size, status.st_mtime_ns)
        return cls(status.st_size, status.st_mtime_ns, digest)

    def as_list(self) -> list[Any]:
        """For a record."""
        return [self.size_bytes, self.mtime_ns, self.sha256]

    def unchanged(self, path: Path, *, checksum: bool) -> FileState | None:
        """The present state if the content is the same, else None.

        Args:
            path: the file, which may be gone.
            checksum: whether to read it even if size and time are as they were.
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


def frame_record(
    output: str,
    *,
    made: FileState,
    source: FileState,
    mask: FileState | None,
    model: str,
    settings: str,
    job: str,
    context: dict[str, str],
    regions: Sequence[FileState | None] = (),
) -> Record:
    """The record of a finished frame.

    Args:
        output: its name below the output folder.
        made: the output file.
        source: the input file.
        mask: the mask file, or None.
        model: digest of the model.
        settings: digest of the per-frame settings.
        job: digest of the job.
        context: ids of what this belongs to, a commit or a flow run; not part of the skip key.
        regions: further files that it is made with, as ``Job.auxiliary_files`` lists them.
    """
    record: Record = {
        "frame": output,
        "made": made.as_list(),
        "source": source.as_list(),
        "mask": mask.as_list() if mask else None,
        "model": model,
        "settings": settings,
        "job": job,
        "context": context,
    }
    if regions:
        record["regions"] = [state.as_list() if state else None for state in regions]
    return record


class RecordIndex:
    """The newest record of each frame of an output folder."""

    def __init__(self, records: Iterable[Record]) -> None:
        """Takes the records of all writers, older ones first, as ``read_records`` gives them."""
        self._newest: dict[str, Record] = {}
        self.add(records)

    def add(self, records: Iterable[Record]) -> None:
        """Takes newer records."""
        self._newest |= newest_by_frame(records)

    def record(self, output: str) -> Record | None:
        """The newest record of a frame, true or not."""
        return self._newest.get(output)

    def check(
        self,
        output: str,
        *,
        made: Path,
        source: Path,
        mask: Path | None,
        model: str,
        settings: str,
        checksum: bool = False,
        regions: Sequence[Path | None] = (),
    ) -> Record | None:
        """Whether a frame is done.

        Args:
            output: its name below the output folder.
            made: path of the output.
            source: path of the input.
            mask: path of the mask, or None.
            model: digest of the model.
            settings: digest of the per-frame settings.
            checksum: whether to hash files whose size and time are as recorded.
            regions: files of the frame's regions.

        Returns:
            None if it is to be made; else its record, with the files' present times. A record that is not the
            very one of before is worth writing, so that the next run need not hash again.
        """
        record = self._newest.get(output)
        if record is None or record.get("model") != model or record.get("settings") != settings:
            return None
        if (record.get("mask") is None) != (mask is None):
            return None
        known = record.get("regions", [])
        if [state is None for state in known] != [path is None for path in regions]:
            return None
        present = dict(record)
        for key, path in (("made", made), ("source", source), ("mask", mask)):
            if path is None:
                continue
            state = FileState(*record[key]).unchanged(path, checksum=checksum)
            if state is None:
                return None
            present[key] = state.as_list()
        if regions:
            states = [
                FileState(*then).unchanged(path, checksum=checksum) if path else None
                for then, path in zip(known, regions, strict=True)
            ]
            if any(state is None and path is not None for state, path in zip(states, regions, strict=True)):
                return None
            present["regions"] = [state.as_list() if state else None for state in states]
        return record if present == record else present


def frames_to_make(job: Job, *, checksum: bool = False) -> list[str]:
    """Outputs of a job that are not done; nothing is written.

    Args:
        job: from ``plan_job``.
        checksum: whether to hash files whose size and time are as recorded.
    """
    done, settings_digest = RecordIndex(read_records(job.output_folder)), job.settings_digest()
    return [
        frame.output
        for frame in job.frames
        if done.check(
            frame.output,
            made=job.output_path(frame),
            source=job.input_path(frame),
            mask=Path(frame.mask) if frame.mask else None,
            model=job.model_digest,
            settings=settings_digest(frame),
            checksum=checksum,
            regions=job.auxiliary_files(frame),
        )
        is None
    ]
