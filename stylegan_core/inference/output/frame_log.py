"""Frame log: a line of JSON for each frame of a run, with its outcome and the time that its stages took.

It is for people and dashboards; unlike the records, the program does not read it.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job

logger = logging.getLogger(__name__)

Stage = Literal["decode", "forward", "encode"]


class FrameLog:
    """Writes ``OUTPUT/.stylereel/log-*.jsonl``, one file for each process. Thread-safe."""

    def __init__(self, job: Job) -> None:
        """Opens nothing yet.

        Args:
            job: whose frames are logged.
        """
        host = re.sub(r"[^A-Za-z0-9]+", "-", platform.node()) or "host"
        self.path: Path = job.state_folder / f"log-{host}-{os.getpid()}-{os.urandom(4).hex()}.jsonl"
        self._known = {"model": job.model_digest, "job": job.digest[:16]}
        self._lock = threading.Lock()
        self._seconds: dict[str, dict[str, float]] = {}
        self._file: TextIO | None = None
        self._broken = False

    @contextmanager
    def timed(self, stage: Stage, frames: Sequence[FrameTask]) -> Iterator[None]:
        """Adds the time that the block takes to the frames that share it, in equal parts."""
        began_s = time.perf_counter()
        try:
            yield
        finally:
            share = (time.perf_counter() - began_s) / len(frames)
            with self._lock:
                for frame in frames:
                    spent = self._seconds.setdefault(frame.output, {})
                    spent[f"{stage}_s"] = spent.get(f"{stage}_s", 0.0) + share

    def ended(self, frame: FrameTask, status: Literal["made", "skipped", "failed"], reason: str = "") -> None:
        """Writes the line of a frame; a log that cannot be written does not fail the frame.

        Args:
            frame: of the job.
            status: its outcome; "skipped" is up to date.
            reason: why it failed.
        """
        with self._lock:
            spent = self._seconds.pop(frame.output, {})
            line: dict[str, object] = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "frame": frame.output,
            }
            line |= {"number": frame.number} if frame.number is not None else {}
            line |= {"missing": frame.missing} if frame.missing else {}
            line |= {"input": frame.input, "status": status} | ({"reason": reason} if reason else {})
            line |= {name: round(seconds, 4) for name, seconds in spent.items()} if status != "skipped" else {}
            self._write(json.dumps(line | self._known, ensure_ascii=False))

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, line: str) -> None:
        if self._broken:
            return
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a", encoding="utf-8", buffering=1)
            self._file.write(line + "\n")
        except OSError as error:
            self._broken = True
            logger.warning("cannot write the log %s: %s", self.path, error)
