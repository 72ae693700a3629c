"""One folder on small real files: labels, layouts of published data sets, and sizes."""

import numpy as np
import pytest

from stylegan_core.settings import SettingsError
from tasks.shared.errors import InputsFailedError, UsageError
from tests.tasks.prepared import pixels, read, run, save

FOLDER = {"source": "folder", "content": "faces"}


@pytest.fixture(autouse=True)
def faces(workplace):
    for index in range(12):
        save(workplace / f"faces/set{index % 2}/{index:02}.png", pixels(index))
    return workplace / "faces"


def table(workplace, *rows, header="picture,smiling,wears glasses"):
    (workplace / "labels.csv").write_text("\n".join([header, *rows]) + "\n")


def test_one_folder_is_content_without_a_style():
    run(**FOLDER)
    manifest, store = read()
    assert manifest["domain"].unique().tolist() == ["content"]
    assert len(manifest) == 12
    np.testing.assert_array_equal(store.sample(manifest.iloc[0]["sample"]), pixels(0))
    assert (manifest["labels"] == "").all()


def test_labels_meet_their_pictures_with_and_without_a_suffix(workplace):
    rows = [f"set{i % 2}/{i:02}{'.png' if i < 6 else ''},{i % 2},{-1 if i % 3 else 1}" for i in range(12)]
    table(workplace, *rows)
    report = run(**FOLDER, labels="labels.csv")
    found = dict(zip(*(read()[0][column] for column in ("path", "labels")), strict=True))
    expected = {f"faces/set{i % 2}/{i:02}.png": f"smiling={i % 2} wears_glasses={int(i % 3 == 0)}" for i in range(12)}
    assert found == expected
    assert report["warnings"] == []


def test_a_picture_without_a_row_is_refused_and_a_row_without_a_picture_is_said(workplace):
    table(workplace, *[f"set{i % 2}/{i:02},1,0" for i in range(11)], "set0/gone,1,0")
    with pytest.raises(InputsFailedError, match=r"faces/set1/11.png has no row in labels.csv"):
        run(**FOLDER, labels="labels.csv")
    report = run(**FOLDER, labels="labels.csv", max_bad_fraction=0.1)
    assert report["refused"] == [{"path": "faces/set1/11.png", "reason": "has no row in labels.csv"}]
    warning = "1 rows name pictures that are not there: set0/gone"
    assert report["warnings"] == [{"path": "labels.csv", "warning": warning}]
    assert len(read()[0]) == 11


def test_labels_of_pairs_stand_with_the_picture_before(workplace):
    for index in range(3):
        save(workplace / f"before/{index}.png", pixels(index))
        save(workplace / f"after/{index}.tif", pixels(50 + index))
    table(workplace, *[f"{index}.png,{index % 2},0" for index in range(3)])
    run(source="pairs", content="before", style="after", labels="labels.csv")
    manifest = read()[0].set_index("path")["labels"]
    assert manifest["before/1.png"] == "smiling=1 wears_glasses=0"
    assert manifest["after/1.tif"] == ""


def test_a_missing_table_is_a_clear_error():
    with pytest.raises(UsageError, match=r"the table of labels nowhere\.csv does not exist"):
        run(**FOLDER, labels="nowhere.csv")


@pytest.mark.parametrize("how", ["area", "nearest"])
def test_larger_pictures_shrink_to_the_shorter_side_and_smaller_ones_stay(workplace, how):
    save(workplace / "faces/wide.png", np.repeat(np.repeat(pixels(20, 24, 12), 4, axis=0), 4, axis=1))
    save(workplace / "faces/small.png", pixels(21, 10, 14))
    run(**FOLDER, resize_px=12, resize_filter=how)
    manifest, store = read()
    rows = manifest.set_index("path")
    assert rows.loc["faces/wide.png", ["width_px", "height_px"]].tolist() == [24, 12]
    assert rows.loc["faces/small.png", ["width_px", "height_px"]].tolist() == [10, 14]
    # Blocks of one colour are averaged, and picked, without a change.
    np.testing.assert_array_equal(store.sample(rows.loc["faces/wide.png", "sample"]), pixels(20, 24, 12))
    np.testing.assert_array_equal(store.sample(rows.loc["faces/small.png", "sample"]), pixels(21, 10, 14))


def test_a_layout_brings_labels_and_splits_to_one_of_two_folders(workplace):
    for split in ("train", "val"):
        for index in range(4):
            for name, seed in (("n01", 0), ("n02", 20)):
                picture = pixels(seed + index + (40 if split == "val" else 0))
                save(workplace / f"imagenet/{split}/{name}/{index}.JPEG", picture)
    run(source="folders", content="imagenet", style="faces", layout="imagenet")
    manifest, _ = read()
    content = manifest[manifest["domain"] == "content"]
    assert content.groupby("split")["labels"].value_counts().to_dict() == {
        (split, label): 4 for split in ("train", "validation") for label in ("n01=1", "n02=1")
    }
    style = manifest[manifest["domain"] == "style"]
    assert (style["labels"] == "").all()
    assert len(style) == 12


def test_a_published_test_set_is_the_test_set_and_the_rest_is_split_by_content(workplace):
    (workplace / "cifar").mkdir()
    (workplace / "cifar/batches.meta.txt").write_text("frog\ntruck\n")
    for name, count in (("data_batch_1", 60), ("test_batch", 8)):
        records = np.random.default_rng(count).integers(0, 256, (count, 3073), np.uint8)
        records[:, 0] %= 2
        records.tofile(workplace / f"cifar/{name}.bin")
    run(source="folder", content="cifar", layout="cifar10", validation_fraction=0.2, test_fraction=0.4)
    manifest, _ = read()
    tested = manifest["path"].str.startswith("data/prepared/unpacked/test_batch/")
    assert (manifest["split"] == "test").tolist() == tested.tolist()
    assert tested.sum() == 8
    assert 3 <= (manifest["split"] == "validation").sum() <= 25
    assert set(manifest["labels"]) == {"frog=1", "truck=1"}
    assert (workplace / manifest.iloc[0]["path"]).is_file()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "folder"}, "set prepare.content to a folder"),
        ({**FOLDER, "style": "oils"}, "reads no prepare.style"),
        ({"source": "pairs", "content": "a", "style": "b", "layout": "ffhq"}, "for prepare.source folder or folders"),
        ({"source": "sample", "labels": "labels.csv"}, "prepare.labels is for pictures in folders"),
        ({"source": "shots", "split": "folders"}, "prepare.split is for pictures in folders"),
        ({**FOLDER, "layout": "celeba", "labels": "labels.csv"}, "brings its own labels and splits: unset prepare.lab"),
        ({**FOLDER, "layout": "cifar10", "split": "folders"}, "brings its own labels and splits: unset prepare.split"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_before_anything_is_read(settings, message):
    with pytest.raises(SettingsError, match=message):
        run(**settings)


def test_each_side_of_a_pair_has_its_own_filter(workplace):
    rng = np.random.default_rng(0)
    for index in range(3):
        for folder in ("maps", "photos"):
            save(workplace / f"{folder}/{index}.png", 255 * rng.integers(0, 2, (24, 24, 3), np.uint8))
    run(source="pairs", content="maps", style="photos", resize_px=12, content_resize_filter="nearest")
    manifest, store = read()
    rows = manifest.set_index("path")["sample"]
    assert set(np.unique(store.sample(rows["maps/1.png"]))) == {0, 255}
    assert len(np.unique(store.sample(rows["photos/1.png"]))) > 2
