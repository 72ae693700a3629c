"""Chunks of one job in several processes: each is made once, by one of them, and nobody is left waiting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from flows.runners.local_runner import LocalRunner
from stylegan_core.inference.job.plan import Plan, write_plan
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output.lock import hold_chunk, hold_output
from stylegan_core.inference.pipeline.frame_outcomes import StylizeStopped
from stylegan_core.inference.planning.request import Request
from stylegan_core.recipes.model import Model
from stylegan_core.storage.records import read_records
from tasks.shared.errors import StoppedError, UsageError
from tasks.stylize import chunk as chunk_work
from tasks.stylize import chunks as job_chunks
from tasks.stylize.chunk import close_jobs, device_of_worker, stop_chunks, work_chunk
from tasks.stylize.chunks import parse_chunks
from tasks.stylize.stylize import plan_request
from tasks.stylize.work import work_on


@pytest.fixture
def planned(tmp_path: Path, noise_picture: Any, tiny_model_folder: Path) -> tuple[Job, Model]:
    """Seven frames in chunks of two."""
    plates = tmp_path / "plates"
    plates.mkdir()
    for number in range(7):
        cv2.imwrite(str(plates / f"shot.{number:04d}.png"), noise_picture(number))
    asked = Request.of(source=plates, output=tmp_path / "out", model=tiny_model_folder, chunk_frames=2)
    plan, model = plan_request(asked)
    write_plan(plan)
    return plan.job, model


@pytest.fixture
def job(planned: tuple[Job, Model]) -> Iterator[Job]:
    yield planned[0]
    close_jobs()
    assert not chunk_work._open


def made(job: Job) -> list[str]:
    return sorted(path.name for path in job.output_folder.glob("*.png"))


@pytest.mark.parametrize(
    ("text", "chunks"),
    [("3", [3]), ("0-9", list(range(10))), ("0-1, 8,1", [0, 1, 8]), ("9", [9]), ("07", [7])],
)
def test_chunk_numbers_and_ranges(text: str, chunks: list[int]) -> None:
    assert parse_chunks(text, 10) == chunks


@pytest.mark.parametrize("asked", ["10", "5-10", "", "x", "-1", "1-", "3-1", "1.5"])
def test_malformed_chunks_are_refused(asked: str) -> None:
    with pytest.raises(UsageError, match="--chunk"):
        parse_chunks(asked, 10)


def test_a_chunk_alone(planned: tuple[Job, Model]) -> None:
    job, model = planned
    report = work_on(Plan(job), model, LocalRunner(), shared=True, chunks=[1, 3])
    assert (report.made, report.preview) == (3, None)
    assert made(job) == ["shot.0002.png", "shot.0003.png", "shot.0006.png"]
    report = work_on(Plan(job), model, LocalRunner(), shared=True)
    assert (report.made, report.skipped) == (4, 3)
    assert report.preview is not None


def test_workers_of_one_job_make_each_frame_once(planned: tuple[Job, Model]) -> None:
    job, model = planned
    together, reports = threading.Barrier(3, timeout=60), []

    def works() -> None:
        together.wait()
        reports.append(work_on(Plan(job), model, LocalRunner(2), shared=True, preview=None, lock_wait_s=None))

    threads = [threading.Thread(target=works) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [report.made + report.skipped for report in reports] == [7, 7, 7]
    assert sum(report.made for report in reports) == 7 == len(read_records(job.output_folder))


def test_another_job_is_refused_while_workers_are_there(planned: tuple[Job, Model]) -> None:
    job, model = planned
    other = job.model_copy(update={"settings": job.settings.model_copy(update={"strength": 0.5})})
    with hold_output(job.state_folder, job=job.digest):
        assert work_on(Plan(job), model, LocalRunner(), shared=True, preview=None).made == 7
        for shared in (True, False):
            with pytest.raises(UsageError, match="another run works on"):
                work_on(Plan(other), model, LocalRunner(), shared=shared)
        with pytest.raises(UsageError, match="another run works on"):
            work_on(Plan(job), model, LocalRunner())  # `stylize` works alone


def test_the_same_shot_of_another_run_is_waited_for_with_a_line(
    planned: tuple[Job, Model], caplog: pytest.LogCaptureFixture
) -> None:
    """A scheduled run beside one by hand: they have one folder in the user's cache."""
    job, model = planned
    held = hold_output(job.state_folder)
    held.__enter__()
    timer = threading.Timer(1.0, held.__exit__, (None, None, None))
    timer.start()
    with caplog.at_level(logging.INFO):
        assert work_on(Plan(job), model, LocalRunner(), preview=None, lock_wait_s=300.0).made == 7
    timer.join()
    assert "another run works on" in caplog.text
    assert "waiting for its end, for at most 300 s" in caplog.text
    with (
        hold_output(job.state_folder),
        pytest.raises(UsageError, match=r"wait for it, or choose another folder \(it has not ended in 1 s\)"),
    ):
        work_on(Plan(job), model, LocalRunner(), preview=None, lock_wait_s=1.0)


