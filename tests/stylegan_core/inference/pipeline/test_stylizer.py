import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.output import provenance
from stylegan_core.inference.output.lock import TEMPORARY_FOLDER
from stylegan_core.inference.pipeline import encode_stage, stylizer
from stylegan_core.inference.pipeline.frame_outcomes import StylizeStopped
from stylegan_core.inference.pipeline.stylizer import Stylizer
from stylegan_core.inference.reading.decode import FrameDecoder
from stylegan_core.inference.render import conditioned_model
from stylegan_core.recipes.base import Conditions
from stylegan_core.storage.records import RecordWriter, read_records


@pytest.fixture
def shot(tmp_path, tiny_model, noise_picture):
    """A job over ten frames of two sizes in a tree, chunks of four."""
    names = [f"a/f.{n:04d}.png" for n in range(1, 9)] + ["b/large.png", "b/small.png"]
    (tmp_path / "in/a").mkdir(parents=True)
    (tmp_path / "in/b").mkdir()
    for seed, name in enumerate(names):
        size = {"b/large.png": (90, 70), "b/small.png": (9, 33)}.get(name, (40, 56))
        cv2.imwrite(str(tmp_path / "in" / name), noise_picture(seed, *size))
    return job_of(tmp_path, names, tiny_model)


def job_of(tmp_path, names, model, masks=None, **settings):
    return Job(
        input_folder=tmp_path / "in",
        output_folder=tmp_path / "out",
        model_folder=model.folder,
        model_digest=model.card.digest,
        chunk_frames=4,
        settings=FrameSettings(**settings),
        frames=tuple(FrameTask(input=n, output=n, mask=(masks or {}).get(n)) for n in names),
    )


def run(job, model, **kwargs):
    with Stylizer(job, model, **kwargs) as work:
        return [work.chunk(index) for index in range(len(job.chunks()))]


def reference(path, model, strength=1.0, mask=None):
    """Plain load, network, add, round: uint8 RGB, for sides that are multiples of 8."""
    source = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    signed = torch.from_numpy(source.astype(np.float32) / 255).permute(2, 0, 1)[None] * 2 - 1
    with torch.no_grad():
        after = model.recipe.translate(signed, Conditions())
    change = (after - signed)[0].permute(1, 2, 0).numpy() / 2 * strength
    if mask is not None:
        change = change * mask[:, :, None]
    return np.clip(np.rint(source + change * 255.0), 0, 255)


def read(path):
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)


def made(reports):
    return sorted(name for report in reports for name in report.made)


def test_every_frame_is_what_a_plain_loop_makes(shot, tiny_model):
    reports = run(shot, tiny_model)
    assert made(reports) == sorted(frame.output for frame in shot.frames)
    assert not any(report.failed for report in reports)
    for frame in shot.frames[:8]:
        result, source = read(shot.output_path(frame)), read(shot.input_path(frame))
        assert np.abs(result - reference(shot.input_path(frame), tiny_model)).max() <= 1
        assert np.abs(result.astype(int) - source).mean() > 1  # it did change
    for frame in shot.frames[8:]:
        assert read(shot.output_path(frame)).shape == read(shot.input_path(frame)).shape
    assert list((shot.state_folder / TEMPORARY_FOLDER).iterdir()) == []


def test_chunks_in_threads_give_the_same_files(shot, tiny_model, tmp_path):
    run(shot, tiny_model)
    other = shot.model_copy(update={"output_folder": tmp_path / "other"})
    with Stylizer(other, tiny_model) as work, ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(work.chunk, range(3)))
    assert len(made(reports)) == 10
    for frame in shot.frames:
        assert shot.output_path(frame).read_bytes() == other.output_path(frame).read_bytes()


def test_strength_zero_and_mask_zero_keep_every_bit(shot, tiny_model, tmp_path):
    names = [frame.input for frame in shot.frames[:3]]
    mask = np.zeros((40, 56), np.uint8)
    mask[:, 28:] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    run(job_of(tmp_path, names, tiny_model, strength=0.0), tiny_model)
    for name in names:
        assert np.array_equal(read(tmp_path / "out" / name), read(tmp_path / "in" / name))
    masks = dict.fromkeys(names, str(tmp_path / "mask.png"))
    run(job_of(tmp_path, names, tiny_model, masks, strength=0.5), tiny_model)
    for name in names:
        result, source = read(tmp_path / "out" / name), read(tmp_path / "in" / name)
        assert np.array_equal(result[:, :28], source[:, :28])
        assert np.abs(result - reference(tmp_path / "in" / name, tiny_model, 0.5, mask / 255)).max() <= 1


def test_a_mask_of_another_size_fails_its_frame_alone(shot, tiny_model, tmp_path):
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros((8, 8), np.uint8))
    names = [frame.input for frame in shot.frames[:3]]
    (report,) = run(job_of(tmp_path, names, tiny_model, {names[1]: str(tmp_path / "mask.png")}), tiny_model)
    assert list(report.made) == [names[0], names[2]]
    assert "8 x 8" in report.failed[0].reason
    assert "56 x 40" in report.failed[0].reason


