"""The folder of a run: outside the workspace, named by what decides the result, so that it survives a kill.

checkpoint-*.safetensors, curves.csv    written by the trainer
run.json                                notes that must not enter the outputs, such as the tracker's run id
finished.json                           written when the outputs are in place
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from stylegan_core.config import Training
from stylegan_core.data.crops import stored_rows
from stylegan_core.data.manifest import Manifest, ManifestRow
from stylegan_core.data.store import SampleStore
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.cache import cache_folder

log = logging.getLogger(__name__)

_Content = TypeVar("_Content", bound=BaseModel)

_PROCESS_ONLY = (
    "limit_minutes",  # a stop, not a result
    "checkpoint_every_s",
    "sample_every_steps",
    "weights",  # both are kept, the card says which is chosen
    "init_from",  # its digest counts
    "model_per_shot",  # the names of the shots count
)


class RunNotes(BaseModel):
    """Content of run.json.

    Attributes:
        mlflow_run_id: of the tracked run that an interrupted training continues.
    """

    model_config = ConfigDict(frozen=True)

    mlflow_run_id: str | None = None


class FinishedMark(BaseModel):
    """Content of finished.json: the outputs of the run were in place once.

    Attributes:
        budget_steps: step budget of the run.
        limit_minutes: time limit that was set.
        stopped_by: "budget" or "limit_minutes".
        stage: digest of all that the stage depended on.
    """

    model_config = ConfigDict(frozen=True)

    budget_steps: int | None = None
    limit_minutes: float | None = None
    stopped_by: str | None = None
    stage: str | None = None


class RunFolder:
    """A run's folder in the user's cache; creating the object creates the folder.

    Args:
        key: from ``run_key``.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.path = cache_folder("train", key)
        self._lock_path = cache_folder("train") / f"{key}.lock"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder; waits while another process holds it."""
        lock = FileLock(self._lock_path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("another process is training this model: waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def finished(self) -> FinishedMark | None:
        """The mark that ``mark_finished`` wrote; None if there is none, or it is damaged."""
        return _read(FinishedMark, self.path / "finished.json")

    def mark_finished(self, mark: FinishedMark) -> None:
        """Records that the outputs of this run are in place."""
        _write(self.path / "finished.json", mark)

    def notes(self) -> RunNotes:
        """What ``write_notes`` wrote; empty notes if nothing."""
        return _read(RunNotes, self.path / "run.json") or RunNotes()

    def write_notes(self, notes: RunNotes) -> None:
        """Keeps what a resumed run needs to know and outputs must not hold."""
        _write(self.path / "run.json", notes)

    def clear(self) -> None:
        """Removes the content: training begins from the start."""
        # The mark is removed last: stopped halfway, the folder is still marked as finished, and is cleared again.
        for item in sorted(self.path.iterdir(), key=lambda p: p.name == "finished.json"):
            shutil.rmtree(item) if item.is_dir() else item.unlink()


def trim_runs(kept: Sequence[RunFolder], limit_bytes: int) -> list[Path]:
    """Removes the oldest finished runs while all run folders together hold more than ``limit_bytes``.

    Interrupted runs, runs that another process holds, and ``kept`` are not removed. Removing a finished one costs at
    most a training: its model is stored elsewhere.

    Returns:
        The folders that were removed.
    """
    excluded = {folder.path for folder in kept}
    sizes = {p: _size(p) for p in cache_folder("train").iterdir() if p.is_dir()}
    removed = []
    for path in sorted(sizes, key=lambda p: p.stat().st_mtime):
        if sum(sizes.values()) <= limit_bytes:
            break
        if path in excluded or not (path / "finished.json").is_file():
            continue
        try:
            with FileLock(path.with_name(f"{path.name}.lock"), timeout=0):
                shutil.rmtree(path)
        except Timeout:
            continue
        del sizes[path]
        removed.append(path)
    return removed


def run_key(training: Training, data: str, code: str, init: str | None) -> str:
    """SHA-256, in hex, over everything that decides the result of a training, except the budget.

    Schedules are in absolute steps, so that a larger budget continues a run.

    Args:
        training: what to run; its name has no effect.
        data: from ``data_digest``.
        code: from ``code_closure_digest``.
        init: digest of the model that it starts from; None: fresh weights.
    """
    settings = training.settings
    config = settings.config.model_dump(mode="json", exclude={"budget_steps", "budget_images"})
    common = settings.common.model_dump(mode="json", exclude=set(_PROCESS_ONLY))
    parts = [settings.recipe, config, common, list(training.shots), data, code, init]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def data_digest(store: SampleStore, manifest: Manifest, shots: Sequence[str] = ()) -> str:
    """SHA-256, in hex, over the samples that a training and its validation use, and their rows in the manifest.

    Other shots in the same store, positions in the store, and paths have no effect.
    """
    digest = hashlib.sha256(f"{store.working_space} {store.sample_type}".encode())
    for split in ("train", "validation"):
        for row in stored_rows(manifest, split, shots):
            digest.update(json.dumps(_row_texts(row)).encode())
            for column, index in (("sample", row.sample), ("mask_sample", row.mask_sample)):
                if index is not None:
                    sample = np.ascontiguousarray(store.sample(index))
                    digest.update(f"{column} {sample.shape}".encode())
                    digest.update(sample.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _row_texts(row: ManifestRow) -> list[str]:
    """The columns that count for a digest, as text; a missing frame is "None", as in the digests of version 0.1."""
    held_out = "" if row.held_out is None else str(row.held_out)
    sizes = [str(row.width_px), str(row.height_px)]
    return [row.domain, row.shot, str(row.frame), row.pair, row.split, row.labels, *sizes, held_out]


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def _read(model: type[_Content], path: Path) -> _Content | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(path: Path, content: BaseModel) -> None:
    text = json.dumps(content.model_dump(mode="json", exclude_unset=True), indent=2, sort_keys=True)
    write_bytes_atomically(path, f"{text}\n".encode())
