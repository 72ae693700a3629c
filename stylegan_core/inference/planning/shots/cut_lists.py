"""Cut lists of editors: edit decision lists (CMX 3600), OpenTimelineIO files, or plain lists of frame numbers."""

from __future__ import annotations

import re
from pathlib import Path

from stylegan_core.inference.job.spec import PlanError

_TIMECODE = r"\d{2}:\d{2}:\d{2}[:;.]\d{2}"
_EVENT = re.compile(rf"^\s*\d+\s+\S+\s+(?P<channels>\S+)\s+\S.*?(?P<times>(?:{_TIMECODE}\s*){{4}})$")
_TITLES = {"frame", "frames", "cut", "cuts", "start", "shot"}


def read_cut_list(path: Path, *, first: int, fps: float) -> list[int]:
    """Numbers of the frames that start a shot.

    Events of an EDL and clips of a timeline are laid out from frame ``first`` on: the first event starts there. A plain
    list names frame numbers themselves, one a line or separated by commas; of a CSV file the first column counts.

    Args:
        path: .edl, .otio (.otioz, .otiod), .txt or .csv.
        first: number of the sequence's first frame.
        fps: frame rate of an EDL's timecodes.
    Raises:
        PlanError: the file is missing, of another kind, or has no cut.
    """
    if not path.is_file() and path.suffix != ".otiod":
        raise PlanError(
            f"the cut list {path} does not exist: --cuts must be auto, none, or an EDL, OTIO, text or CSV file"
        )
    readers = {".edl": _edl_starts, ".otio": _otio_starts, ".otioz": _otio_starts, ".otiod": _otio_starts}
    suffix = path.suffix.lower()
    if suffix in readers:
        starts = readers[suffix](path, fps)
        return sorted({first + start - min(starts) for start in starts})
    if suffix in (".txt", ".csv"):
        return _listed_numbers(path)
    raise PlanError(f"{path}: a cut list must be an .edl, .otio, .otioz, .otiod, .txt or .csv file")


def _edl_starts(path: Path, fps: float) -> list[int]:
    """Record-in of every video event, in frames."""
    starts = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        event = _EVENT.match(line.rstrip())
        if event is None or not _has_picture(event["channels"]):
            continue
        starts.append(_frames(re.findall(_TIMECODE, event["times"])[2], fps))
    if not starts:
        raise PlanError(
            f"{path} contains no event such as `001  AX  V  C  00:00:00:00 00:00:02:00 01:00:00:00 01:00:02:00`"
        )
    return starts


def _has_picture(channels: str) -> bool:
    return "V" in channels or channels == "B"


def _frames(timecode: str, fps: float) -> int:
    hours, minutes, seconds, frames = (int(part) for part in re.split("[:;.]", timecode))
    rate = round(fps)
    total = ((hours * 60 + minutes) * 60 + seconds) * rate + frames
    if ";" in timecode:  # drop frame: two (or four) numbers are skipped in every minute but the tenth
        whole_minutes = hours * 60 + minutes
        total -= round(rate / 15) * (whole_minutes - whole_minutes // 10)
    return total


def _otio_starts(path: Path, _fps: float) -> list[int]:
    """Starts of the clips of the first video track, in frames; gaps do not start a shot."""
    import opentimelineio as otio

    try:
        timeline = otio.adapters.read_from_file(str(path))
        (track, *_) = timeline.video_tracks()
        clips = track.find_clips(shallow_search=True)
        starts = [track.range_of_child(clip).start_time.to_frames() for clip in clips]
    except (otio.exceptions.OTIOError, ValueError, AttributeError, OSError) as error:
        raise PlanError(f"{path} contains no timeline with a video track ({error})") from error
    if not starts:
        raise PlanError(f"{path}: its first video track contains no clip")
    return starts


def _listed_numbers(path: Path) -> list[int]:
    numbers = []
    for at, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        cells = line.split("#")[0].split(",")
        if path.suffix.lower() == ".csv":
            cells = cells[:1]
        for cell in (cell.strip() for cell in cells):
            if not cell or (at == 1 and cell.lower() in _TITLES):
                continue
            try:
                numbers.append(int(cell))
            except ValueError:
                raise PlanError(f"{path}, line {at}: {cell!r} is not a frame number") from None
    if not numbers:
        raise PlanError(f"{path} contains no frame number")
    return sorted(set(numbers))
