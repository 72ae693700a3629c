"""Shots on small real files: plates, painted frames, masks and truth."""

import json
import shutil

import numpy as np
import pytest

from tasks.shared.errors import InputsFailedError, UsageError
from tests.tasks.prepared import SIDE, pixels, read, run_params, save


@pytest.fixture
def shot(workplace):
    """Ten plates, two of them painted, in other formats and paddings."""
    for number in range(1, 11):
        save(workplace / "plates" / f"shot.{number + 1000}.png", pixels(number))
    save(workplace / "painted" / "key_001002.tif", pixels(102))
    save(workplace / "painted" / "key_1009.webp", pixels(109), lossless=True)
    return {"name": "s01", "plates": "plates", "painted": "painted"}


def shot_params(shot, **prepare_section):
    return {"prepare": {"source": "shots", "min_side_px": 8, **prepare_section}, "shots": [shot]}


def test_painted_frames_meet_their_plates_by_number(workplace, shot):
    report = run_params(shot_params(shot, plates_every=4))
    manifest, store = read(workplace / "data/prepared")
    plates = manifest[manifest["domain"] == "content"].set_index("frame")
    painted = manifest[manifest["domain"] == "style"].set_index("frame")
    assert plates.index.tolist() == list(range(1001, 1011))
    assert painted.index.tolist() == [1002, 1009]
    for number in (1002, 1009):
        assert plates.loc[number, "pair"] == painted.loc[number, "pair"] == f"s01/{number}"
        assert plates.loc[number, "held_out"] == painted.loc[number, "held_out"] != ""
        assert plates.loc[number, "split"] == painted.loc[number, "split"] == "train"
        np.testing.assert_array_equal(store.sample(plates.loc[number, "sample"]), pixels(number - 1000))
        np.testing.assert_array_equal(store.sample(painted.loc[number, "sample"]), pixels(number - 900))
    # Of the eight unpainted plates every fourth is stored, beside those of the key frames.
    assert plates.index[plates["sample"].notna()].tolist() == [1001, 1002, 1006, 1009]
    assert report["stored"] == 6
    assert json.loads((workplace / "data/prepared/shots.json").read_text()) == {
        "s01": {"plates": "plates", "painted": "painted", "masks": None, "truth": None, "motion": None, "frames": None}
    }


def test_held_frames_of_a_shot_are_no_duplicates(workplace, shot):
    shutil.copy(workplace / "plates/shot.1004.png", workplace / "plates/shot.1005.png")
    report = run_params(shot_params(shot))
    assert report["refused"] == []
    assert report["groups"]["the plates of shot s01"]["found"] == 10


def test_truth_has_rows_and_is_not_stored(workplace, shot):
    save(workplace / "truth/t.1004.png", pixels(204))
    run_params(shot_params({**shot, "truth": "truth"}))
    manifest, _ = read(workplace / "data/prepared")
    (row,) = manifest[manifest["domain"] == "truth"].itertuples()
    assert (row.path, row.frame, row.split, row.shot) == ("truth/t.1004.png", 1004, "test", "s01")
    assert manifest["sample"].isna()[row.Index]


def test_a_range_and_a_preview_limit_the_plates_but_keep_the_key_frames(workplace, shot):
    run_params(shot_params({**shot, "frames": "1001-1007x3"}))
    manifest, _ = read(workplace / "data/prepared")
    assert manifest[manifest["domain"] == "content"]["frame"].tolist() == [1001, 1002, 1004, 1007, 1009]
    run_params(shot_params(shot, preview_frames=3))
    manifest, _ = read(workplace / "data/prepared")
    assert manifest[manifest["domain"] == "content"]["frame"].tolist() == [1001, 1002, 1003, 1009]


def test_a_painted_frame_of_another_size_is_refused_with_both_sizes(workplace, shot):
    save(workplace / "painted/key_001002.tif", pixels(102, 30, 20))
    reason = r"key_001002.tif is 30 x 20, but its plate plates/shot.1002.png is 32 x 32"
    with pytest.raises(InputsFailedError, match=reason):
        run_params(shot_params(shot))
    run_params(shot_params(shot, max_bad_fraction=0.5))
    manifest, _ = read(workplace / "data/prepared")
    assert manifest[manifest["domain"] == "style"]["frame"].tolist() == [1009]
    assert manifest[manifest["frame"] == 1002]["pair"].tolist() == [""]


