"""Up-to-date check: a frame whose input, model and settings match its record is not made again.

Files are compared with the record by size and modification time; where these differ, or on request, by SHA-256. A frame
without a record is always made: a file that was renamed just before a kill is made once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from stylegan_core.inference.job.spec import Job
from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.frame_record import FrameRecord
from stylegan_core.storage.records import newest_by_frame, read_records


class RecordIndex:
    """The newest record of each frame of an output folder."""

    def __init__(self, records: Iterable[FrameRecord]) -> None:
        """Takes the records of all writers, oldest first, as ``read_records`` returns them."""
        self._newest: dict[str, FrameRecord] = {}
        self.add(records)

    def add(self, records: Iterable[FrameRecord]) -> None:
        """Adds newer records."""
        self._newest |= newest_by_frame(records)

    def record(self, output: str) -> FrameRecord | None:
        """The newest record of a frame, whether or not it still matches the files."""
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
    ) -> FrameRecord | None:
        """The record of a frame that is up to date, with the present modification times of its files.

        Args:
            output: name of the frame, relative to the output folder.
            made: path of the output.
            source: path of the input.
            mask: path of the mask, or None.
            model: digest of the model.
            settings: digest of the per-frame settings.
            checksum: whether to hash files whose size and time match the record.
            regions: paths of the frame's auxiliary files.

        Returns:
            None if the frame must be made. If the result is not the recorded object itself, times have changed: write
            it, so that the next run need not hash the files again.
        """
        record = self._newest.get(output)
        if record is None or record.model != model or record.settings != settings:
            return None
        recorded = (record.made, record.source, record.mask, *record.regions)
        paths = (made, source, mask, *regions)
        if [state is None for state in recorded] != [path is None for path in paths]:
            return None
        present: list[FileState | None] = []
        for state, path in zip(recorded, paths, strict=True):
            now = state.unchanged(path, checksum=checksum) if state is not None and path is not None else None
            if now is None and path is not None:
                return None
            present.append(now)
        if tuple(present) == recorded:
            return record
        made_now, source_now, mask_now, *regions_now = present
        assert made_now is not None
        assert source_now is not None
        return replace(record, made=made_now, source=source_now, mask=mask_now, regions=tuple(regions_now))


def frames_to_make(job: Job, *, checksum: bool = False) -> list[str]:
    """Outputs of a job that are not up to date; writes nothing.

    Args:
        job: from ``plan_job``.
        checksum: whether to hash files whose size and time match the record.
    """
    index, settings_digest = RecordIndex(read_records(job.output_folder)), job.settings_digest()
    return [
        frame.output
        for frame in job.frames
        if index.check(
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
