from pathlib import Path

import pytest

from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.planning.selection.select import check_folders, input_folder
from tests.stylegan_core.inference.planning.requests import select_frames


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


@pytest.fixture
def shot(tmp_path):
    return touch(tmp_path / "shot", "notes.txt", *(f"s.{number}.png" for number in range(1, 13)))


@pytest.fixture
def gaps(tmp_path):
    """1001 to 1012 without 1003, 1007 and 1008."""
    there = [n for n in range(1001, 1013) if n not in (1003, 1007, 1008)]
    return touch(tmp_path / "gaps", *(f"p.{number}.exr.png" for number in there))


def outputs(source, output=None, **kwargs):
    return [
        frame.output for frame in select_frames(source, output or Path(source).parent.parent / "out", **kwargs).frames
    ]


def test_natural_order_and_the_same_names_and_tree(shot, tmp_path):
    touch(shot, "b/s.2.tif")
    names = outputs(shot, tmp_path / "out")
    assert sorted(names) == sorted(["b/s.2.tif", *(f"s.{n}.png" for n in range(1, 13))])
    assert names.index("s.2.png") < names.index("s.10.png")
    assert [frame.output for frame in select_frames(shot, tmp_path / "out").frames] == names


def test_range_then_every_then_limit(shot, tmp_path):
    out = tmp_path / "out"
    assert outputs(shot, out, frames="2-12x2") == [f"s.{n}.png" for n in (2, 4, 6, 8, 10, 12)]
    assert outputs(shot, out, frames="2-12x2", every=2) == ["s.2.png", "s.6.png", "s.10.png"]
    assert outputs(shot, out, frames="2-12x2", every=2, limit=2) == ["s.2.png", "s.6.png"]
    assert outputs(shot, out, limit=100) == outputs(shot, out)


def test_a_pattern_selects_its_frames(shot, tmp_path):
    chosen = select_frames(f"{shot}/s.@.png", tmp_path / "out", frames="3,5")
    assert [(frame.output, frame.number) for frame in chosen.frames] == [("s.3.png", 3), ("s.5.png", 5)]
    assert chosen.input_folder == input_folder(shot) == shot
    assert outputs(f"{shot}/s.%d.png") == [f"s.{n}.png" for n in range(1, 13)]
    assert outputs(f"{shot}/s.2-4@.png") == ["s.2.png", "s.3.png", "s.4.png"]


def test_negative_numbers_keep_their_names_and_order(tmp_path):
    names = ["s.-0010.png", "s.-0002.png", "s.0000.png", "s.0003.png"]
    folder = touch(tmp_path / "in", *names)
    assert outputs(folder, tmp_path / "out") == names
    chosen = select_frames(f"{folder}/s.####.png", tmp_path / "out", frames="-2-0", missing="skip").frames
    assert [(frame.output, frame.number) for frame in chosen] == [("s.-0002.png", -2), ("s.0000.png", 0)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": "90-91"}, "no frame 90-91: its numbers are 1 to 12"),
        ({"frames": "12-14"}, r"frames 12-14, missing 13-14 \(2 of 3\); it has 1 to 12: pass --missing skip"),
        ({"frames": "one"}, "not a frame range"),
        ({"every": 0}, "--every"),
        ({"limit": 0}, "--limit"),
    ],
)
def test_wrong_selections_say_what_is_wrong(shot, tmp_path, arguments, message):
    with pytest.raises(PlanError, match=message):
        select_frames(shot, tmp_path / "out", **arguments)


