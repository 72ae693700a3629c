"""Planning only reads: its artifacts are written with the job, to the output folder and never to the input."""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from flows.runners.local_runner import LocalRunner
from stylegan_core.config import Params, parse_params
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.network.norm_statistics import read_statistics
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.steps import norm_statistics as statistics_plan
from stylegan_core.inference.planning.steps import shots
from stylegan_core.recipes.keyframe import Config, Recipe
from stylegan_core.recipes.model import save_model
from tasks.stages.prepare import prepare
from tasks.stages.stylize import stylize_item
from tasks.stages.stylize_items import StageItem, list_items
from tasks.stylize.dry_run import dry_run
from tasks.stylize.report import StylizeReport
from tasks.stylize.stylize import plan_request, stylize_directory

FRAMES = 5
MANNER = {"precision": "fp32", "back_end": "torch"}


@pytest.fixture(scope="module")
def normed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keyframe model with instance norm and random weights."""
    folder = tmp_path_factory.mktemp("models") / "normed"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = Config(channels=4, blocks=1, stem_px=3, downsamplings=1, mixing_taps=0, norm="instance")
        networks = {k: v + 0.05 * torch.randn_like(v) for k, v in Recipe(config).networks.state_dict().items()}
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in Recipe.inference_networks}
    save_model(
        folder, recipe="keyframe", config=config, working_space="srgb", sample_type="uint8", steps=1, images_seen=8,
        chosen="last", last=inference, best=inference, networks=networks,
    )  # fmt: skip
    return folder


@pytest.fixture
def plates(workplace: Path, noise_picture: Callable[..., Any]) -> Path:
    """Five numbered plates of the shot ``pier`` in the working folder, brighter from frame to frame."""
    folder = Path("pier/plates")
    folder.mkdir(parents=True)
    for number in range(1, FRAMES + 1):
        cv2.imwrite(str(folder / f"pier.{number:04d}.png"), noise_picture(number, 48, 64) // (7 - number))
    return folder


@pytest.fixture
def project(plates: Path, normed: Path, noise_picture: Callable[..., Any]) -> None:
    """The shot with a painted frame, prepared, and a model for it."""
    Path("pier/painted").mkdir()
    cv2.imwrite("pier/painted/p_2.png", noise_picture(50, 48, 64))
    prepare(settings(), Path("data/prepared"))
    shutil.copytree(normed, "models/pier")


def settings(**stylize: Any) -> Params:
    """Of the shot; with ``input``, of that folder and one model."""
    prepare = {"source": "shots", "min_side_px": 16}
    shots = [{"name": "pier", "plates": "pier/plates", "painted": "pier/painted"}]
    return parse_params({"prepare": prepare, "shots": shots, "stylize": {**MANNER, **stylize}})


def stage(params: Params) -> tuple[StageItem, StylizeReport]:
    (item,) = list_items(params, Path("data/prepared"), Path("models"))
    return item, stylize_item(item, LocalRunner())


def statistics_of(job: Job) -> set[str | None]:
    """Names in the frames; each is a file in the store."""
    for frame in job.frames:
        path = job.statistics_path(frame)
        assert path is not None
        assert read_statistics(path).layers
    return {frame.statistics for frame in job.frames}


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below ``folder`` and the folder itself: size and time of change, by path."""
    found = [folder, *folder.rglob("*")]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