def test_a_second_run_makes_nothing_and_a_change_is_noticed(shot, tiny_model, tmp_path, noise_picture):
    run(shot, tiny_model)
    again = run(shot, tiny_model)
    assert made(again) == []
    assert sum(report.skipped for report in again) == 10
    assert sum(report.skipped for report in run(shot, tiny_model, checksum=True)) == 10
    first, second, third = shot.frames[:3]
    shot.output_path(first).unlink()
    shot.output_path(second).write_bytes(b"overwritten")
    cv2.imwrite(str(shot.input_path(third)), noise_picture(99))
    assert made(run(shot, tiny_model)) == sorted([first.output, second.output, third.output])
    weaker = shot.model_copy(update={"settings": FrameSettings(strength=0.5)})
    assert len(made(run(weaker, tiny_model))) == 10


def test_fewer_or_more_frames_of_a_shot_redo_nothing(shot, tiny_model):
    preview = shot.model_copy(update={"frames": shot.frames[:5], "chunk_frames": 2})
    assert len(made(run(preview, tiny_model))) == 5
    assert len(made(run(shot, tiny_model))) == 5


def test_bad_inputs_are_named_and_have_no_output(shot, tiny_model):
    bad = {shot.frames[1]: b"", shot.frames[4]: b"no picture at all"}
    run(shot, tiny_model)  # outputs of an older, good input must not stay
    whole = shot.input_path(shot.frames[6]).read_bytes()
    bad[shot.frames[6]] = whole[: len(whole) // 2]
    for frame, content in bad.items():
        shot.input_path(frame).write_bytes(content)
    shot.input_path(shot.frames[8]).unlink()
    reports = run(shot, tiny_model)
    failed = {failure.path: failure.reason for report in reports for failure in report.failed}
    named = [*bad, shot.frames[8]]
    assert set(failed) == {shot.input_path(frame) for frame in named}
    assert all(failed.values())
    for frame in shot.frames:
        assert shot.output_path(frame).exists() == (frame not in named)


def test_a_failed_input_removes_no_file_that_stylereel_did_not_make(shot, tiny_model):
    frame = shot.frames[1]
    shot.input_path(frame).write_bytes(b"")
    shot.output_path(frame).parent.mkdir(parents=True)
    shot.output_path(frame).write_bytes(b"somebody's own")
    assert sum(len(report.failed) for report in run(shot, tiny_model)) == 1
    assert shot.output_path(frame).read_bytes() == b"somebody's own"


def test_a_frame_that_cannot_be_recorded_leaves_no_file(shot, tiny_model, monkeypatch):
    def refuse(writer, *records):
        raise ValueError("no record")

    monkeypatch.setattr(RecordWriter, "append", refuse)
    assert sum(len(report.failed) for report in run(shot, tiny_model)) == 10
    assert list(shot.output_folder.rglob("*.png")) == []


def test_a_network_that_fails_or_overflows_fails_its_frame_alone(shot, tiny_model, monkeypatch):
    plain = conditioned_model.translate_batch_unit

    def fails_on_some(recipe, batch, **kwargs):
        if batch.shape[1] == 90:
            raise torch.OutOfMemoryError("tried to allocate")
        result = plain(recipe, batch, **kwargs)
        result[:, 0, 0] = np.where(batch.shape[1] == 9, np.nan, result[:, 0, 0])
        return result

    monkeypatch.setattr(conditioned_model, "translate_batch_unit", fails_on_some)
    reports = run(shot, tiny_model)
    reasons = {f.path.name: f.reason for report in reports for f in report.failed}
    assert reasons == {
        "large.png": "not enough memory for a picture of this size",
        "small.png": "the output of the network is not finite",
    }
    assert len(made(reports)) == 8


def test_a_full_disk_stops_and_a_rerun_finishes(shot, tiny_model, monkeypatch):
    plain, count = provenance.write_picture, iter(range(100))

    def full(path, picture, **kwargs):
        if next(count) >= 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        plain(path, picture, **kwargs)

    monkeypatch.setattr(provenance, "write_picture", full)
    with pytest.raises(StylizeStopped, match="No space left"):
        run(shot, tiny_model)
    assert len(read_records(shot.output_folder)) == 3
    monkeypatch.setattr(provenance, "write_picture", plain)
    reports = run(shot, tiny_model)
    assert len(made(reports)) == 7
    assert sum(report.skipped for report in reports) == 3


def test_a_vanished_input_stops_and_keeps_earlier_outputs(shot, tiny_model, monkeypatch):
    run(shot, tiny_model)
    before = {path: path.read_bytes() for path in shot.output_folder.rglob("*.png")}
    again = shot.model_copy(update={"settings": shot.settings.model_copy(update={"strength": 0.5})})
    away = shot.input_folder.with_name("unmounted")
    work = Stylizer(again, tiny_model)
    shot.input_folder.rename(away)
    shot.input_folder.mkdir()  # an empty mount point shows in its place
    with pytest.raises(StylizeStopped, match="was unmounted or removed"), work:
        work.chunk(0)
    assert {path: path.read_bytes() for path in shot.output_folder.rglob("*.png")} == before
    assert len(before) == 10
    shot.input_folder.rmdir()
    away.rename(shot.input_folder)
    assert len(made(run(again, tiny_model))) == 10


def test_a_vanished_output_stops_and_nothing_is_written_below_its_mount_point(shot, tiny_model):
    away = shot.output_folder.with_name("unmounted")

    def unmount(progress):
        if progress.done == 2:
            shot.output_folder.rename(away)
            shot.output_folder.mkdir()

    work = Stylizer(shot, tiny_model, progress=unmount)
    with pytest.raises(StylizeStopped, match=r"out cannot be written: it was unmounted or removed"), work:  # noqa: PT012
        for index in range(3):
            work.chunk(index)
    assert len(read_records(away)) >= 2
    written = {path.relative_to(shot.output_folder) for path in shot.output_folder.rglob("*") if path.is_file()}
    assert len(written) <= encode_stage.ENCODE_THREADS, "more than the frames that were being written at that moment"


def test_a_stop_ends_soon_and_leaves_whole_files(shot, tiny_model):
    work = Stylizer(shot, tiny_model, progress=lambda progress: work.stop("SIGTERM") if progress.done == 2 else None)
    with work, pytest.raises(StylizeStopped, match="SIGTERM"):
        work.chunk(0)
    with pytest.raises(StylizeStopped):
        work.chunk(1)
    recorded = {record.frame for record in read_records(shot.output_folder)}
    there = {p.relative_to(shot.output_folder).as_posix() for p in shot.output_folder.rglob("*.png")}
    assert there == recorded
    assert 2 <= len(recorded) < 10


def test_progress_counts_every_frame_once_and_records_carry_the_context(shot, tiny_model):
    shot.input_path(shot.frames[0]).write_bytes(b"")
    seen, lock = [], threading.Lock()

    def progress(now):
        with lock:
            seen.append(now)

    run(shot, tiny_model, progress=progress, context={"git_commit": "abc"})
    assert [now.done for now in seen] == list(range(1, 11))
    assert seen[-1].failed == 1
    assert seen[-1].total == 10
    assert seen[-1].frames_per_s > 0
    for record in read_records(shot.output_folder):
        assert record.context == {"git_commit": "abc"}
        assert record.model == tiny_model.card.digest
        assert record.job == shot.digest[:16]


def test_memory_bounds_the_frames_in_flight(shot, tiny_model, monkeypatch):
    monkeypatch.setattr(stylizer, "MEMORY_BYTES", 1)
    flying, most, lock = 0, 0, threading.Lock()
    decode, encode = FrameDecoder.decode, encode_stage.encode_frame

    def count(step):
        nonlocal flying, most
        with lock:
            flying += step
            most = max(most, flying)

    def counted_decode(*args, **kwargs):
        count(1)
        return decode(*args, **kwargs)

    def counted_encode(*args, **kwargs):
        encode(*args, **kwargs)
        count(-1)

    monkeypatch.setattr(FrameDecoder, "decode", counted_decode)
    monkeypatch.setattr(encode_stage, "encode_frame", counted_encode)
    run(shot, tiny_model)
    assert most == 1
    assert flying == 0


def test_another_model_than_the_jobs_is_refused(shot, tiny_model):
    with pytest.raises(ValueError, match="planned for"):
        Stylizer(shot.model_copy(update={"model_digest": "other"}), tiny_model)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells a handle's file by /proc")
def test_a_record_follows_sync_rename_and_sync_of_the_folder(shot, tiny_model, monkeypatch):
    events, lock = [], threading.Lock()
    sync, replace, append = os.fsync, os.replace, RecordWriter.append

    def note(*event):
        with lock:
            events.append(event)

    def noted_sync(handle):
        path = str(Path(f"/proc/self/fd/{handle}").readlink())
        sync(handle)
        note("sync", path)

    def noted_replace(source, target, **kwargs):
        replace(source, target, **kwargs)
        note("rename", str(source), str(target))

    def noted_append(writer, *records):
        for record in records:
            note("record", str(shot.output_folder / record.frame))
        append(writer, *records)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    monkeypatch.setattr(RecordWriter, "append", noted_append)
    run(shot, tiny_model)
    for frame in shot.frames:
        path = shot.output_path(frame)
        renamed = next(i for i, event in enumerate(events) if event[0] == "rename" and event[2] == str(path))
        recorded = events.index(("record", str(path)))
        temporary = events[renamed][1]
        assert temporary.startswith(str(shot.state_folder))
        assert events.index(("sync", temporary)) < renamed
        assert ("sync", str(path.parent)) in events[renamed:recorded]
