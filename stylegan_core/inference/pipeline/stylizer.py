"""Stylizer: a job at work in this process, with the resources that its chunks share.

    decode pool             render pool     encode pool                              commit thread
    up-to-date check, read  network         blend back, encode, write, fsync, rename fsync folder, record

A frame that fails is reported with its reason, has no output, and affects no other frame. An error that would fail
every frame, such as a full disk, stops the job; a rerun finishes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from stylegan_core.inference.job.report import ChunkReport, Progress
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output.frame_log import FrameLog
from stylegan_core.inference.output.lock import TEMPORARY_FOLDER
from stylegan_core.inference.output.provenance import Provenance
from stylegan_core.inference.output.skip_check import SkipCheck
from stylegan_core.inference.pipeline.chunk_run import ChunkRun, Stages
from stylegan_core.inference.pipeline.decode_stage import DecodeStage
from stylegan_core.inference.pipeline.encode_stage import EncodeStage
from stylegan_core.inference.pipeline.frame_journal import FrameJournal
from stylegan_core.inference.pipeline.frame_outcomes import FrameOutcomes
from stylegan_core.inference.pipeline.memory_budget import MemoryBudget
from stylegan_core.inference.pipeline.render_stage import RenderStage
from stylegan_core.inference.reading.colour import check_config
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.render.renderer import FrameRenderer
from stylegan_core.recipes.model import Model

MEMORY_BYTES = 2 << 30
"""For the frames in flight of all chunks together; a single frame may exceed it."""


class Stylizer:
    """A job at work in this process; its chunks may run in several threads and share its pools and its model.

    Use it in a ``with`` statement, while holding the lock of the output folder.
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
        """Loads the models and the records; no frame is read yet.

        Args:
            job: from ``read_job``.
            model: of the job's digest.
            checksum: hash the files of finished frames instead of trusting sizes and times.
            context: ids for the records (commit, flow run, MLflow run).
            progress: called after each frame, from any thread, one call at a time.
            device: of this worker; default: the job's.

        Raises:
            ValueError: the model is not the job's.
            PlanError: a reference, a region's model or the OpenColorIO config has changed since planning.
            ModelError: a region's model cannot be loaded.
        """
        if model.card.digest != job.model_digest:
            raise ValueError(f"{model.folder} is not the model that the job was planned for")
        check_config(job.settings)
        self._job = job
        self._temporaries = job.state_folder / TEMPORARY_FOLDER
        renderer = FrameRenderer(job.model_copy(update={"device": device or job.device}), model)
        provenance = Provenance(job, self._temporaries)
        self._reader, self._log = FrameReader(job), FrameLog(job)
        self._journal = FrameJournal(job, context=context)
        self._skip_check = SkipCheck(job, checksum=checksum, records=self._journal.records)
        self._outcomes = outcomes = FrameOutcomes(job, self._skip_check, self._log, progress)
        memory = MemoryBudget(MEMORY_BYTES)
        self._stages = Stages(
            DecodeStage(job, self._reader, self._skip_check, outcomes, self._log, memory),
            RenderStage(renderer, outcomes, self._log, memory),
            EncodeStage(job, renderer, provenance, self._journal, outcomes, self._log, memory),
            memory,
            self._journal,
            outcomes,
        )
        self._chunks = job.chunks()
        self._active_chunks, self._idle = 0, threading.Condition()

    def __enter__(self) -> Self:
        self._temporaries.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop("an error")
        with self._idle:  # chunks in other threads end soon after a stop
            self._idle.wait_for(lambda: self._active_chunks == 0)
        for stage in (self._stages.decode, self._stages.render, self._stages.encode):
            stage.close()
        self._reader.close()
        self._journal.close()
        self._log.close()

    @property
    def job(self) -> Job:
        """The job."""
        return self._job

    @property
    def stop_reason(self) -> str | None:
        """Why the job stopped, or None."""
        return self._outcomes.stop_reason

    def stop(self, reason: str) -> None:
        """Makes all chunks end after the frames that are being written."""
        self._outcomes.stop(reason)

    def read_new_records(self) -> None:
        """Reads what other workers have recorded since, so that this one skips those frames."""
        self._skip_check.read_new()

    def chunk(self, index: int) -> ChunkReport:
        """Makes the frames of one chunk that are not up to date.

        Args:
            index: of the chunk in the job.

        Raises:
            StylizeStopped: the job was stopped, or an error stopped it.
        """
        with self._active():
            return ChunkRun(self._chunks[index], self._stages).run()

    @contextmanager
    def _active(self) -> Iterator[None]:
        """Counts the chunk as active, unless the job has stopped."""
        with self._idle:
            self._outcomes.raise_if_stopped()
            self._active_chunks += 1
        try:
            yield
        finally:
            with self._idle:
                self._active_chunks -= 1
                self._idle.notify_all()
