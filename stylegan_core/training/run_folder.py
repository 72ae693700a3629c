"""The folder of a run: outside the workspace, named by what decides the result, so that it survives a kill.

checkpoint-*.safetensors, curves.csv    the trainer's
run.json                                notes that must not reach the outputs, the tracker's run id say
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
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from stylegan_core.config import Training
from stylegan_core.data.crops import stored_rows
from stylegan_core.data.manifest import Manifest, ManifestRow
from stylegan_core.data.store import SampleStore
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.cache import cache_folder

log = logging.getLogger(__name__)

_PROCESS_ONLY = (
    "limit_minutes",  # a stop, not a result
    "checkpoint_every_s",
    "sample_every_steps",
    "weights",  # both are kept, the card says which is chosen
    "init_from",  # its digest counts
    "model_per_shot",  # the names of the shots count
)


class RunFolder:
    """A run's folder in the user's cache, which is made.

    Args:
        key: from ``run_key``.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.path = cache_folder("train", key)
        self._lock_path = cache_folder("train") / f"{key}.lock"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Waits until no other process works in the folder."""
        lock = FileLock(self._lock_path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("another process trains this model already: waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def finished(self) -> dict[str, Any]:
        """What ``mark_finished`` noted; empty if it never was."""
        return _read_json(self.path / "finished.json")

    def mark_finished(self, note: dict[str, Any]) -> None:
        """Notes that the outputs of this run are in place."""
        _write_json(self.path / "finished.json", note)

    def notes(self) -> dict[str, Any]:
        """What ``write_notes`` wrote; empty if nothing."""
        return _read_json(self.path / "run.json")

    def write_notes(self, notes: dict[str, Any]) -> None:
        """Keeps what a resumed run wants to know and outputs must not hold."""
        _write_json(self.path / "run.json", notes)

    def clear(self) -> None:
        """Removes all that is in it: training begins from the start."""
        # The mark goes last: stopped halfway, the folder still says that it was finished, and is cleared again.
        for item in sorted(self.path.iterdir(), key=lambda p: p.name == "finished.json"):
            shutil.rmtree(item) if item.is_dir() else item.unlink()


def trim_runs(kept: Sequence[RunFolder], limit_bytes: int) -> list[Path]:
    """Removes the oldest finished runs while all run folders together hold more than ``limit_bytes``.

    Runs that were interrupted, that another process works on, and ``kept`` stay: a finished one costs training again
    at most, and its model lies elsewhere.

    Returns:
        The folders that were removed.
    """
    spared = {folder.path for folder in kept}
    sizes = {p: _size(p) for p in cache_folder("train").iterdir() if p.is_dir()}
    removed = []
    for path in sorted(sizes, key=lambda p: p.stat().st_mtime):
        if sum(sizes.values()) <= limit_bytes:
            break
        if path in spared or not (path / "finished.json").is_file():
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
    """SHA-256, in hex, over what decides the result of a training, but for its budget.

    The budget is left out and schedules are in absolute steps, so that a larger budget continues a run.

    Args:
        training: what to run; its name does not count.
        data: from ``data_digest``.
        code: from ``code_closure_digest``.
        init: digest of the model that it starts from.
    """
    settings = training.settings
    config = settings.config.model_dump(mode="json", exclude={"budget_steps", "budget_images"})
    common = settings.common.model_dump(mode="json", exclude=set(_PROCESS_ONLY))
    parts = [settings.recipe, config, common, list(training.shots), data, code, init]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def data_digest(store: SampleStore, manifest: Manifest, shots: Sequence[str] = ()) -> str:
    """SHA-256, in hex, over the samples that a training and its validation use and how they belong together.

    Other shots in the same store do not count, nor where they push these samples to, nor paths.
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_bytes_atomically(path, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode())
