"""From a frame to its model, MLflow run, flow run and commit, and from any of these back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from flows.runners.local_runner import LocalRunner
from stylegan_core.inference.planning.request import Request
from stylegan_core.storage.cache import cache_folder
from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.hashing import sha256_of
from stylegan_core.storage.records import RecordWriter
from tasks.shared import registry, tracking
from tasks.shared.errors import UsageError
from tasks.shared.lineage import DeliveredModel, link_run
from tasks.shared.whence import whence
from tasks.stylize.stylize import stylize_directory
from tests.stylegan_core.storage.sample_records import sample_record

MODEL, RUN, FLOW, LATER_FLOW, COMMIT = "aa11" * 16, "bb22" * 8, "cc33-made", "dd44-delivered", "ee55" * 10


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose stylize stage made two frames, with an MLflow that knows the model's run."""
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "project"
    tags: dict[str, str] = {f"model.{MODEL[:16]}": MODEL, "git_commit": COMMIT, "flow_run_id": FLOW}

    def find_runs(start: str) -> list[registry.TrackedRun]:
        known = [RUN, MODEL, COMMIT, *tags.get("delivered_by", "").split()]
        return [registry.TrackedRun(RUN, tags)] if any(i.startswith(start) for i in known) else []

    def log_results(run_id: str, *, tags: Mapping[str, str], found: dict[str, str] = tags) -> None:
        found.update(tags)

    monkeypatch.setattr(tracking, "find_run_by_digest", lambda digest: RUN if digest == MODEL else None)
    monkeypatch.setattr(tracking, "run_tags", lambda run_id: tags)
    monkeypatch.setattr(registry, "find_runs", find_runs)
    monkeypatch.setattr(tracking, "log_results", log_results)
    (root / "models" / "all").mkdir(parents=True)
    (root / "models" / "all" / "model.json").write_text(json.dumps({"digest": MODEL}))
    work = cache_folder("stylize", "key")
    with RecordWriter(work) as writer:
        for number in (1, 2):
            out = root / "out" / "stylized" / "sample" / f"shot.{number:04d}.png"
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(f"frame {number}".encode())
            writer.append(
                sample_record(
                    f"sample/{out.name}",
                    made=FileState(7, 0, sha256_of(out)),
                    model=MODEL,
                    job="j" * 64,
                    context={"flow_run_id": FLOW, "git_commit": COMMIT},
                )
            )
    return root


def test_from_a_frame(root: Path) -> None:
    trail = whence(root, str(root / "out" / "stylized" / "sample" / "shot.0002.png"))
    assert [f.frame for f in trail.frames] == ["sample/shot.0002.png"]
    assert trail.models[MODEL]["mlflow_run"] == RUN
    assert trail.models[MODEL]["folder"] == "models/all"
    assert trail.flow_runs == [FLOW]
    assert trail.commits == [COMMIT]