def test_a_shot_without_a_usable_key_frame_says_why(workplace, shot):
    for path in (workplace / "painted").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(UsageError, match=r"shot s01: no painted frame can be used: painted/key_001002.tif"):
        run_params(shot_params(shot, max_bad_fraction=1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: save(p / "painted/key_2000.png", pixels(1)), r"no plate has the number of painted frame 2000"),
        (lambda p: save(p / "painted/key_1002.png", pixels(1)), r"two files for painted frame 1002"),
        (lambda p: save(p / "painted/key.png", pixels(1)), r"no frame number in painted/key.png"),
        (lambda p: shutil.rmtree(p / "painted"), r"shot s01, painted frames: "),
        (lambda p: [f.unlink() for f in (p / "plates").iterdir()], r"shot s01, plates: "),
    ],
)
def test_shots_that_do_not_fit_together_are_clear_errors(workplace, shot, change, message):
    change(workplace)
    with pytest.raises(UsageError, match=message):
        run_params(shot_params(shot))


def test_truth_that_training_sees_is_an_error(workplace, shot):
    save(workplace / "truth/t.1002.png", pixels(204))
    with pytest.raises(UsageError, match="frame 1002 is both a key frame and truth"):
        run_params(shot_params({**shot, "truth": "truth"}))


def test_a_mask_says_which_part_of_a_frame_is_painted(workplace, shot):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[4:20, 8:28] = 255
    save(workplace / "masks/m.01002.png", mask)
    run_params(shot_params({**shot, "masks": "masks"}))
    manifest, store = read(workplace / "data/prepared")
    painted = manifest[manifest["domain"] == "style"].set_index("frame")
    assert painted["mask"].tolist() == ["masks/m.01002.png", ""]
    np.testing.assert_array_equal(store.sample(painted.loc[1002, "mask_sample"])[..., 0], mask)
    x, y, width, height = map(int, painted.loc[1002, "held_out"].split(","))
    assert (mask[y : y + height, x : x + width] == 255).all()


def test_the_alpha_channel_of_a_painted_frame_is_its_mask(workplace, shot):
    painting = np.dstack([pixels(102), np.full((SIDE, SIDE), 255, np.uint8)])
    painting[:, 16:, 3] = 0
    (workplace / "painted/key_001002.tif").unlink()
    save(workplace / "painted/key_001002.png", painting)
    run_params(shot_params(shot))
    manifest, store = read(workplace / "data/prepared")
    painted = manifest[manifest["domain"] == "style"].set_index("frame")
    assert painted["mask"].tolist() == ["painted/key_001002.png", ""]
    np.testing.assert_array_equal(store.sample(painted.loc[1002, "mask_sample"])[..., 0], painting[..., 3])


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (np.zeros((SIDE, SIDE), np.uint8), "its mask masks/m.1002.png is black everywhere"),
        (np.full((9, 9), 255, np.uint8), "is 32 x 32, but its mask masks/m.1002.png is 9 x 9"),
        (np.full((7, 7), 255, np.uint8), "its mask masks/m.1002.png "),
    ],
)
def test_a_mask_that_does_not_fit_refuses_its_painted_frame(workplace, shot, mask, reason):
    save(workplace / "masks/m.1002.png", mask)
    with pytest.raises(InputsFailedError, match=reason):
        run_params(shot_params({**shot, "masks": "masks"}))


def test_further_pairs_help_a_shot_to_train(workplace, shot):
    save(workplace / "before/a.png", pixels(0))
    save(workplace / "after/a.png", pixels(1))
    run_params(shot_params({**shot, "pairs": [{"content": "before", "style": "after"}]}))
    manifest, _ = read(workplace / "data/prepared")
    rows = manifest[manifest["pair"] == "s01/pairs0/a"]
    assert rows["shot"].tolist() == ["s01", "s01"]
    assert set(rows["split"]) == {"train"}
    assert rows["frame"].isna().all()
    assert rows["sample"].notna().all()
