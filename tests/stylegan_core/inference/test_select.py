import pytest

from stylegan_core.inference.job import PlanError
from stylegan_core.inference.select import check_folders, input_folder, select_frames


@pytest.fixture
def shot(tmp_path):
    folder = tmp_path / "shot"
    for number in range(1, 13):
        path = folder / f"s.{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (folder / "notes.txt").write_text("no picture")
    return folder


def outputs(*args, **kwargs):
    return [frame.output for frame in select_frames(*args, **kwargs)]


def test_natural_order_and_the_same_names_and_tree(shot):
    (shot / "b").mkdir()
    (shot / "b" / "s.2.tif").write_bytes(b"")
    names = outputs(shot)
    assert sorted(names) == sorted(["b/s.2.tif", *(f"s.{n}.png" for n in range(1, 13))])
    assert names.index("s.2.png") < names.index("s.10.png")


def test_range_then_every_then_limit(shot):
    assert outputs(shot, frames="2-12x2") == [f"s.{n}.png" for n in (2, 4, 6, 8, 10, 12)]
    assert outputs(shot, frames="2-12x2", every=2) == ["s.2.png", "s.6.png", "s.10.png"]
    assert outputs(shot, frames="2-12x2", every=2, limit=2) == ["s.2.png", "s.6.png"]
    assert outputs(shot, limit=100) == outputs(shot)


def test_a_pattern_selects_its_frames(shot):
    assert outputs(str(shot / "s.@.png"), frames="3,5") == ["s.3.png", "s.5.png"]
    assert input_folder(str(shot / "s.@.png")) == shot
    assert input_folder(shot) == shot


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": "90-91"}, "no frame 90, 91"),
        ({"frames": "one"}, "no frame range"),
        ({"every": 0}, "--every"),
        ({"limit": 0}, "--limit"),
    ],
)
def test_wrong_selections_say_what_is_wrong(shot, arguments, message):
    with pytest.raises(PlanError, match=message):
        select_frames(shot, **arguments)


def test_empty_and_missing_folders_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlanError, match="empty"):
        select_frames(tmp_path / "empty")
    with pytest.raises(PlanError, match="missing"):
        select_frames(tmp_path / "missing")


def test_masks_by_number_whatever_their_padding(shot, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(1, 6):
        (masks / f"matte_{number:05d}.tif").write_bytes(b"")
    chosen = select_frames(shot, frames="1-5", masks=masks)
    assert [frame.mask for frame in chosen] == [str(masks / f"matte_{n:05d}.tif") for n in range(1, 6)]
    with pytest.raises(PlanError, match=r"no mask for s\.6\.png, s\.7\.png"):
        select_frames(shot, frames="5-7", masks=masks)


def test_masks_by_name_where_there_are_no_numbers(tmp_path):
    for name in ("in/cat.jpg", "in/dog.jpg", "masks/cat.png", "masks/dog.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    chosen = select_frames(tmp_path / "in", masks=tmp_path / "masks")
    assert [frame.mask for frame in chosen] == [str(tmp_path / "masks" / n) for n in ("cat.png", "dog.png")]
    (tmp_path / "masks/bird.png").write_bytes(b"")
    with pytest.raises(PlanError, match="bird"):
        select_frames(tmp_path / "in", masks=tmp_path / "masks")


def test_folders_that_would_eat_each_other_are_refused(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for output in (source, source / "out", tmp_path, source / ".." / "in"):
        with pytest.raises(PlanError, match=r"same folder|inside"):
            check_folders(source, output)
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(PlanError, match="same folder"):
        check_folders(source, tmp_path / "link")
    (tmp_path / "file").write_text("")
    for given, output in (("none", "out"), ("file", "out"), ("in", "file")):
        with pytest.raises(PlanError):
            check_folders(tmp_path / given, tmp_path / output)
    check_folders(source, tmp_path / "out")