@pytest.mark.parametrize("asked", [MODEL[:8], RUN[:8], FLOW, COMMIT[:10], "models/all"])
def test_back_to_the_frames(root: Path, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    trail = whence(root, asked)
    assert list(trail.models) == [MODEL]
    assert len(trail.frames) == 2


def test_a_model_from_the_cache_leads_to_both_flow_runs(root: Path) -> None:
    link = link_run(root, LATER_FLOW, {"git_commit": COMMIT}, gate="passed")
    assert link.models == {"all": DeliveredModel(digest=MODEL, mlflow_run=RUN)}
    for asked in (LATER_FLOW, MODEL):
        assert sorted(whence(root, asked).flow_runs) == [FLOW, LATER_FLOW]
    # A third delivery keeps the others.
    link_run(root, "ff66-third", {"git_commit": COMMIT})
    assert sorted(whence(root, MODEL).flow_runs) == [FLOW, LATER_FLOW, "ff66-third"]


def test_a_frame_without_records_is_known_by_its_place_and_said_to_be_inferred(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(root.parent / "another-machine"))
    trail = whence(root, str(root / "out" / "stylized" / "sample" / "shot.0001.png"))
    assert list(trail.models) == [MODEL]
    assert trail.models[MODEL]["inferred"]
    assert "Inferred" in trail.note
    assert not trail.frames


def test_a_changed_frame_in_its_place_is_said_to_be_changed(root: Path) -> None:
    frame = root / "out" / "stylized" / "sample" / "shot.0001.png"
    assert whence(root, str(frame)).note == ""
    frame.write_bytes(b"edited")
    trail = whence(root, str(frame))
    assert "the file was changed" in trail.note
    assert not trail.frames


def test_a_continued_run_leads_to_the_requested_model(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = "ff77" * 16
    tags = {f"model.{d[:16]}": d for d in (MODEL, later)}
    monkeypatch.setattr(registry, "find_runs", lambda start: [registry.TrackedRun(RUN, tags)])
    assert list(whence(root, later[:8]).models) == [later]
    assert set(whence(root, RUN[:8]).models) == {MODEL, later}


def test_a_frame_that_was_changed_is_not_ours(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.png").write_bytes(b"edited")
    with pytest.raises(UsageError, match="was changed"):
        whence(root, str(tmp_path / "elsewhere.png"))


def test_the_unknown_is_an_error(root: Path) -> None:
    with pytest.raises(UsageError, match="nothing is known"):
        whence(root, "0123456789")


def test_a_frame_leads_to_the_settings_of_its_job(
    root: Path, tmp_path: Path, tiny_model_folder: Path, noise_picture: Callable[[int], npt.NDArray[np.uint8]]
) -> None:
    for name in ("plates/a.png", "mask.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), noise_picture(1))
    regions = tmp_path / "regions.yaml"
    regions.write_text("- where: mask.png\n  strength: 0.5\n  feather_px: 2\n")
    asked = Request.of(tmp_path / "plates", tmp_path / "out", model=tiny_model_folder, strength=0.8, regions=regions)
    report = stylize_directory(asked, LocalRunner(), preview=None)
    expected = {
        "strength": "0.8", "region 1": "masks mask.png, strength 0.5, edge 2 px", "elsewhere": "the source"
    }  # fmt: skip
    assert report.as_dict()["asked"] == expected
    (tmp_path / "out").rename(tmp_path / "moved")
    frame = str(tmp_path / "moved" / "a.png")
    digest = report.job.digest[:16]
    assert whence(root, frame).jobs == {digest: expected}
    assert whence(root, report.job.model_digest[:12], output=tmp_path / "moved").jobs[digest] == expected
    (tmp_path / "moved" / ".stylereel" / report.job.file.name).unlink()
    assert whence(root, frame).jobs == {digest: {}}


def test_a_file_that_was_copied_elsewhere_answers_by_itself(
    root: Path,
    tmp_path: Path,
    tiny_model_folder: Path,
    noise_picture: Callable[[int], npt.NDArray[np.uint8]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest = json.loads((tiny_model_folder / "model.json").read_text())["digest"]
    note = cache_folder("provenance") / f"{digest}.json"
    note.write_text(json.dumps({"mlflow_run": RUN, "commit": COMMIT, "data": "da7a" * 16}))
    (tmp_path / "plates").mkdir()
    for name in ("a.0001.png", "a.0002.tif"):
        cv2.imwrite(str(tmp_path / "plates" / name), noise_picture(1))
    asked = Request.of(tmp_path / "plates", tmp_path / "out", model=tiny_model_folder, strength=0.8)
    stylize_directory(asked, LocalRunner(), preview=None)
    # Elsewhere: no records, no cache, no MLflow.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "no cache"))
    monkeypatch.setattr(tracking, "find_run_by_digest", lambda digest: None)
    for name in ("a.0001.png", "a.0002.tif"):
        (tmp_path / "out" / name).rename(elsewhere / name)
        trail = whence(elsewhere, str(elsewhere / name))
        assert trail.models == {digest: {"recipe": "keyframe", "mlflow_run": RUN, "data": "da7a" * 16}}
        assert trail.commits == [COMMIT]
        assert "own metadata says" in trail.note
        assert trail.metadata["asked"] == "strength 0.8"
        assert trail.metadata["source"] == name
    assert not [*elsewhere.glob("*.db")]
    (elsewhere / "plain.png").write_bytes((tmp_path / "plates" / "a.0001.png").read_bytes())
    with pytest.raises(UsageError, match="no record matches"):
        whence(elsewhere, str(elsewhere / "plain.png"))


def test_a_movie_leads_to_its_frames(
    root: Path, tmp_path: Path, tiny_model_folder: Path, noise_picture: Callable[..., npt.NDArray[np.uint8]]
) -> None:
    from stylegan_core.frames.movies.preview_writer import write_preview

    write_preview([noise_picture(seed, 48, 64) for seed in range(3)], tmp_path / "clip.mp4")
    asked = Request.of(tmp_path / "clip.mp4", tmp_path / "styl.mp4", model=tiny_model_folder, back_end="torch")
    report = stylize_directory(asked, LocalRunner(), preview=None)
    trail = whence(root, str(tmp_path / "styl.mp4"))
    assert list(trail.models) == [report.job.model_digest]
    assert len(trail.frames) == 3
    assert trail.note == ""
    assert trail.metadata["source"] == "clip.mp4"
    assert list(trail.jobs) == [report.job.digest[:16]]
    # Away from its frames it still says what made it.
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "styl.mp4").rename(tmp_path / "elsewhere" / "styl.mp4")
    trail = whence(root, str(moved))
    assert list(trail.models) == [report.job.model_digest]
    assert not trail.frames
    assert "own metadata says" in trail.note
