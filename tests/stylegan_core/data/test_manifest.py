import pandas as pd
import pytest

from stylegan_core.data.manifest import (
    Box,
    ManifestError,
    as_manifest,
    format_labels,
    parse_box,
    parse_labels,
    read_manifest,
    write_manifest,
)

ROWS = [
    {"path": "b.png", "domain": "style", "shot": "s", "frame": 12, "sample": 1, "pair": "s/12", "held_out": "0,0,4,4"},
    {"path": "ü, b.png", "domain": "content", "width_px": 4, "height_px": 3, "size_bytes": 2**40},
    {"path": "NA", "domain": "content", "shot": "s", "frame": 1001, "sample": 0},
    {"path": "a.png", "domain": "content", "shot": "s", "frame": 12, "mask": "m.png", "mask_sample": 2},
]


def test_reading_gives_back_what_was_written(tmp_path):
    table = as_manifest(ROWS)
    write_manifest(table, tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "manifest.csv"), table)


def test_bytes_do_not_depend_on_the_order_of_the_rows(tmp_path):
    write_manifest(as_manifest(ROWS), tmp_path / "a.csv")
    write_manifest(as_manifest(ROWS[::-1]), tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_frames_sort_by_number_and_empty_fields_are_missing_or_empty():
    table = as_manifest(ROWS)
    assert table["path"].tolist() == ["ü, b.png", "a.png", "NA", "b.png"]
    assert table["pair"].tolist() == ["", "", "", "s/12"]
    assert pd.isna(table["frame"][0])
    assert table["frame"][2] == 1001
    assert table["sample"].isna().tolist() == [True, True, False, False]


def test_an_empty_manifest_reads_back(tmp_path):
    write_manifest(as_manifest([]), tmp_path / "m.csv")
    assert len(read_manifest(tmp_path / "m.csv")) == 0


@pytest.mark.parametrize("content", ["", "path,sha256\na,b\n", None])
def test_what_is_no_manifest_says_what_to_do(tmp_path, content):
    if content is not None:
        (tmp_path / "m.csv").write_text(content)
    with pytest.raises(ManifestError, match="run the stage prepare"):
        read_manifest(tmp_path / "m.csv")


def test_boxes_are_read_and_written():
    assert parse_box("1,2,3,4") == Box(x=1, y=2, width=3, height=4)
    assert str(Box(1, 2, 3, 4)) == "1,2,3,4"
    assert parse_box("") is None
    with pytest.raises(ManifestError, match="x,y,w,h"):
        parse_box("1,2,3")


def test_labels_are_read_back_in_their_order():
    text = format_labels({"smiling": True, "a=b": False})
    assert text == "smiling=1 a=b=0"
    assert list(parse_labels(text).items()) == [("smiling", True), ("a=b", False)]
    assert parse_labels("") == {}
    with pytest.raises(ManifestError, match=r"'smiling=2' is no label"):
        parse_labels("smiling=2")