def test_empty_and_missing_folders_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlanError, match="empty"):
        select_frames(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(PlanError, match="missing"):
        select_frames(tmp_path / "missing", tmp_path / "out")


def test_messages_for_wrong_sources_name_the_right_form(shot, tmp_path):
    for pattern, meant in (
        ("s.*.png", r"write frame numbers as #### or @: s\.@\.png"),
        ("s.####.png", r"s\.1\.png has another .*s\.@"),
    ):
        with pytest.raises(PlanError, match=meant):
            select_frames(shot / pattern, tmp_path / "out")
    with pytest.raises(PlanError, match=r"holds notes\.txt, s\.1\.png, s\.2\.png \.\.\."):
        select_frames(shot / "other.####.png", tmp_path / "out")
    with pytest.raises(PlanError, match=r"notes\.txt is neither a folder, .* reads: \.png.*\.mov"):
        select_frames(shot / "notes.txt", tmp_path / "out")


def test_pictures_of_other_kinds_in_a_folder_are_not_left_out_in_silence(shot, tmp_path):
    assert select_frames(shot, tmp_path / "out").notes == ()
    touch(shot, "a.tga", "deep/b.TGA", "c.mov", ".hidden.tga")
    assert "does not read: 1 x .mov, 2 x .tga" in select_frames(shot, tmp_path / "out").notes[0]
    assert select_frames(shot / "s.@.png", tmp_path / "out").notes == ()


def test_a_pattern_with_gaps_is_refused_by_default_and_a_folder_is_not(gaps, tmp_path):
    told = r"p\.####\.exr\.png: frames 1001-1012, missing 1003, 1007-1008 \(3 of 12\)"
    with pytest.raises(PlanError, match=told):
        outputs(f"{gaps}/p.####.exr.png")
    with pytest.raises(PlanError, match=told):
        outputs(gaps, tmp_path / "out", missing="error")
    chosen = select_frames(gaps, tmp_path / "out")
    assert len(chosen.frames) == 9
    assert chosen.notes == ("p.####.exr.png: frames 1001-1012, missing 1003, 1007-1008 (3 of 12): skipped",)
    # What is not asked for need not be there.
    assert outputs(f"{gaps}/p.####.exr.png", limit=2) == ["p.1001.exr.png", "p.1002.exr.png"]
    assert outputs(f"{gaps}/p.####.exr.png", frames="1001-1011x2", every=3, missing="skip") == ["p.1001.exr.png"]


@pytest.mark.parametrize("whole", [True, False])
def test_missing_frames_are_held_or_black(gaps, tmp_path, whole):
    source = gaps if whole else f"{gaps}/p.%04d.exr.png"
    held = select_frames(source, tmp_path / "out", frames="1000-1009", missing="hold")
    assert [frame.output for frame in held.frames] == [f"p.{n}.exr.png" for n in range(1000, 1010)]
    assert [frame.input[2:6] for frame in held.frames] == [
        "1001", "1001", "1002", "1002", "1004", "1005", "1006", "1006", "1006", "1009"
    ]  # fmt: skip
    # A held frame is what its neighbour is, so it has its number too.
    assert [frame.number for frame in held.frames] == [int(frame.input[2:6]) for frame in held.frames]
    assert [frame.output[2:6] for frame in held.frames if frame.missing] == ["1000", "1003", "1007", "1008"]
    assert held.notes[0].endswith("missing 1000, 1003, 1007-1008 (4 of 10): held from the frame before")
    black = select_frames(source, tmp_path / "out", missing="black").frames
    assert [(f.number, f.input) for f in black if f.missing == "black"] == [
        (1003, "p.1002.exr.png"), (1007, "p.1006.exr.png"), (1008, "p.1006.exr.png")
    ]  # fmt: skip


def test_sequences_of_a_tree_have_gaps_of_their_own(gaps, tmp_path):
    touch(gaps, "b/q_0001.png", "b/q_0002.png", "b/q_0004.png", "title.png")
    held = select_frames(gaps, tmp_path / "out", missing="hold")
    assert [frame.output for frame in held.frames if frame.missing] == [
        "b/q_0003.png", "p.1003.exr.png", "p.1007.exr.png", "p.1008.exr.png"
    ]  # fmt: skip
    assert "title.png" in [frame.output for frame in held.frames]
    assert len(held.notes) == 2
    assert outputs(gaps, tmp_path / "out", frames="1-4,1001", missing="skip")[:3] == [
        "b/q_0001.png", "b/q_0002.png", "b/q_0004.png"
    ]  # fmt: skip
    with pytest.raises(PlanError, match="no frame 3 in any of its 2 sequences"):
        outputs(gaps, tmp_path / "out", frames="1-4,1001")


def test_photographs_have_no_gaps(tmp_path):
    folder = touch(tmp_path / "in", *(f"IMG_{n:04d}.jpg" for n in (13, 14, 400, 401, 402, 931)), "a1.png", "a01.png")
    assert select_frames(folder, tmp_path / "out").notes == ()


def test_an_output_pattern_numbers_anew(gaps, tmp_path):
    out = tmp_path / "out" / "sh010_styl.%06d.png"
    chosen = select_frames(f"{gaps}/p.####.exr.png", out, frames="1006-1009", missing="hold")
    assert chosen.output_folder == tmp_path / "out"
    assert [frame.output for frame in chosen.frames] == [f"sh010_styl.{n:06d}.png" for n in range(1006, 1010)]
    touch(gaps, "title.png")
    with pytest.raises(PlanError, match=r"title\.png has no number: name a folder"):
        select_frames(gaps, out)
    touch(gaps, "b/q_1001.png")
    with pytest.raises(PlanError, match=r"would be written to sh010_styl\.001001\.png"):
        select_frames(gaps, out, frames="1001-1002")
    for wrong, message in (
        ("a.1-5#.png", "has a range"),
        ("a.####.txt", "not a pattern of pictures"),
        ("a.#.b.#.png", "two"),
    ):
        with pytest.raises(PlanError, match=f"OUTPUT .*{message}"):
            select_frames(gaps, tmp_path / "out" / wrong)


def test_one_picture_goes_to_a_folder_or_to_a_name(shot, tmp_path):
    assert outputs(shot / "s.3.png", tmp_path / "out") == ["s.3.png"]
    chosen = select_frames(shot / "s.3.png", tmp_path / "out" / "painted.tif")
    assert (chosen.output_folder, chosen.frames[0].output) == (tmp_path / "out", "painted.tif")
    with pytest.raises(PlanError, match=r"12 frames would be written to painted\.tif"):
        select_frames(shot, tmp_path / "out" / "painted.tif")


def test_masks_by_number_whatever_their_padding(shot, tmp_path):
    masks = touch(tmp_path / "masks", *(f"matte_{number:05d}.tif" for number in range(1, 6)))
    for place in (masks, masks / "matte_#####.tif"):
        chosen = select_frames(shot, tmp_path / "out", frames="1-5", masks=place).frames
        assert [frame.mask for frame in chosen] == [str(masks / f"matte_{n:05d}.tif") for n in range(1, 6)]
    with pytest.raises(PlanError, match=r"no mask for s\.6\.png, s\.7\.png: add them, or pass --missing-mask"):
        select_frames(shot, tmp_path / "out", frames="5-7", masks=masks)
    everywhere = select_frames(shot, tmp_path / "out", frames="5-6", masks=masks, missing_mask="everywhere").frames
    assert [(frame.mask is None, frame.strength) for frame in everywhere] == [(False, None), (True, None)]
    nowhere = select_frames(shot, tmp_path / "out", frames="5-6", masks=masks, missing_mask="nowhere").frames
    assert [(frame.mask is None, frame.strength) for frame in nowhere] == [(False, None), (True, 0.0)]
    # A held frame has the mask of the frame that it repeats; one file serves all.
    (shot / "s.4.png").unlink()
    held = select_frames(f"{shot}/s.@.png", tmp_path / "out", frames="3-5", masks=masks, missing="hold").frames
    assert held[1].mask == held[0].mask == str(masks / "matte_00003.tif")
    one = select_frames(shot, tmp_path / "out", masks=masks / "matte_00001.tif").frames
    assert {frame.mask for frame in one} == {str(masks / "matte_00001.tif")}


def test_masks_by_name_where_there_are_no_numbers(tmp_path):
    touch(tmp_path, "in/cat.jpg", "in/dog.jpg", "masks/cat.png", "masks/dog.png", "masks/bird.png")
    chosen = select_frames(tmp_path / "in", tmp_path / "out", masks=tmp_path / "masks").frames
    assert [frame.mask for frame in chosen] == [str(tmp_path / "masks" / n) for n in ("cat.png", "dog.png")]


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


def test_outputs_may_be_next_to_their_input_but_not_replace_it(shot):
    beside = select_frames(f"{shot}/s.@.png", f"{shot}/styl.####.png", frames="1-2")
    assert [frame.output for frame in beside.frames] == ["styl.0001.png", "styl.0002.png"]
    assert outputs(shot / "s.1.png", shot / "out") == ["s.1.png"]
    for source, output in ((f"{shot}/s.@.png", shot), (shot / "s.1.png", shot / "s.1.png"), (shot / "s.1.png", shot)):
        with pytest.raises(PlanError, match=r"s\.1\.png.* would replace its own input"):
            select_frames(source, output)
