import numpy as np
import pytest
from PIL import Image

from stylegan_core.data.layouts.files import list_layout, unpack_layout
from stylegan_core.data.sources import PathDisplay, SourceError


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)


def listed(layout, folder):
    return list_layout(layout, folder, unpack_layout(layout, folder), "auto", PathDisplay(folder))


@pytest.fixture
def celeba(tmp_path):
    """Four pictures; the tables are spaced as the published ones are."""
    for index in range(1, 5):
        picture(tmp_path / f"img_align_celeba/{index:06}.jpg")
    (tmp_path / "list_attr_celeba.txt").write_text(
        "4\nSmiling Eyeglasses Young \n000001.jpg -1  1 -1\n000002.jpg  1 -1  1\n000003.jpg  1  1  1\n"
        "000004.jpg -1 -1 -1\n"
    )
    (tmp_path / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n000004.jpg 0\n")
    return tmp_path


def test_celeba_brings_attributes_and_its_partition(celeba):
    found = listed("celeba", celeba)
    assert [(s.name, s.listed_split, s.labels) for s in found.sources] == [
        ("000001.jpg", "train", "Smiling=0 Eyeglasses=1 Young=0"),
        ("000002.jpg", "validation", "Smiling=1 Eyeglasses=0 Young=1"),
        ("000003.jpg", "test", "Smiling=1 Eyeglasses=1 Young=1"),
        ("000004.jpg", "train", "Smiling=0 Eyeglasses=0 Young=0"),
    ]
    assert found.sources[0].display_path == "img_align_celeba/000001.jpg"
    assert found.warnings == []


def test_celeba_lies_in_the_folders_of_its_archive_too(celeba):
    expected = [(s.name, s.labels) for s in listed("celeba", celeba).sources]
    for name, inside in (
        ("img_align_celeba", "Img"),
        ("list_attr_celeba.txt", "Anno"),
        ("list_eval_partition.txt", "Eval"),
    ):
        (celeba / inside).mkdir()
        (celeba / name).rename(celeba / inside / name)
    assert [(s.name, s.labels) for s in listed("celeba", celeba).sources] == expected


def test_celeba_pictures_and_rows_that_do_not_meet(celeba):
    picture(celeba / "img_align_celeba/000005.jpg")
    (celeba / "img_align_celeba/000004.jpg").unlink()
    (celeba / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 1\n000005.jpg 0\n")
    found = listed("celeba", celeba)
    assert {s.name: s.refusal for s in found.sources if s.refusal} == {
        "000003.jpg": "has no row in list_eval_partition.txt",
        "000005.jpg": "has no row in list_attr_celeba.txt",
    }
    assert found.warnings == [("list_attr_celeba.txt", "1 rows name pictures that are not there: 000004.jpg")]


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("list_attr_celeba.txt", "4\n\n", "line 2: expected the names"),
        ("list_attr_celeba.txt", "4\nA B\n000001.jpg 1\n", "line 3: expected a name and 2 values"),
        ("list_attr_celeba.txt", "4\nA B\n000001.jpg 1 7\n", "line 3: expected a name and 2 values"),
        ("list_eval_partition.txt", "000001.jpg 3\n", "line 1: expected a name and 0, 1 or 2"),
    ],
)
def test_damaged_tables_of_celeba_are_named_with_the_line(celeba, table, text, message):
    (celeba / table).write_text(text)
    with pytest.raises(SourceError, match=f"{table}, {message}"):
        listed("celeba", celeba)


@pytest.mark.parametrize("missing", ["list_attr_celeba.txt", "list_eval_partition.txt"])
def test_a_folder_that_is_no_celeba_says_what_is_expected(celeba, missing):
    (celeba / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f"is not a CelebA folder: expected {missing}"):
        listed("celeba", celeba)


@pytest.mark.parametrize(("folder", "inside"), [("images1024x1024", ""), ("thumbnails128x128", ""), ("", "00001/")])
def test_ffhq_is_found_at_either_size_and_in_the_folder_itself(tmp_path, folder, inside):
    picture(tmp_path / folder / f"{inside}00000/00001.png")
    (source,) = listed("ffhq", tmp_path).sources
    assert (source.name, source.listed_split, source.labels) == (f"{inside}00000/00001.png", "", "")


def test_ffhq_takes_the_large_pictures_where_both_are_there(tmp_path):
    picture(tmp_path / "thumbnails128x128/00000/00001.png")
    picture(tmp_path / "images1024x1024/00000/00002.png")
    assert [s.name for s in listed("ffhq", tmp_path).sources] == ["00000/00002.png"]


def test_imagenet_brings_classes_and_splits(tmp_path):
    for name in ("train/n01440764/a.JPEG", "train/n02000000/b.JPEG", "val/n01440764/c.JPEG", "test/d.JPEG"):
        picture(tmp_path / name)
    assert [(s.name, s.listed_split, s.labels) for s in listed("imagenet", tmp_path).sources] == [
        ("train/n01440764/a.JPEG", "train", "n01440764=1"),
        ("train/n02000000/b.JPEG", "train", "n02000000=1"),
        ("val/n01440764/c.JPEG", "validation", "n01440764=1"),
    ]


def test_imagenet_without_folders_of_classes_is_an_error(tmp_path):
    picture(tmp_path / "train/n01/a.JPEG")
    picture(tmp_path / "val/ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(SourceError, match=r"no class folder such as val/n01440764: val/ILSVRC2012"):
        listed("imagenet", tmp_path)
    with pytest.raises(FileNotFoundError, match="expected folders train/CLASS"):
        listed("imagenet", tmp_path / "val")
