import pytest

from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.planning.shots.cut_lists import read_cut_list

EDL = """TITLE: REEL 1
FCM: NON-DROP FRAME

001  AX       V     C        00:00:10:00 00:00:12:00 01:00:00:00 01:00:02:00
* FROM CLIP NAME: sh010
002  BX       A     C        00:00:10:00 00:00:12:00 01:00:01:00 01:00:02:00
003  TAPE2    V     D    012 00:00:00:00 00:00:01:12 01:00:02:00 01:00:03:12
004  BX       AA/V  C        00:01:00:05 00:01:00:06 01:00:03:12 01:00:03:13
"""


def test_an_edl_is_laid_out_from_the_first_frame(tmp_path):
    path = tmp_path / "reel.edl"
    path.write_text(EDL)
    assert read_cut_list(path, first=1001, fps=24) == [1001, 1049, 1085]
    assert read_cut_list(path, first=0, fps=25) == [0, 50, 87]


def test_drop_frame_timecodes_leave_out_numbers_not_frames(tmp_path):
    path = tmp_path / "reel.edl"
    path.write_text(
        "001  AX V C 00:00:00;00 00:00:01;00 00:00:59;29 00:01:00;02\n"
        "002  AX V C 00:00:00;00 00:00:01;00 00:01:00;02 00:10:00;00\n"  # the very next frame
        "003  AX V C 00:00:00;00 00:00:01;00 00:10:00;00 00:11:00;00\n"
    )
    assert read_cut_list(path, first=0, fps=29.97) == [0, 1, 17982 - 1799]


def test_a_timeline_of_opentimelineio(tmp_path):
    otio = pytest.importorskip("opentimelineio")

    def span(frames):
        return otio.opentime.TimeRange(otio.opentime.RationalTime(100, 24), otio.opentime.RationalTime(frames, 24))

    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    track.append(otio.schema.Clip("sh010", source_range=span(48)))
    track.append(otio.schema.Clip("sh020", source_range=span(10)))
    track.append(otio.schema.Gap(source_range=span(4)))
    track.append(otio.schema.Clip("sh030", source_range=span(20)))
    timeline = otio.schema.Timeline("reel")
    timeline.tracks.append(track)
    otio.adapters.write_to_file(timeline, str(tmp_path / "reel.otio"))
    assert read_cut_list(tmp_path / "reel.otio", first=1, fps=24) == [1, 49, 63]
    otio.adapters.write_to_file(otio.schema.Timeline("empty"), str(tmp_path / "empty.otio"))
    with pytest.raises(PlanError, match="no timeline with a video track"):
        read_cut_list(tmp_path / "empty.otio", first=1, fps=24)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cuts.txt", "1001\n1025  # the door\n\n1040, 1060\n"),
        ("cuts.csv", "frame,name\n1001,a\n1025,5\n1040,\n1060,d\n"),
    ],
)
def test_plain_lists_name_frames(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_cut_list(tmp_path / name, first=1, fps=24) == [1001, 1025, 1040, 1060]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("cuts.txt", "1001\ntwelve\n", "line 2: 'twelve' is not a frame number"),
        ("cuts.csv", "frame\n", "contains no frame number"),
        ("cuts.edl", "TITLE: x\n", "contains no event"),
        ("cuts.otio", "{}", "contains no timeline"),
        ("cuts.xml", "<a/>", "must be an .edl"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(PlanError, match=message):
        read_cut_list(tmp_path / name, first=1, fps=24)


def test_a_missing_list_is_refused(tmp_path):
    with pytest.raises(PlanError, match="does not exist"):
        read_cut_list(tmp_path / "none.edl", first=1, fps=24)
