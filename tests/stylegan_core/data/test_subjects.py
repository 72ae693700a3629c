import json
from dataclasses import replace
from pathlib import Path

import pytest

from stylegan_core.data.manifest import Manifest, ManifestRow, as_manifest
from stylegan_core.data.subjects import find_subjects, spread


def _shot(name: str, frames: int, key: int, truth: bool = True) -> list[ManifestRow]:
    rows = []
    for frame in range(1, frames + 1):
        pair = f"{name}/{frame}" if frame == key else ""
        row = ManifestRow("", shot=name, frame=frame, split="train" if pair else "test", pair=pair)
        rows.append(replace(row, path=f"{name}/plates/{frame}.png", domain="content"))
        if pair:
            rows.append(replace(row, path=f"{name}/painted/{frame}.png", domain="style"))
        elif truth:
            rows.append(replace(row, path=f"{name}/truth/{frame}.png", domain="truth"))
    return rows


def _collection(domain: str, splits: str) -> list[ManifestRow]:
    names = {"t": "train", "v": "validation", "x": "test"}
    return [ManifestRow(f"{domain}/{i}.png", domain=domain, split=names[s]) for i, s in enumerate(splits)]


def _pairs(splits: str) -> list[ManifestRow]:
    sides = (_collection("content", splits), _collection("style", splits))
    return [replace(row, pair=str(i)) for rows in sides for i, row in enumerate(rows)]


@pytest.fixture
def mixed() -> Manifest:
    return as_manifest(_shot("sea", 5, 3) + _collection("content", "ttxvx") + _collection("style", "ttvx"))


def test_a_shot_is_evaluated_on_what_nobody_painted_for_it(mixed: Manifest, tmp_path: Path) -> None:
    (tmp_path / "shots.json").write_text(json.dumps({"sea": {"motion": "sea/motion.json"}}))
    (subject,) = find_subjects(mixed, tmp_path, root=Path("/project"))
    assert (subject.name, subject.kind, subject.key_frames) == ("sea", "shot", (3,))
    assert [s.frame for s in subject.stills] == [1, 2, 3, 4, 5]
    assert [s.frame for s in subject.stills if not s.evaluated] == [3]
    assert subject.stills[0].truth == Path("/project/sea/truth/1.png")
    assert subject.stills[2].style == Path("/project/sea/painted/3.png")
    assert subject.tuning == ((Path("/project/sea/plates/3.png"), Path("/project/sea/painted/3.png")),)
    assert subject.motion == Path("/project/sea/motion.json")


def test_an_unpaired_model_is_evaluated_on_its_collections_too(mixed: Manifest, tmp_path: Path) -> None:
    shot, collection = find_subjects(mixed, tmp_path, paired=False)
    assert (shot.kind, shot.motion) == ("shot", None)
    assert [s.name for s in collection.stills] == ["content/2.png", "content/4.png"]
    assert collection.styles == (Path("style/0.png"), Path("style/1.png"))
    assert collection.tuning == ((Path("content/0.png"), None), (Path("content/1.png"), None))


def test_pairs_are_evaluated_where_no_shot_is(tmp_path: Path) -> None:
    (subject,) = find_subjects(as_manifest(_pairs("txtt")), tmp_path)
    assert subject.kind == "pairs"
    assert [(s.content, s.truth) for s in subject.stills] == [(Path("content/1.png"), Path("style/1.png"))]
    assert len(subject.tuning) == 3
    both = as_manifest(_shot("sea", 4, 2) + _pairs("txtt"))
    assert [s.kind for s in find_subjects(both, tmp_path)] == ["shot"]


def test_a_models_own_shots_alone_are_evaluated(tmp_path: Path) -> None:
    manifest = as_manifest(_shot("sea", 4, 2) + _shot("sky", 4, 1, truth=False) + _collection("content", "tx"))
    assert [s.name for s in find_subjects(manifest, tmp_path, paired=False)] == ["sea", "sky", "pictures"]
    (sky,) = find_subjects(manifest, tmp_path, shots=("sky",), paired=False)
    assert sky.name == "sky"
    assert all(still.truth is None for still in sky.stills)
    assert [s.frame for s in find_subjects(manifest, tmp_path, shots=("sea",), every=2)[0].stills] == [1, 3]


def test_without_test_pictures_the_next_best_stand_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = as_manifest(_collection("content", "ttv") + _collection("style", "t"))
    (subject,) = find_subjects(manifest, tmp_path, paired=False)
    assert [s.name for s in subject.stills] == ["content/2.png"]
    assert "validation" in caplog.text


def test_spreading_keeps_the_ends() -> None:
    assert spread(list(range(10)), 4) == [0, 3, 6, 9]
    assert spread([1, 2], 4) == [1, 2]
    assert spread([1, 2, 3], 1) == [2]


def test_an_unpaired_model_of_pairs_is_evaluated_against_their_truth(tmp_path: Path) -> None:
    (subject,) = find_subjects(as_manifest(_pairs("tvtt")), tmp_path, paired=False)
    assert subject.kind == "pairs"
    assert [(s.name, s.truth) for s in subject.stills] == [("content/1.png", Path("style/1.png"))]


def test_one_folder_is_evaluated_without_a_style(tmp_path: Path) -> None:
    (subject,) = find_subjects(as_manifest(_collection("content", "txtt")), tmp_path)
    assert (subject.kind, subject.styles) == ("collection", ())
    assert [s.truth for s in subject.stills] == [None]
    assert [style for _, style in subject.tuning] == [None, None, None]
