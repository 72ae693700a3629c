import pytest

from stylegan_core.data.manifest import (
    Box,
    ManifestError,
    ManifestRow,
    as_manifest,
    format_labels,
    parse_box,
    parse_labels,
    read_manifest,
    write_manifest,
)

ROWS = [
    ManifestRow("b.png", domain="style", shot="s", frame=12, sample=1, pair="s/12", held_out=Box(0, 0, 4, 4)),
    ManifestRow("ü, b.png", domain="content", width_px=4, height_px=3, size_bytes=2**40),
    ManifestRow("NA", domain="content", shot="s", frame=1001, sample=0),
    ManifestRow("a.png", domain="content", shot="s", frame=12, mask="m.png", mask_sample=2),
]


def test_reading_gives_back_what_was_written(tmp_path):
    manifest = as_manifest(ROWS)
    write_manifest(manifest, tmp_path / "manifest.csv")
    assert read_manifest(tmp_path / "manifest.csv") == manifest


def test_columns_and_values_are_written_in_one_form(tmp_path):
    write_manifest(as_manifest(ROWS), tmp_path / "manifest.csv")
    assert (tmp_path / "manifest.csv").read_bytes().decode().split("\n") == [
        "path,sha256,size_bytes,width_px,height_px,domain,shot,frame,pair,split,labels,mask,held_out,sample,mask_sample",
        '"ü, b.png",,1099511627776,4,3,content,,,,,,,,,',
        "a.png,,0,0,0,content,s,12,,,,m.png,,,2",
        "NA,,0,0,0,content,s,1001,,,,,,0,",
        'b.png,,0,0,0,style,s,12,s/12,,,,"0,0,4,4",1,',
        "",
    ]


def test_bytes_do_not_depend_on_the_order_of_the_rows(tmp_path):
    write_manifest(as_manifest(ROWS), tmp_path / "a.csv")
    write_manifest(as_manifest(ROWS[::-1]), tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_frames_sort_by_number_and_empty_fields_are_missing_or_empty(tmp_path):
    write_manifest(as_manifest(ROWS), tmp_path / "m.csv")
    rows = read_manifest(tmp_path / "m.csv")
    assert [row.path for row in rows] == ["ü, b.png", "a.png", "NA", "b.png"]
    assert [row.pair for row in rows] == ["", "", "", "s/12"]
    assert [row.frame for row in rows] == [None, 12, 1001, 12]
    assert [row.sample for row in rows] == [None, None, 0, 1]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [("frame", "first", "line 2: invalid literal"), ("held_out", '"1,2,3"', "line 2: expected a box x,y,w,h")],
)
def test_a_value_that_does_not_parse_is_named_with_its_line(tmp_path, column, value, message):
    write_manifest(as_manifest([]), tmp_path / "m.csv")
    header = (tmp_path / "m.csv").read_text()
    cells = [value if name == column else "" for name in header.strip().split(",")]
    (tmp_path / "m.csv").write_text(header + ",".join(cells) + "\n")
    with pytest.raises(ManifestError, match=message):
        read_manifest(tmp_path / "m.csv")


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
    with pytest.raises(ManifestError, match="got 'smiling=2'"):
        parse_labels("smiling=2")
