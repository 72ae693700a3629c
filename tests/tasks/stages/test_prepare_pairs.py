"""Pairs on small real files: two folders matched by name, and halves of one picture."""

import shutil

import numpy as np
import pytest
from PIL import Image

from tasks.shared.errors import InputsFailedError, UsageError
from tests.tasks.prepared import SIDE, pixels, read, run, save, tree

pytestmark = pytest.mark.usefixtures("workplace")

SIDE_BY_SIDE = {"source": "side_by_side", "content": "both"}


@pytest.fixture
def both(workplace):
    """Thirty pictures with before and after next to each other, in folders of their splits."""
    for index in range(30):
        folder = "train" if index < 24 else "val"
        save(workplace / f"both/{folder}/{index:02}.png", np.hstack([pixels(index), pixels(100 + index)]))
    return workplace / "both"


def test_pairs_match_by_name_and_split_by_content(workplace):
    for index in range(30):
        save(workplace / f"before/sub/p{index}.png", pixels(index))
        save(workplace / f"after/sub/p{index}.tif", pixels(100 + index))
    run(source="pairs", content="before", style="after")
    manifest, store = read(workplace / "data/prepared")
    assert len(manifest) == 60
    assert set(manifest["split"]) == {"train", "validation", "test"}
    for pair, rows in manifest.groupby("pair"):
        seeds = [int(pair.removeprefix("sub/p")), 100 + int(pair.removeprefix("sub/p"))]
        assert rows["domain"].tolist() == ["content", "style"]
        assert rows["split"].nunique() == 1
        for index, seed in zip(rows["sample"], seeds, strict=True):
            np.testing.assert_array_equal(store.sample(index), pixels(seed))
    assert (manifest["held_out"] == "").all()


def test_few_pairs_are_validated_on_held_out_areas(workplace):
    save(workplace / "before/a.png", pixels(0))
    save(workplace / "after/a.png", pixels(1))
    run(source="pairs", content="before", style="after")
    manifest, _ = read(workplace / "data/prepared")
    assert manifest["split"].tolist() == ["train", "train"]
    assert manifest["held_out"].nunique() == 1
    assert manifest["held_out"][0] != ""


def test_a_pair_with_one_bad_half_is_left_out_and_unmatched_names_are_an_error(workplace):
    for index in range(4):
        save(workplace / f"before/{index}.png", pixels(index))
        save(workplace / f"after/{index}.png", pixels(100 + index))
    (workplace / "after/2.png").write_bytes(b"x")
    report = run(source="pairs", content="before", style="after", max_bad_fraction=0.3)
    assert {entry["path"] for entry in report["refused"]} == {"after/2.png", "before/2.png"}
    (workplace / "after/2.png").unlink()
    with pytest.raises(UsageError, match=r"no partner of the same name in the other folder: before/2.png"):
        run(source="pairs", content="before", style="after")


@pytest.mark.parametrize(("content_half", "offset"), [("left", 0), ("right", 100)])
def test_halves_become_pairs_of_their_exact_pixels(workplace, both, content_half, offset):
    run(**SIDE_BY_SIDE, content_half=content_half)
    manifest, store = read()
    assert len(manifest) == 60
    assert set(manifest["split"]) == {"train", "validation", "test"}
    for row in manifest.itertuples():
        expected = pixels(int(row.pair.split("/")[1]) + (offset if row.domain == "content" else 100 - offset))
        np.testing.assert_array_equal(store.sample(row.sample), expected)
        with Image.open(workplace / row.path) as picture:  # later stages read this file
            np.testing.assert_array_equal(picture, expected)
    half = f"data/prepared/unpacked/{content_half}/train/00.png"
    assert manifest[manifest["pair"] == "train/00"]["path"].tolist()[0] == half


def test_folders_name_the_splits(workplace, both):
    run(**SIDE_BY_SIDE, split="folders")
    manifest, _ = read()
    assert manifest["split"].value_counts().to_dict() == {"train": 48, "validation": 12}
    assert ((manifest["split"] == "train") == manifest["pair"].str.startswith("train/")).all()
    (both / "val").rename(both / "Test")
    run(**SIDE_BY_SIDE, split="folders")
    manifest, _ = read()
    assert set(manifest["split"]) == {"train", "test"}
    assert (manifest["held_out"] == "").all()


