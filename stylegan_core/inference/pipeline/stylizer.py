"""Runs a job's chunks: decode, inference and encode overlapped by bounded threads; skips, records, carries on.

    decode pool -> inference -> encode pool
    check record, read, hash    network            carry over, write, fsync, rename; then a thread that records

A frame that fails is named with its reason, has no output, and costs no other frame. What would fail every frame, a
full disk say, stops the job instead; a rerun finishes it.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self

import numpy as np

from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.report import ChunkReport, ChunkTally, Failure, Progress
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.network.backends.compile import MOST_TOGETHER_PX, pictures_at_once
from stylegan_core.inference.network.cpu_pool import cores
from stylegan_core.inference.output.frame_log import FrameLog
from stylegan_core.inference.output.lock import TEMPORARY_FOLDER
from stylegan_core.inference.output.provenance import Provenance
from stylegan_core.inference.pipeline.frame_journal import FrameJournal
from stylegan_core.inference.pipeline.frame_outcomes import FrameOutcomes
from stylegan_core.inference.pipeline.memory_budget import MemoryBudget
from stylegan_core.inference.reading.colour import check_config
from stylegan_core.inference.reading.decode import Decoded, decode_frame
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.reading.masks import RegionReader
from stylegan_core.inference.reading.temporal_window import WindowReader
from stylegan_core.inference.render.encode import encode_frame
from stylegan_core.inference.render.renderer import FrameRenderer, NetworkOutput, bytes_per_pixel
from stylegan_core.recipes.model import Model
from stylegan_core.storage.atomic import folder_syncs_left

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
        device: str | None = None,
    ) -> None:
        """Prepares; nothing runs yet.

        Args:
            job: from ``read_job``.
            model: of the job's digest.
            checksum: hash the files of finished frames again instead of trusting sizes and times.
            context: ids for the records (commit, flow run, MLflow run).
            progress: called after each frame, from any thread, one call at a time.
            device: this worker's; default: the job's.

        Raises:
            ValueError: the model is not the job's.
            PlanError: a reference, a region's model or the OpenColorIO config is not the one that was planned with.
            ModelError: a region's model cannot be loaded.
        """
        if model.card.digest != job.model_digest:
            raise ValueError(f"{model.folder} is not the model that the job was planned for")
        check_config(job.settings)
        self._job = job
        self._renderer = FrameRenderer(job.model_copy(update={"device": device or job.device}), model)
        settings = job.settings
        self._regions = (
            RegionReader(settings.regions, settings.working_space, job.max_megapixels) if settings.regions else None
        )
        self._bytes_per_pixel = bytes_per_pixel(job)
        self._sources = FrameReader(job)
        self._windows = WindowReader(self._sources, settings) if settings.blend_frames else None
        self._chunks = job.chunks()
        self._journal = FrameJournal(job, checksum=checksum, context=context)
        self._log = FrameLog(job)
        self._outcomes = FrameOutcomes(job, self._journal, progress, self._log)
        self._temporaries = job.state_folder / TEMPORARY_FOLDER
        self._provenance = Provenance(job, self._temporaries)
        self._decoders = ThreadPoolExecutor(THREADS, thread_name_prefix="decode")
        self._translator = ThreadPoolExecutor(self._renderer.batches_at_once, thread_name_prefix="translate")
        self._encoders = ThreadPoolExecutor(THREADS, thread_name_prefix="encode")
        self._idle = threading.Condition()
        self._memory, self._queueing = MemoryBudget(MEMORY_BYTES), threading.Lock()
        self._latest_px = 0
        self._active_chunks = 0

    def __enter__(self) -> Self:
        self._temporaries.mkdir(parents=True, exist_ok=True)
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
        self._sources.close()
        self._journal.close()
        self._log.close()

    @property
    def job(self) -> Job:
        """What it works on."""
        return self._job

    @property
    def stop_reason(self) -> str | None:
        """Why the job stopped, or None."""
        return self._outcomes.stop_reason

    def stop(self, reason: str) -> None:
        """Asks all chunks to end after the frames that are being written."""
        self._outcomes.stop(reason)

    def read_new_records(self) -> None:
        """Learns what other workers have finished since, so that this one skips it."""
        self._journal.read_new()

    def chunk(self, index: int) -> ChunkReport:
        """Makes the frames of one chunk.

        Args:
            index: into the job's chunks.

        Raises:
            StylizeStopped: the job was stopped, or has to.
        """
        frames = deque(self._chunks[index])
        work = ChunkTally()
        decoding: deque[Future[Decoded | None]] = deque()
        translating: deque[tuple[list[Decoded], Future[list[list[NetworkOutput] | None]]]] = deque()
        encoding: deque[Future[Future[None] | None]] = deque()
        recording: list[Future[None]] = []
        with self._idle:
            if self.stop_reason is not None:
                raise StylizeStopped(self.stop_reason)
            self._active_chunks += 1
        try:
            while (frames or decoding or translating) and self.stop_reason is None:
                while encoding and encoding[0].done():
                    recording += _recorded(encoding.popleft().result())
                painted = sum(len(batch) for batch, _ in translating)
                while frames and len(decoding) + painted + len(encoding) < self._window():
                    with self._queueing:  # tickets in the order of the pool's queue
                        ticket = self._memory.ticket()
                        decoding.append(self._decoders.submit(self._decode, frames.popleft(), ticket, work))
                full = len(translating) == self._renderer.batches_at_once
                if translating and decoding and not full:  # a decode may wait for the room of what is translated
                    either: list[Future[Any]] = [translating[0][1], decoding[0]]
                    wait(either, return_when=FIRST_COMPLETED)
                if translating and (full or not decoding or translating[0][1].done()):
                    encoding += self._encoded(*translating.popleft(), work)
                elif decoding:
                    translating += self._translating(self._next_batch(decoding), work)
                else:  # the window is full of frames that are being written
                    wait([encoding[0]])
        finally:
            wait(decoding)
            wait([answers for _, answers in translating])
            wait(encoding)
            for written in encoding:
                recording += _recorded(written.result() if written.exception() is None else None)
            self._journal.flush()
            wait(recording)
            for frame in self._chunks[index]:  # a stop leaves some half-way
                self._memory.release(frame.output)
            with self._idle:
                self._active_chunks -= 1
                self._idle.notify_all()
        for written in encoding:
            written.result()
        for recorded in recording:
            recorded.result()
        if self.stop_reason is not None:
            raise StylizeStopped(self.stop_reason)
        return work.report()

    def _window(self) -> int:
        """Frames of one chunk that are worth having in flight; ``MemoryBudget`` says how many may be."""
        together = max(cores(), MOST_TOGETHER_PX // self._latest_px) if self._latest_px else 1
        return min(24, 2 * THREADS + max(THREADS, 2 * together))

    # Apart from the loop, whose names would keep the last frames in memory.
    def _translating(
        self, batch: list[Decoded], work: ChunkTally
    ) -> list[tuple[list[Decoded], Future[list[list[NetworkOutput] | None]]]]:
        return [(batch, self._translator.submit(self._translate, batch, work))] if batch else []

    def _encoded(
        self, batch: list[Decoded], answers: Future[list[list[NetworkOutput] | None]], work: ChunkTally
    ) -> list[Future[Future[None] | None]]:
        found = zip(batch, answers.result(), strict=True)
        return [self._encoders.submit(self._encode, frame, after, work) for frame, after in found if after is not None]

    def _next_batch(self, decoding: deque[Future[Decoded | None]]) -> list[Decoded]:
        """Waits for the first frame, then takes those of its size that are there already."""
        first = decoding.popleft().result()
        if first is None:
            return []
        batch = [first]
        most = pictures_at_once(first.height_px, first.width_px, self._job.device)
        while len(batch) < most and decoding and decoding[0].done():
            following = decoding[0].result()
            if following is not None:
                if following.before_unit.shape != first.before_unit.shape:
                    break
                if following.frame.statistics != first.frame.statistics:
                    break
                batch.append(following)
            decoding.popleft()
        return batch

    def _decode(self, frame: FrameTask, ticket: int, work: ChunkTally) -> Decoded | None:
        """None if there is nothing to translate: done before, failed, or stopped."""
        self._memory.acquire(ticket, lambda: self.stop_reason is not None)
        decoded = self._decode_now(frame, work) if self.stop_reason is None else None
        if decoded is None:
            self._memory.decoded(None)
            return None
        self._latest_px = decoded.height_px * decoded.width_px * (1 + len(decoded.other_views))
        self._memory.decoded(frame.output, self._latest_px * self._bytes_per_pixel)
        return decoded

    def _decode_now(self, frame: FrameTask, work: ChunkTally) -> Decoded | None:
        job = self._job
        try:
            if self._journal.done(frame):
                self._outcomes.skipped(frame, work)
                return None
            with self._log.timed("decode", [frame]):
                return decode_frame(
                    frame,
                    self._sources,
                    job.settings,
                    max_megapixels=job.max_megapixels,
                    regions=self._regions,
                    windows=self._windows,
                )
        except Exception as error:
            self._outcomes.failed(frame, error, work)
            return None

    def _translate(self, batch: list[Decoded], work: ChunkTally) -> list[list[NetworkOutput] | None]:
        """The answers to all views of each frame."""
        if self.stop_reason is not None:
            return [None] * len(batch)
        try:
            with self._log.timed("forward", [decoded.frame for decoded in batch]):
                after: list[list[NetworkOutput]] = [[painted] for painted in self._renderer.answers(batch)]
                for decoded, views in zip(batch, after, strict=True):
                    views += [painted for view in decoded.other_views for painted in self._renderer.answers([view])]
        except Exception as error:
            if len(batch) > 1:  # one frame must not cost the others
                return [self._translate([decoded], work)[0] for decoded in batch]
            self._memory.release(batch[0].frame.output)
            self._outcomes.failed(batch[0].frame, error, work)
            return [None]
        results: list[list[NetworkOutput] | None] = []
        for decoded, views in zip(batch, after, strict=True):
            if all(isinstance(answer, Picture) or np.isfinite(answer).all() for answer in views):
                results.append(views)
            else:
                results.append(None)
                self._memory.release(decoded.frame.output)
                self._outcomes.failed(decoded.frame, ValueError("the model's answer is not finite"), work)
        return results

    def _encode(self, decoded: Decoded, after: list[NetworkOutput], work: ChunkTally) -> Future[None] | None:
        """Writes a frame and hands it over to be recorded; None if it failed or the job stops."""
        if self.stop_reason is not None:
            return None
        frame, written = decoded.frame, False
        warnings = [Failure(self._job.input_path(frame), text) for text in decoded.picture.warnings]

        def finished(error: Exception | None) -> None:
            self._outcomes.written(frame, warnings, error, work)

        try:
            if not self._temporaries.is_dir():  # written on, frames would land below the mount point
                raise OSError(errno.ESTALE, "it was unmounted or removed", str(self._job.output_folder))
            with folder_syncs_left() as folders, self._log.timed("encode", [frame]):
                encode_frame(
                    decoded,
                    after,
                    self._job.output_path(frame),
                    self._job.settings,
                    strength=self._renderer.carried(frame),
                    write=self._provenance.write,
                )
            written = True
            return self._journal.add(decoded, folders, finished)
        except Exception as error:
            self._outcomes.unwritten(frame, error, work, written=written)
            return None
        finally:
            self._memory.release(frame.output)


def _recorded(future: Future[None] | None) -> list[Future[None]]:
    return [] if future is None else [future]
