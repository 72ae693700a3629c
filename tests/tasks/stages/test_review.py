import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from stylegan_core.config import parse_params
from stylegan_core.data.manifest import ManifestRow, as_manifest, write_manifest
from stylegan_core.recipes import config_class
from stylegan_core.recipes.model import model_digest
from tasks.stages.review import build_review
from tasks.stages.review_inputs import PageLineage, ReviewInputs


@pytest.fixture
def shown(monkeypatch):
    """What the page is asked to show; the page itself has its own tests."""
    seen = []
    monkeypatch.setattr("tasks.stages.review.write_review", lambda path, data: seen.append((path, data)))
    return seen


def picture(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((16, 24, 3), level, np.uint8)).save(path)
    return path


def card(folder, **more):
    config = config_class("keyframe")().model_dump(mode="json")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    weights = {name: {"file": f"{name}.safetensors", "sha256": sha256} for name in ("last", "best", "networks")}
    document = {
        "recipe": "keyframe",
        "config": config,
        "working_space": "srgb",
        "sample_type": "uint8",
        "steps": 200,
        "images_seen": 1600,
        "chosen": "best",
        "weights": {name: weights[name] for name in ("last", "best")},
        "networks": weights["networks"],
        "digest": model_digest("keyframe", config, "srgb", "uint8", sha256),
        "validation": {"last": {"psnr_db": 19.0}, "best": {"psnr_db": 20.5}},
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(document))
    return document["digest"]


@pytest.fixture
def project(tmp_path):
    """A shot of four frames, frame 2 painted, frame 3 with its truth; and two free pictures."""
    rows = [
        ManifestRow(f"plates/s.{i:04d}.png", domain="content", shot="sea", frame=i, split="train") for i in range(1, 5)
    ]
    rows += [
        ManifestRow("painted/s.2.png", domain="style", shot="sea", frame=2, split="train", pair="sea/2"),
        ManifestRow("truth/s.3.png", domain="truth", shot="sea", frame=3, split="test"),
        ManifestRow("photos/in/a.png", domain="content", split="test"),
        ManifestRow("photos/b.png", domain="content", split="train"),
        ManifestRow("oil/c.png", domain="style", split="train"),
    ]
    for row in rows:
        picture(tmp_path / row.path, 100)
    prepared, reports = tmp_path / "data/prepared", tmp_path / "reports"
    prepared.mkdir(parents=True)
    write_manifest(as_manifest(rows), prepared / "manifest.csv")
    (prepared / "shots.json").write_text(
        json.dumps({"sea": {"plates": "plates", "painted": "painted", "motion": None}})
    )
    (prepared / "report.json").write_text(
        json.dumps(
            {
                "refused": [{"path": "plates/s.0005.png", "reason": "the file is empty"}],
                "warnings": [{"path": "plates/s.0001.png", "warning": "holds a JPEG"}],
            }
        )
    )
    for i in range(1, 5):
        picture(tmp_path / f"out/stylized/sea/s.{i:04d}.png", 200)
    (reports / "evaluate").mkdir(parents=True)
    (reports / "train").mkdir()
    (reports / "metrics.json").write_text(json.dumps({"truth/swd": 0.01, "shot/sea/truth/swd": 0.02}))
    (reports / "evaluate/frames.csv").write_text(
        "subject,frame,picture,truth/swd,truth/swd_unstylized\nsea,3,s.0003.png,0.01,0.03\nsea,1,s.0001.png,,\n"
    )
    (reports / "train/all.csv").write_text("step,validation/psnr_db\n100,20.5\n200,19\n")
    card(tmp_path / "models/all")
    return tmp_path


def build(project, params=None, lineage=None):
    inputs = ReviewInputs(
        parse_params(params or {"train": {"recipe": "keyframe"}}),
        project / "data/prepared",
        project / "models",
        project / "reports",
        project / "out/stylized",
        lineage or PageLineage(),
        root=project,
    )
    build_review(inputs, project / "reports/review.html")


