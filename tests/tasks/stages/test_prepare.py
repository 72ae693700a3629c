"""The stage on small real files: what becomes data, what is refused and why."""

import hashlib
import json
import shutil
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stylegan_core.config import parse_params
from stylegan_core.motion.scene import load_motion
from tasks.shared.errors import InputsFailedError, UsageError
from tasks.stages.prepare import prepare
from tests.tasks.prepared import SIDE, pixels, read, run, save, tree


@pytest.fixture
def collections(workplace):
    for index in range(12):
        save(workplace / "photos" / f"{index:02}.png", pixels(index))
        save(workplace / "oils" / f"{index:02}.png", pixels(100 + index))
    return {"source": "folders", "content": "photos", "style": "oils"}


def test_two_collections_become_a_manifest_and_a_store_of_their_exact_pixels(workplace, collections):
    report = run(**collections)
    manifest, store = read(workplace / "data/prepared")
    assert manifest["path"].tolist() == [f"{folder}/{i:02}.png" for folder in ("photos", "oils") for i in range(12)]
    for row in manifest.itertuples():
        with Image.open(row.path) as expected:
            np.testing.assert_array_equal(store.sample(row.sample), expected)
        content = (workplace / row.path).read_bytes()
        assert (row.sha256, row.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
        assert (row.width_px, row.height_px, row.shot, row.pair) == (SIDE, SIDE, "", "")
    assert set(manifest["split"]) == {"train", "validation", "test"}
    assert (report["pictures"], report["stored"], report["refused"]) == (24, 24, [])
    assert json.loads((workplace / "data/prepared/report.json").read_text()) == report
    assert json.loads((workplace / "data/prepared/shots.json").read_text()) == {}


def test_two_runs_give_the_same_bytes_with_and_without_the_cache(workplace, collections, monkeypatch):
    run(**collections)
    first = tree(workplace / "data/prepared")
    run(**collections)
    assert tree(workplace / "data/prepared") == first
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(workplace.parent / "another cache"))
    run(**collections)
    assert tree(workplace / "data/prepared") == first
    assert sorted(p.name for p in (workplace / "data").iterdir()) == ["prepared"]


def test_a_second_run_decodes_nothing_again(workplace, collections, monkeypatch):
    run(**collections)
    save(workplace / "oils/new.png", pixels(500))
    decoded = []
    from stylegan_core.data import decode

    real = decode.read_picture
    monkeypatch.setattr(decode, "read_picture", lambda path, **k: decoded.append(path.name) or real(path, **k))
    run(**collections)
    assert decoded == ["new.png"]


