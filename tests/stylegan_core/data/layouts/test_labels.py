from pathlib import Path

import pytest

from stylegan_core.data.layouts.labels import label_sources, read_labels
from stylegan_core.data.sources import Source, SourceError


def write(folder, text):
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def source(name, domain="content", **more):
    return Source(Path(name), f"shown/{name}", "group", "collection", domain, name=name, **more)


def test_zeros_ones_and_minus_ones_are_read(tmp_path):
    path = write(tmp_path, "\ufeffpicture, smiling ,wears  glasses\na/1.png,1,-1\n\n.\\a\\2 , 0,1\n")
    assert read_labels(path) == {
        "a/1.png": {"smiling": True, "wears_glasses": False},
        "a/2": {"smiling": False, "wears_glasses": True},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the picture's column and then attributes.*got nothing"),
        ("picture;smiling\na;1\n", "line 1: expected.*separated by commas"),
        ("picture,smiling,smiling\na,1,1\n", "line 1: .*each named once"),
        ("picture,smiling\na,1\nb,yes\n", "line 3: 'yes' is not a label: write 1, and 0 or -1"),
        ("picture,smiling\na,\n", "line 2: '' is not a label"),
        ("picture,smiling\na,1,0\n", "line 2: 3 cells, but the header has 2"),
        ("picture,smiling\na,1\n./a,0\n", "line 3: a has two rows"),
    ],
)
def test_what_is_no_table_of_labels_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(SourceError, match=message):
        read_labels(write(tmp_path, text))


def test_bytes_that_are_no_text_are_a_clear_error(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"picture,a\n\xff\xfe,1\n")
    with pytest.raises(SourceError, match="cannot read the table of labels"):
        read_labels(tmp_path / "labels.csv")


def test_content_alone_is_labelled_and_what_does_not_meet_is_said():
    labels = {name: {"dark": True} for name in ("a.png", "sub/b", "gone", "b")}
    sources = [source("a.png"), source("sub/b.jpg"), source("c.png"), source("a.png", "style"), source("d.png")]
    labelled, warnings = label_sources(sources, labels, "labels.csv")
    assert [s.labels for s in labelled] == ["dark=1", "dark=1", "", "", ""]
    assert [s.refusal for s in labelled] == ["", "", "has no row in labels.csv", "", "has no row in labels.csv"]
    assert warnings == [("labels.csv", "2 rows name pictures that are not there: gone, b")]


def test_an_earlier_reason_to_refuse_a_picture_stays():
    (labelled,), _ = label_sources([source("a.png", refusal="is torn")], {}, "labels.csv")
    assert labelled.refusal == "is torn"