class ReadOnlyFolder:
    """Wraps Python's calls that would change something below a folder: they fail, as on a read-only mount."""

    def __init__(self, folder: Path) -> None:
        self._inside = folder.resolve()

    def refuse(self, path: Any) -> None:
        if isinstance(path, (str, os.PathLike)) and Path(path).absolute().is_relative_to(self._inside):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fspath(path))

    def opening(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def opened(path: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
            if set(mode) & set("wax+"):
                self.refuse(path)
            return plain(path, mode, *more, **named)

        return opened

    def opening_with_flags(self, plain: Callable[..., int]) -> Callable[..., int]:
        def opened(path: Any, flags: int, *more: Any, **named: Any) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.refuse(path)
            return plain(path, flags, *more, **named)

        return opened

    def changing(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def changed(path: Any, *more: Any, **named: Any) -> Any:
            self.refuse(path)
            return plain(path, *more, **named)

        return changed


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """``read_only(folder)``: Python's calls that would change something below it fail, as on a read-only mount."""

    def protect(folder: Path) -> None:
        mount = ReadOnlyFolder(folder)
        monkeypatch.setattr(builtins, "open", mount.opening(open))
        monkeypatch.setattr(io, "open", mount.opening(io.open))
        monkeypatch.setattr(os, "open", mount.opening_with_flags(os.open))
        for name in ("mkdir", "rename", "replace", "unlink", "utime", "symlink"):
            monkeypatch.setattr(os, name, mount.changing(getattr(os, name)))
        with pytest.raises(OSError, match="Read-only"):
            (folder / "probe").write_bytes(b"")
        with pytest.raises(OSError, match="Read-only"):
            (folder / "probe").mkdir()

    return protect


@pytest.fixture
def mounted_read_only() -> Iterator[Callable[[Path], None]]:
    """``mounted_read_only(folder)``: a read-only bind mount of it on itself; skips where mounting is not allowed."""
    mounted: list[Path] = []

    def mount(folder: Path) -> None:
        def call(*arguments: str) -> bool:
            return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0

        if shutil.which("mount") is None or not call("--bind", str(folder), str(folder)):
            pytest.skip("needs the right to mount")
        mounted.append(folder)
        if not call("-o", "remount,bind,ro", str(folder)):
            pytest.skip("needs the right to mount read-only")

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def collection(**stylize: Any) -> Params:
    """Settings of a project with one model, whose ``stylize.input`` are the plates."""
    prepare = {"source": "folders", "content": "pier/plates", "style": "pier/plates", "min_side_px": 16}
    return parse_params({"prepare": prepare, "stylize": {"input": "pier/plates", **MANNER, **stylize}})


@pytest.fixture
def prepared_collection(plates: Path, normed: Path) -> None:
    prepare(collection(), Path("data/prepared"))
    shutil.copytree(normed, "models/all")


def test_an_input_of_the_settings_is_measured_and_nothing_is_written_beside_it(
    prepared_collection: None, plates: Path, read_only: Callable[[Path], None]
) -> None:
    before = tree(plates)
    read_only(plates)
    item, report = stage(collection())
    assert (report.made, report.failed) == (FRAMES, ())
    assert len(statistics_of(item.job)) == 1
    assert [*item.job.state_folder.glob("cuts-*.json")]
    assert tree(plates) == before


def test_plates_on_a_read_only_mount(
    prepared_collection: None, plates: Path, mounted_read_only: Callable[[Path], None]
) -> None:
    mounted_read_only(plates.absolute())
    with pytest.raises(OSError, match="Read-only"):
        (plates / "probe").mkdir()
    item, report = stage(collection(blend_frames=1))
    assert (report.made, report.failed) == (FRAMES, ())
    assert len(statistics_of(item.job)) == 1
    again = stylize_directory(Request.of(plates, "out", model="models/all", **MANNER), LocalRunner(), preview=None)
    assert (again.made, again.failed) == (FRAMES, ())


def test_frames_of_shots_share_statistics(project: None, plates: Path, read_only: Callable[[Path], None]) -> None:
    before = tree(plates)
    read_only(plates)
    item, report = stage(settings())
    assert (report.made, report.failed) == (FRAMES, ())
    assert [frame.number for frame in item.job.frames] == [*range(1, FRAMES + 1)]
    (name,) = statistics_of(item.job)
    folder, _ = plan_request(Request.of(plates, "out", model="models/pier", **MANNER))
    assert {frame.statistics for frame in folder.job.frames} == {name}, "as when the folder is stylized"
    assert tree(plates) == before


def test_frames_of_shots_follow_a_curve(project: None, plates: Path) -> None:
    Path("curve.csv").write_text("frame,strength\n1,0\n5,1\n")
    item, report = stage(settings(curve="curve.csv", statistics="picture"))
    assert (report.made, report.failed) == (FRAMES, ())
    assert [frame.strength for frame in item.job.frames] == [0, 0.25, 0.5, 0.75, 1]
    sources = [cv2.imread(str(item.job.input_path(frame))).astype(int) for frame in item.job.frames]
    made = [cv2.imread(str(item.job.output_path(frame))).astype(int) for frame in item.job.frames]
    _, whole_report = stage(settings(statistics="picture"))
    whole = [cv2.imread(str(whole_report.job.output_path(frame))).astype(int) for frame in item.job.frames]
    for number, (source, some, full) in enumerate(zip(sources, made, whole, strict=True)):
        unclipped = (full > 0) & (full < 255)
        expected = source + number / 4 * (full - source)
        assert np.abs(some - expected)[unclipped].max() <= 1.01, number
        assert np.abs(full - source)[unclipped].max() > 8
    assert np.array_equal(made[0], sources[0])


def test_numbers_leave_finished_frames_done(project: None) -> None:
    job = stage(settings(statistics="picture"))[0].job
    digest = job.settings_digest()
    assert all(frame.number is not None for frame in job.frames)
    assert {digest(frame) for frame in job.frames} == {
        digest(frame.model_copy(update={"number": None})) for frame in job.frames
    }


def test_other_settings_of_the_stage_measure_nothing_again(project: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stage(settings())[0].job
    monkeypatch.setattr(statistics_plan, "measure", None)
    monkeypatch.setattr(shots, "find_cuts", None)
    other = stage(settings(strength=0.5))[0].job
    assert other.output_folder != first.output_folder
    assert statistics_of(other) == statistics_of(first)
    for pattern in ("statistics-*", "cuts-*"):
        (kept,), (copied,) = ([*job.state_folder.glob(pattern)] for job in (first, other))
        assert copied.name == kept.name
        assert copied.read_bytes() == kept.read_bytes()


def test_plans_and_dry_runs_write_nothing(plates: Path, normed: Path, workplace: Path) -> None:
    before = tree(workplace)
    asked = Request.of(plates, "out/made", model=normed, **MANNER)
    plan, _ = plan_request(asked)
    assert len({frame.statistics for frame in plan.job.frames}) == 1
    assert plan.job.frames[0].statistics
    assert tree(workplace) == before
    assert not Path("out").exists()
    assert dry_run(asked).job == plan.job
    assert tree(workplace) == before
    report = stylize_directory(asked, LocalRunner(), preview=None)
    assert (report.made, report.failed, report.job) == (FRAMES, (), plan.job)
    written = {path.name: path.read_bytes() for path in plan.job.state_folder.iterdir() if path.is_file()}
    assert plan.artifacts
    assert plan.artifacts.items() <= written.items()
