"""Runs a job's chunks: decode, inference and encode overlapped by bounded threads; skips, records, carries on.

    decode pool -> one inference thread -> encode pool
    check record, read, hash    network            carry over, write, fsync, rename, record

A frame that fails is named with its reason, has no output, and costs no other frame. What would fail every frame, a
full disk say, stops the job instead; a rerun finishes it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from stylegan_core.frames.records import RecordWriter, read_records
from stylegan_core.inference.frame_work import Decoded, decode_frame, encode_frame, reading_stops, writing_stops
from stylegan_core.inference.job import Job, JobFrame
from stylegan_core.inference.masks import RegionReader
from stylegan_core.inference.outcome import ChunkReport, ChunkWork, Failure, Progress, in_words
from stylegan_core.inference.painting import Painting, bytes_per_pixel
from stylegan_core.inference.resume import DoneFrames, FileState, Record, frame_record
from stylegan_core.inference.sources import Sources
from stylegan_core.inference.translate import Pixels
from stylegan_core.recipes.model import Model

logger = logging.getLogger(__name__)

TEMPORARY_FOLDER = "temporary"
"""Below the state folder: what a kill leaves unfinished, emptied by the next run."""
BATCH_PIXELS = 1 << 18
"""Frames of one size are translated together up to this many pixels: larger ones fill the processor alone."""
MEMORY_BYTES = 2 << 30
"""For frames in flight, of all chunks together; one frame is always allowed."""
THREADS = 2
"""Of the decode pool, and of the encode pool."""


class StylizeStopped(Exception):  # noqa: N818  (asked for, or the disk's fault)
    """The job stopped before its end; every finished frame is recorded and a rerun finishes the rest."""


class Stylizer:
    """A job at work in this process; its chunks may run in several threads and share its pools and its model.

    Use it in a ``with`` statement, by the one who holds the output folder's lock.
    """

    def __init__(
        self,
        job: Job,
        model: Model,
        *,
        checksum: bool = False,
        context: dict[str, str] | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Prepares; nothing runs yet.

        Args:
            job: from ``read_job``.
            model: of the job's digest.
            checksum: hash the files of finished frames again instead of trusting sizes and times.
            context: ids for the records (commit, flow run, MLflow run).
            progress: called after each frame, from any thread, one call at a time.

        Raises:
            ValueError: the model is not the job's.
            PlanError: a reference or a region's model is not the one that was planned with.
            ModelError: a region's model cannot be loaded.
        """
        if model.card.digest != job.model_digest:
            raise ValueError(f"{model.folder} is not the model that the job was planned for")
        self._job, self._checksum, self._painting = job, checksum, Painting(job, model)
        settings = job.settings
        self._regions = (
            RegionReader(settings.regions, settings.working_space, job.max_megapixels) if settings.regions else None
        )
        self._bytes_per_pixel = bytes_per_pixel(job)
        self._context, self._progress = context or {}, progress
        self._settings_digest, self._job_digest = job.settings_digest(), job.digest[:16]
        self._sources = Sources(job)
        self._chunks = job.chunks()
        self._done = DoneFrames(read_records(job.output_folder))
        self._temporaries = job.state_folder / TEMPORARY_FOLDER
        self._records = RecordWriter(job.output_folder)
        self._decoders = ThreadPoolExecutor(THREADS, thread_name_prefix="decode")
        self._translator = ThreadPoolExecutor(1, thread_name_prefix="translate")
        self._encoders = ThreadPoolExecutor(THREADS, thread_name_prefix="encode")
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._stop_reason: str | None = None
        self._largest_px = 0
        self._active_chunks = 0
        self._counts = {"made": 0, "skipped": 0, "failed": 0}
        self._began_s = time.monotonic()

    def __enter__(self) -> Self:
        self._temporaries.mkdir(parents=True, exist_ok=True)
        for left in self._temporaries.iterdir():
            left.unlink()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop("an error")
        with self._idle:  # other threads' chunks end soon after a stop
            self._idle.wait_for(lambda: self._active_chunks == 0)
        for pool in (self._decoders, self._translator, self._encoders):
            pool.shutdown(wait=True, cancel_futures=True)
        self._records.close()

    @property
    def stop_reason(self) -> str | None:
        """Why the job stopped, or None."""
        return self._stop_reason

    def stop(self, reason: str) -> None:
        """Asks all chunks to end after the frames that are being written."""
        self._stop_reason = self._stop_reason or reason

    def chunk(self, index: int) -> ChunkReport:
        """Makes the frames of one chunk.

        Args:
            index: into the job's chunks.

        Raises:
            StylizeStopped: the job was stopped, or has to.
        """
        frames = deque(self._chunks[index])
        work = ChunkWork()
        decoding: deque[Future[Decoded | None]] = deque()
        encoding: deque[Future[None]] = deque()
        with self._lock:
            if self._stop_reason is not None:
                raise StylizeStopped(self._stop_reason)
            self._active_chunks += 1
        try:
            while (frames or decoding) and self._stop_reason is None:
                while encoding and encoding[0].done():
                    encoding.popleft().result()
                while frames and len(decoding) + len(encoding) < self._window():
                    decoding.append(self._decoders.submit(self._decode, frames.popleft(), work))
                if not decoding:  # the window is full of frames that are being written
                    wait([encoding[0]])
                    continue
                batch = self._next_batch(decoding)
                if not batch:
                    continue
                for decoded, after in zip(batch, self._translate(batch, work), strict=True):
                    if after is not None:
                        encoding.append(self._encoders.submit(self._encode, decoded, after, work))
        finally:
            wait(decoding)
            wait(encoding)
            with self._idle:
                self._active_chunks -= 1
                self._idle.notify_all()
        for written in encoding:
            written.result()
        if self._stop_reason is not None:
            raise StylizeStopped(self._stop_reason)
        return work.report()

    def _window(self) -> int:
        """Frames that one chunk may have in flight; one until the first is decoded and its size known."""
        with self._lock:
            if not self._largest_px:
                return 2 * THREADS if self._counts["skipped"] else 1
            affordable = MEMORY_BYTES // (self._largest_px * self._bytes_per_pixel * max(1, self._active_chunks))
            wanted = 2 * THREADS + max(THREADS, 2 * (BATCH_PIXELS // self._largest_px))
            return int(max(1, min(affordable, wanted, 24)))

    def _next_batch(self, decoding: deque[Future[Decoded | None]]) -> list[Decoded]:
        """Waits for the first frame, then takes those of its size that are there already."""
        first = decoding.popleft().result()
        if first is None:
            return []
        batch = [first]
        most = BATCH_PIXELS // max(1, first.height_px * first.width_px)
        while len(batch) < most and decoding and decoding[0].done():
            following = decoding[0].result()
            if following is not None:
                if following.before_unit.shape != first.before_unit.shape:
                    break
                batch.append(following)
            decoding.popleft()
        return batch

    def _decode(self, frame: JobFrame, work: ChunkWork) -> Decoded | None:
        """None if there is nothing to translate: done before, failed, or stopped."""
        if self._stop_reason is not None:
            return None
        job, source, output = self._job, self._job.input_path(frame), self._job.output_path(frame)
        try:
            kept = self._done.check(
                frame.output,
                made=output,
                source=source,
                mask=Path(frame.mask) if frame.mask else None,
                model=job.model_digest,
                settings=self._settings_digest(frame),
                checksum=self._checksum,
                regions=frame.beside_paths,
            )
            if kept is not None:
                self._finish_skipped(frame, kept, work)
                return None
            decoded = decode_frame(
                frame,
                self._sources,
                job.settings,
                max_megapixels=job.max_megapixels,
                regions=self._regions,
            )
        except Exception as error:
            self._finish_failed(frame, error, work)
            return None
        with self._lock:
            views = 1 + len(decoded.other_views)
            self._largest_px = max(self._largest_px, decoded.height_px * decoded.width_px * views)
        return decoded

    def _translate(self, batch: list[Decoded], work: ChunkWork) -> list[list[Pixels] | None]:
        return self._translator.submit(self._translate_now, batch, work).result()

    def _translate_now(self, batch: list[Decoded], work: ChunkWork) -> list[list[Pixels] | None]:
        """The answers to all views of each frame."""
        if self._stop_reason is not None:
            return [None] * len(batch)
        try:
            after = [[painted] for painted in self._painting.paint(batch)]
            for decoded, views in zip(batch, after, strict=True):
                views += [painted for view in decoded.other_views for painted in self._painting.paint([view])]
        except Exception as error:
            if len(batch) > 1:  # one frame must not cost the others
                return [self._translate_now([decoded], work)[0] for decoded in batch]
            self._finish_failed(batch[0].frame, error, work)
            return [None]
        results: list[list[Pixels] | None] = []
        for decoded, views in zip(batch, after, strict=True):
            if all(np.isfinite(picture).all() for picture in views):
                results.append(views)
            else:
                results.append(None)
                self._finish_failed(decoded.frame, ValueError("the model's answer is not finite"), work)
        return results

    def _encode(self, decoded: Decoded, after_unit: list[Pixels], work: ChunkWork) -> None:
        if self._stop_reason is not None:
            return
        frame, output, written = decoded.frame, self._job.output_path(decoded.frame), False
        try:
            encode_frame(
                decoded,
                after_unit,
                output,
                self._job.settings,
                strength=self._painting.carried(frame),
                temporary_folder=self._temporaries,
            )
            written = True
            record = frame_record(
                frame.output,
                made=FileState.of(output),
                source=decoded.source,
                mask=decoded.mask,
                model=self._job.model_digest,
                settings=self._settings_digest(frame),
                job=self._job_digest,
                context=self._context,
                regions=decoded.beside,
            )
            self._records.append(record)
        except Exception as error:
            if isinstance(error, OSError) and writing_stops(error):
                logger.debug("%s", error, exc_info=error)
                self.stop(f"{self._job.output_folder} cannot be written: {os.strerror(error.errno or 0)}")
            else:
                self._finish_failed(frame, error, work, written=written)
            return
        warnings = [Failure(self._job.input_path(frame), text) for text in decoded.picture.warnings]
        with self._lock:
            work.made.append(frame.output)
            work.warnings += warnings
            self._count("made")

    def _finish_skipped(self, frame: JobFrame, kept: Record, work: ChunkWork) -> None:
        if kept is not self._done.record(frame.output):
            try:  # its times have changed: spare the next run the hashing
                self._records.append(kept)
            except OSError as error:
                logger.debug("%s is not recorded with its new times: %s", frame.output, error)
        with self._lock:
            work.skipped += 1
            self._count("skipped")

    def _finish_failed(self, frame: JobFrame, error: Exception, work: ChunkWork, *, written: bool = False) -> None:
        source = self._job.input_path(frame)
        if isinstance(error, OSError) and (reading_stops(error) or not self._job.input_folder.is_dir()):
            self.stop(f"{error.strerror or error}: {error.filename or source}")
            return
        reason = in_words(error)
        logger.debug("%s failed", source, exc_info=error)
        try:  # what an older input of this name gave would pass for this one's; a file that we did not make stays
            if written or self._done.record(frame.output) is not None:
                self._job.output_path(frame).unlink(missing_ok=True)
        except OSError as problem:
            self.stop(f"{self._job.output_folder} cannot be changed: {problem}")
        with self._lock:
            work.failed.append(Failure(source, reason))
            self._count("failed")

    def _count(self, what: str) -> None:
        self._counts[what] += 1
        if self._progress is not None:
            elapsed = max(time.monotonic() - self._began_s, 1e-6)
            counts = self._counts
            rate = counts["made"] / elapsed
            self._progress(
                Progress(len(self._job.frames), sum(counts.values()), counts["skipped"], counts["failed"], rate)
            )
