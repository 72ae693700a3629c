"""Records that other workers write reach every thread that reads them before it starts a chunk."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import pytest

from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output.skip_check import RecordIndex, SkipCheck
from stylegan_core.inference.pipeline.stylizer import Stylizer
from stylegan_core.recipes.model import Model


@pytest.fixture
def job(tmp_path: Path, tiny_model: Model, noise_picture: Any) -> Job:
    """Two frames of one chunk."""
    (tmp_path / "in").mkdir()
    names = ["f.1.png", "f.2.png"]
    for seed, name in enumerate(names):
        cv2.imwrite(str(tmp_path / "in" / name), noise_picture(seed))
    return Job(
        input_folder=tmp_path / "in",
        output_folder=tmp_path / "out",
        model_folder=tiny_model.folder,
        model_digest=tiny_model.card.digest,
        chunk_frames=2,
        settings=FrameSettings(),
        frames=tuple(FrameTask(input=name, output=name) for name in names),
    )


def test_a_thread_that_reads_no_new_records_waits_for_those_that_another_thread_is_reading(
    job: Job, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two chunks of one worker start at once; the second must not make frames again that another worker recorded."""
    check = SkipCheck(job)
    with Stylizer(job, tiny_model) as other_worker:
        assert len(other_worker.chunk(0).made) == 2
    reading, go_on, done = threading.Event(), threading.Event(), list[bool]()
    add = RecordIndex.add

    def add_slowly(index: RecordIndex, records: Any) -> None:
        records = list(records)
        if records and not reading.is_set():
            reading.set()
            assert go_on.wait(60)
        add(index, records)

    monkeypatch.setattr(RecordIndex, "add", add_slowly)

    def start_chunk() -> None:
        check.read_new()
        done.extend(check.is_up_to_date(task) for task in job.frames)

    first = threading.Thread(target=check.read_new)
    first.start()
    assert reading.wait(60)
    second = threading.Thread(target=start_chunk)
    second.start()
    second.join(0.5)  # long enough to read nothing and go on
    go_on.set()
    for thread in (first, second):
        thread.join(60)
    assert done == [True, True]