def test_a_picture_outside_the_folders_of_splits_is_an_error(workplace, both):
    save(both / "stray.png", np.hstack([pixels(1), pixels(2)]))
    with pytest.raises(
        UsageError, match=r"validation or test; these lie in none: data/prepared/unpacked/left/stray.png"
    ):
        run(**SIDE_BY_SIDE, split="folders")


def test_folders_without_anything_to_train_on_are_an_error(workplace, both):
    (both / "train").rename(both / "test")
    with pytest.raises(UsageError, match=r"the left halves of both: no picture is in the split train"):
        run(**SIDE_BY_SIDE, split="folders")


def test_halves_are_unpacked_once_and_give_the_same_bytes_from_any_cache(workplace, both, monkeypatch):
    from stylegan_core.data.layouts import halves

    real, unpacked = halves.read_picture, []
    monkeypatch.setattr(halves, "read_picture", lambda path, **k: unpacked.append(path.name) or real(path, **k))
    run(**SIDE_BY_SIDE)
    first = tree(workplace / "data/prepared")
    run(**SIDE_BY_SIDE)
    assert len(unpacked) == 30
    assert tree(workplace / "data/prepared") == first
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(workplace.parent / "another cache"))
    run(**SIDE_BY_SIDE)
    assert len(unpacked) == 60
    assert tree(workplace / "data/prepared") == first
    save(both / "train/00.png", np.hstack([pixels(50), pixels(51)]))
    run(**SIDE_BY_SIDE)
    assert len(unpacked) == 90
    manifest, store = read()
    row = manifest[(manifest["pair"] == "train/00") & (manifest["domain"] == "style")].iloc[0]
    np.testing.assert_array_equal(store.sample(row["sample"]), pixels(51))


def test_pictures_without_two_halves_are_named_with_reasons(workplace, both):
    save(both / "odd.png", pixels(1, 31, 20))
    (both / "torn.png").write_bytes((both / "train/00.png").read_bytes()[:200])
    report = run(**SIDE_BY_SIDE, max_bad_fraction=0.1)
    reasons = {entry["path"]: entry["reason"] for entry in report["refused"]}
    assert sorted(reasons) == ["both/odd.png", "both/torn.png"]
    assert reasons["both/odd.png"] == "is 31 px wide: an odd width has no two equal halves"
    assert len(read()[0]) == 60
    with pytest.raises(InputsFailedError, match=r"2 of 32 in the left halves of both.*\n +both/odd.png is 31 px"):
        run(**SIDE_BY_SIDE)


def test_sixteen_bits_and_the_profile_survive_taking_apart(workplace):
    import imagecodecs

    from stylegan_core.frames.pictures.encode import write_picture
    from stylegan_core.frames.pictures.picture import Picture
    from stylegan_core.frames.pictures.read import read_picture

    profile = imagecodecs.cms_profile("srgb")
    wide = np.random.default_rng(0).integers(0, 65536, (SIDE, 2 * SIDE, 3), np.uint16)
    write_picture(workplace / "both/a.tif", Picture(wide, icc_profile=profile))
    run(**SIDE_BY_SIDE, sample_type="uint16")
    for half, part in (("left", wide[:, :SIDE]), ("right", wide[:, SIDE:])):
        picture = read_picture(workplace / f"data/prepared/unpacked/{half}/a.png")
        np.testing.assert_array_equal(picture.pixels, part)
        assert picture.icc_profile == profile


def test_later_stages_read_the_unpacked_pictures(workplace, both, tiny_model_folder):
    from pathlib import Path

    from stylegan_core.config import parse_params
    from tasks.stages.evaluate import evaluate
    from tasks.stages.stylize_items import list_items

    settings = {**SIDE_BY_SIDE, "split": "folders", "min_side_px": 8}
    run(**settings)
    shutil.rmtree(workplace.parent / "cache")  # nothing is read from there
    (workplace / "models").mkdir()
    (workplace / "models/all").symlink_to(tiny_model_folder)
    params = parse_params({"prepare": settings, "evaluate": {"baselines": False}})
    (item,) = list_items(params, Path("data/prepared"), Path("models"))
    assert [frame.input for frame in item.job.frames] == [f"{index}.png" for index in range(24, 30)]
    assert evaluate(params, Path("data/prepared"), Path("models"), Path("reports"))["truth/psnr_db_unstylized"] < 10
