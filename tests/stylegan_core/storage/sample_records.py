"""Complete frame records for tests that care about some of their fields only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.frame_record import FrameRecord

_STATE = FileState(1, 2, "0" * 64)


def sample_record(frame: object, **changes: Any) -> FrameRecord:
    """The record of a frame, in which all other fields have some value."""
    whole = FrameRecord(str(frame), made=_STATE, source=_STATE, mask=None, model="m", settings="s", job="j")
    return replace(whole, **changes)