def test_frames_find_their_input_their_painting_and_their_figures(project, shown):
    build(project)
    ((path, data),) = shown
    (sea,) = data.shots
    assert path == project / "reports/review.html"
    assert [f.original.path.name for f in sea.frames] == [f"s.{i:04d}.png" for i in range(1, 5)]
    assert [f.truth.path.name if f.truth else None for f in sea.frames] == [None, "s.2.png", "s.3.png", None]
    assert [f.key for f in sea.frames] == [False, True, False, False]
    assert [dict(f.figures) for f in sea.frames] == [{}, {}, {"truth/swd": 0.01, "truth/swd_unstylized": 0.03}, {}]
    assert sea.style.path.name == "s.2.png"
    assert sea.movie is None


def test_figures_are_the_projects_and_the_shots(project, shown):
    build(project)
    data = shown[0][1]
    assert data.figures == {"truth/swd": 0.01}
    assert data.shots[0].figures == {"truth/swd": 0.02}


def test_refusals_warnings_failures_and_lineage_are_listed(project, shown):
    failed = [{"path": "s.0009.png", "reason": "damaged"}]
    report = {"sea": {"training": "all", "failed": failed, "asked": {"strength": "0.8", "region 1": "masks sky"}}}
    (project / "out/stylized/report.json").write_text(json.dumps(report))
    origin = {"project": "harbour", "git_commit": "c0ffee", "git_dirty": "yes", "flow_run_id": ""}
    lineage = PageLineage.of(origin, mlflow_runs={"all": "run1"})
    build(project, lineage=replace(lineage, made="2026-01-31"))
    data = shown[0][1]
    assert (data.project, data.made) == ("harbour", "2026-01-31")
    assert [(r.path, r.reason, r.stage) for r in data.refused] == [
        ("plates/s.0005.png", "the file is empty", "prepare"),
        ("sea/s.0009.png", "damaged", "stylize"),
    ]
    assert [w.reason for w in data.warnings] == ["holds a JPEG"]
    digest = json.loads((project / "models/all/model.json").read_text())["digest"]
    assert dict(data.lineage) == {"Recipe": "keyframe", "Model": digest, "MLflow run": "run1", "Commit": "c0ffee"}
    assert "uncommitted" in data.notes[0]
    facts = dict(data.shots[0].facts)
    assert facts["Validation, best"] == "PSNR 20.50 (used)"
    assert facts["Validation, last"] == "PSNR 19.00"
    assert data.shots[0].kept_step == 100.0
    assert list(facts.items())[-2:] == [("Strength", "0.8"), ("Region 1", "masks sky")]


def test_free_pictures_are_found_by_their_path(project, shown):
    picture(project / "out/stylized/test/in/a.png", 200)
    build(project)
    test = shown[0][1].shots[1]
    assert test.name == "test"
    assert test.frames[0].original.path == project / "photos/in/a.png"
    assert test.style.path == project / "oil/c.png"
    assert test.frames[0].number is None


def test_a_given_folder_is_matched_with_its_input(project, shown):
    picture(project / "given/x/a.png", 10)
    picture(project / "out/stylized/given/x/a.png", 200)
    picture(project / "out/stylized/given/x/lost.png", 200)
    build(project, {"train": {"recipe": "keyframe"}, "stylize": {"input": "given"}})
    given = next(s for s in shown[0][1].shots if s.name == "given")
    assert [f.original.path for f in given.frames] == [project / "given/x/a.png"]


def test_missing_models_and_reports_leave_gaps_and_nothing_to_show_is_an_error(project, shown):
    (project / "models/all/model.json").unlink()
    (project / "reports/metrics.json").unlink()
    build(project)
    assert shown[0][1].figures == {}
    assert shown[0][1].shots[0].facts == ()
    for path in (project / "out/stylized/sea").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="no stylized frame"):
        build(project)


def test_a_collapsed_model_is_noted(project, shown):
    for digits, (collapsed, noted) in enumerate(((1.0, True), (0.0, False))):
        figures = {"psnr_db": 20.5, "diversity": 0.04, "collapsed": collapsed}
        card(project / "models/all", validation={"last": {"psnr_db": 19.0}, "best": figures})
        build(project)
        data = shown[digits][1]
        assert any("Mode collapse" in note and "4 %" in note for note in data.notes) is noted
        facts = dict(data.shots[0].facts)
        assert "Diversity" in facts["Validation, best"]
        assert "ollapsed" not in facts["Validation, best"]