def test_a_held_chunk_is_skipped_or_waited_for(planned: tuple[Job, Model], caplog: pytest.LogCaptureFixture) -> None:
    job, model = planned
    with hold_output(job.state_folder, job=job.digest), hold_chunk(job.state_folder, job.digest, 2):
        with pytest.raises(StoppedError, match="chunk 2 is still at work in other processes"):
            work_on(Plan(job), model, LocalRunner(), shared=True, lock_wait_s=0.0)
        assert made(job) == ["shot.0000.png", "shot.0001.png", "shot.0002.png", "shot.0003.png", "shot.0006.png"]
        with pytest.raises(StoppedError), caplog.at_level(logging.INFO):
            work_on(Plan(job), model, LocalRunner(), shared=True, lock_wait_s=0.3)
        assert "chunk 2 is at work in other processes: waiting" in caplog.text
    with hold_output(job.state_folder, job=job.digest):
        held = hold_chunk(job.state_folder, job.digest, 2)
        held.__enter__()
        timer = threading.Timer(0.5, held.__exit__, (None, None, None))
        timer.start()
        report = work_on(Plan(job), model, LocalRunner(), shared=True, preview=None, lock_wait_s=None)
        timer.join()
    assert (report.made, report.skipped) == (2, 5)


def test_a_process_loads_the_model_once(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    plain = chunk_work.open_job
    monkeypatch.setattr(chunk_work, "open_job", lambda file: opened.append(file) or plain(file))
    reports = [work_chunk(index, job_file=str(job.file)) for index in range(4)]
    assert [len(report.made) for report in reports] == [2, 2, 2, 1]
    assert opened == [job.file]
    again = work_chunk(0, job_file=str(job.file))
    assert (again.made, again.skipped, len(opened)) == ((), 2, 1), "what it recorded itself is known to it"
    close_jobs()
    assert work_chunk(1, job_file=str(job.file), checksum=True).skipped == 2
    assert len(opened) == 2


def test_what_another_worker_finished_is_skipped(planned: tuple[Job, Model], job: Job) -> None:
    assert len(work_chunk(0, job_file=str(job.file)).made) == 2
    work_on(Plan(job), planned[1], LocalRunner(), shared=True, chunks=[1, 2], preview=None)
    assert [work_chunk(index, job_file=str(job.file)).skipped for index in (1, 2, 3)] == [2, 2, 0]


def test_a_stop_reaches_the_chunks_of_this_process_and_a_new_call_begins_anew(job: Job) -> None:
    work_chunk(0, job_file=str(job.file))
    stop_chunks("SIGTERM")
    assert len(work_chunk(1, job_file=str(job.file)).made) == 2, "the stop was for what was at work then"
    entry = next(iter(chunk_work._open.values()))
    plain = entry.stylizer.chunk

    def stopped(index: int) -> Any:
        stop_chunks("SIGTERM")
        return plain(index)

    entry.stylizer.chunk = stopped  # type: ignore[method-assign]
    with pytest.raises(StylizeStopped, match="SIGTERM"):
        work_chunk(2, job_file=str(job.file))
    assert not chunk_work._open
    assert len(work_chunk(2, job_file=str(job.file)).made) == 2


def test_a_chunk_of_another_job_is_refused(job: Job) -> None:
    with hold_output(job.state_folder, job="other"), pytest.raises(UsageError, match="another run works on"):
        work_chunk(0, job_file=str(job.file))
    with pytest.raises(UsageError, match="does not exist"):
        work_chunk(0, job_file=str(job.output_folder / "missing.json"))


def test_each_worker_has_a_gpu_of_its_own() -> None:
    assert [device_of_worker("cuda", name, 2) for name in (0, "1", 2)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert device_of_worker("cuda", "tcp://10.0.0.5:4000", 2) == "cuda"
    assert device_of_worker("cuda", 1, 1) == "cuda"
    assert device_of_worker("cuda:1", 0, 4) == "cuda:1"
    assert device_of_worker("cpu", 0, 0) == "cpu"


def test_progress_is_read_from_the_records_of_others(planned: tuple[Job, Model]) -> None:
    job, model = planned
    work_on(Plan(job), model, LocalRunner(), shared=True, chunks=[0], preview=None)
    seen: list[Any] = []
    with job_chunks._progress_from_records(job, seen.append):
        work_on(Plan(job), model, LocalRunner(), shared=True, chunks=[1, 2], preview=None)
    assert seen[-1].done == 6
    assert seen[-1].skipped == 2
    assert seen[-1].total == 7
    assert seen[-1].frames_per_s > 0