def test_a_run_that_is_stopped_loses_nothing_and_leaves_what_was_there(workplace, collections, monkeypatch):
    from stylegan_core.data import decode, materialize

    run(**collections)
    first = tree(workplace / "data/prepared")
    for index in range(6):
        save(workplace / "photos" / f"new{index}.png", pixels(600 + index))
    real, decoded = decode.read_picture, []

    def stopping(path, **limits):
        if len(decoded) == 3:
            raise KeyboardInterrupt
        decoded.append(path.name)
        return real(path, **limits)

    monkeypatch.setattr(decode, "read_picture", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(**collections)
    assert tree(workplace / "data/prepared") == first
    monkeypatch.setattr(decode, "read_picture", lambda path, **k: decoded.append(path.name) or real(path, **k))
    with monkeypatch.context() as patch:
        patch.setattr(materialize, "write_manifest", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
        with pytest.raises(OSError, match="disk full"):
            run(**collections)
    assert tree(workplace / "data/prepared") == first
    run(**collections)
    assert sorted(decoded) == [f"new{index}.png" for index in range(6)]
    assert len(read(workplace / "data/prepared")[0]) == 30
    assert sorted(p.name for p in (workplace / "data").iterdir()) == ["prepared"]


def test_a_damaged_cache_is_noticed(workplace, collections):
    run(**collections)
    first = tree(workplace / "data/prepared")
    entries = [p for p in (workplace.parent / "cache/prepare").rglob("*") if p.is_file()]
    entries[0].write_bytes(b"torn")
    entries[1].write_bytes(entries[1].read_bytes()[:-5])
    content = bytearray(entries[2].read_bytes())
    content[-1] ^= 1
    entries[2].write_bytes(content)
    run(**collections)
    assert tree(workplace / "data/prepared") == first


def test_added_files_move_no_other_to_another_split(workplace, collections):
    run(**collections)
    manifest, _ = read(workplace / "data/prepared")
    before = dict(zip(manifest["path"], manifest["split"], strict=True))
    for index in range(20):
        save(workplace / "photos" / f"a{index}.png", pixels(1000 + index))
    run(**collections)
    manifest, _ = read(workplace / "data/prepared")
    after = dict(zip(manifest["path"], manifest["split"], strict=True))
    assert len(after) == 44
    assert {path: after[path] for path in before} == before


def test_bad_pictures_are_named_with_reasons_and_the_rest_is_prepared(workplace, collections):
    photos = workplace / "photos"
    good = (photos / "00.png").read_bytes()
    (photos / "empty.png").write_bytes(b"")
    (photos / "text.jpg").write_text("not a picture")
    (photos / "truncated.png").write_bytes(good[: len(good) // 2])
    save(photos / "tiny.png", pixels(1, 7, 30))
    bomb = bytearray(good)
    bomb[16:24] = struct.pack(">II", 60000, 60000)
    (photos / "bomb.png").write_bytes(bomb)
    save(photos / "copy.png", pixels(3), pnginfo=_text_chunk())
    (photos / "misnamed.jpg").write_bytes(save(workplace / "other.png", pixels(77)).read_bytes())
    report = run(**collections, max_bad_fraction=0.5)
    reasons = {entry["path"]: entry["reason"] for entry in report["refused"]}
    assert sorted(reasons) == [
        f"photos/{name}" for name in ("bomb.png", "copy.png", "empty.png", "text.jpg", "tiny.png", "truncated.png")
    ]
    assert reasons["photos/copy.png"] == "is a duplicate: photos/03.png has the same content"
    assert all(len(reason.split()) >= 2 for reason in reasons.values()), reasons
    manifest, _ = read(workplace / "data/prepared")
    assert len(manifest) == 25
    assert "photos/misnamed.jpg" in manifest["path"].tolist()
    assert [warning["path"] for warning in report["warnings"]] == ["photos/misnamed.jpg"]


def _text_chunk():
    info = PngInfo()
    info.add_text("comment", "the same pixels in another file")
    return info


def test_the_stage_fails_only_over_the_allowed_fraction_of_a_folder_and_names_all(workplace, collections):
    (workplace / "photos/bad.png").write_bytes(b"x")
    with pytest.raises(InputsFailedError, match=r"1 of 13 in the content collection photos.*\n +photos/bad.png"):
        run(**collections, max_bad_fraction=0.05)
    assert not (workplace / "data/prepared").exists()
    run(**collections, max_bad_fraction=0.1)


def test_duplicates_alone_do_not_fail_the_stage(workplace, collections):
    for index in range(10):
        shutil.copy(workplace / "photos/00.png", workplace / f"photos/copy{index}.png")
    assert len(run(**collections)["refused"]) == 10


@pytest.mark.parametrize("state", ["missing", "empty", "a file", "without pictures"])
def test_a_folder_that_gives_nothing_is_a_clear_error(workplace, collections, state):
    shutil.rmtree(workplace / "oils")
    if state == "a file":
        (workplace / "oils").write_text("")
    elif state != "missing":
        (workplace / "oils").mkdir()
    if state == "without pictures":
        (workplace / "oils/notes.txt").write_text("")
    with pytest.raises(UsageError, match="oils"):
        run(**collections)


def test_a_collection_of_which_nothing_is_left_is_a_clear_error(workplace, collections):
    shutil.rmtree(workplace / "oils")
    (workplace / "oils").mkdir()
    (workplace / "oils/bad.png").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"no picture can be used: oils/bad.png"):
        run(**collections, max_bad_fraction=1.0)


def test_a_tiny_collection_still_trains(workplace, collections):
    for index in range(1, 12):
        (workplace / f"oils/{index:02}.png").unlink()
    run(**collections, validation_fraction=0.49, test_fraction=0.49)
    manifest, _ = read(workplace / "data/prepared")
    assert manifest[manifest["domain"] == "style"]["split"].tolist() == ["train"]


def test_exif_orientation_is_applied(workplace, collections):
    tall = pixels(5, 20, 32)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    save(workplace / "photos/turned.png", tall, exif=exif)
    run(**collections)
    manifest, store = read(workplace / "data/prepared")
    row = manifest[manifest["path"] == "photos/turned.png"].iloc[0]
    assert (row["width_px"], row["height_px"]) == (32, 20)
    np.testing.assert_array_equal(store.sample(row["sample"]), np.rot90(tall, -1))


def test_profiles_are_converted_to_the_working_space(workplace, collections):
    # sRGB's primaries with a gamma of 1.8: each channel alone is re-encoded, which a formula can check.
    profile = imagecodecs.cms_profile(
        "rgb", whitepoint=(0.3127, 0.329, 1.0), primaries=(0.64, 0.33, 1, 0.3, 0.6, 1, 0.15, 0.06, 1), gamma=1.8
    )
    save(workplace / "photos/tagged.png", pixels(60), icc_profile=profile)
    report = run(**collections)
    manifest, store = read(workplace / "data/prepared")
    index = manifest.set_index("path").loc["photos/tagged.png", "sample"]
    linear = (pixels(60) / 255) ** 1.8
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(store.sample(index) - encoded * 255).max() < 1.5
    assert np.abs(pixels(60) - encoded * 255).max() > 10
    assert sorted(report["groups"]["the content collection photos"]["colour"].values()) == [1, 12]


def test_a_linear_working_space_in_half(workplace, collections):
    run(**collections, working_space="linear_rec709", sample_type="half")
    _, store = read(workplace / "data/prepared")
    encoded = pixels(0) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(store.unit(0), linear, atol=1e-3)
    assert (store.working_space, store.sample_type) == ("linear_rec709", "half")


def test_the_sample_is_a_shot_and_two_collections(workplace):
    small = {"frames": 8, "width_px": 96, "height_px": 64, "stroke_px": 2}
    progress = []
    from pathlib import Path

    params = parse_params({"prepare": {"sample": small, "min_side_px": 16}})
    prepare(params, Path("data/prepared"), lambda done, total: progress.append((done, total)))
    output = workplace / "data/prepared"
    manifest, _ = read(output)
    assert all((workplace / path).is_file() for path in manifest["path"])
    of_shot = manifest[manifest["shot"] == "sample"]
    assert of_shot["domain"].value_counts().to_dict() == {"content": 8, "style": 2, "truth": 6}
    assert (manifest[manifest["shot"] == ""].groupby("domain").size() > 1).all()
    entry = json.loads((output / "shots.json").read_text())["sample"]
    assert entry["plates"] == "data/prepared/sample/shot/plates"
    assert json.loads((workplace / entry["motion"]).read_text())["frames"].keys() == {str(n) for n in range(1, 9)}
    (balloon,) = load_motion(workplace / entry["motion"]).objects
    assert set(balloon.masks) == set(range(1, 9))
    assert entry["masks"] is None  # those of painted parts; the balloon's belong to its motion
    total = len(manifest)
    assert sorted(progress) == [(done, total) for done in range(1, total + 1)]

    first = tree(output)
    prepare(params, Path("data/prepared"))
    assert tree(output) == first
    params = parse_params({"prepare": {"sample": {**small, "train_on_pairs": True}, "min_side_px": 16}})
    prepare(params, Path("data/prepared"))
    manifest, _ = read(output)
    assert manifest["pair"].str.startswith("sample/pairs0/").sum() >= 2
