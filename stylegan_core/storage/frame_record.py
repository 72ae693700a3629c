"""Frame record: what proves that one output frame is finished, and of which inputs, model and settings it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stylegan_core.storage.file_state import FileState

_FIELDS = frozenset({"frame", "made", "source", "mask", "model", "settings", "job", "context", "regions"})


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """The record of a finished frame; ``dump`` and ``parse`` convert it to and from the JSON object in the file.

    Attributes:
        frame: name of the output file, relative to the output folder, with forward slashes.
        made: the output file.
        source: the input file.
        mask: the mask file; None without a mask.
        model: digest of the model.
        settings: digest of the settings of this frame.
        job: first 16 digits of the job's digest.
        context: ids that the run belongs to (commit, flow run); not part of the up-to-date check.
        regions: other files that the frame depends on, in the order of ``Job.auxiliary_files``; None for one that is
            not there. Absent from the file if empty.
        unknown: fields of the file that this version does not know; written back unchanged.
    """

    frame: str
    made: FileState
    source: FileState
    mask: FileState | None
    model: str
    settings: str
    job: str
    context: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[FileState | None, ...] = ()
    unknown: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def parse(cls, fields: object) -> FrameRecord:
        """Reads the JSON object of a record.

        Raises:
            ValueError: it is not an object, or a field is missing or has another type.
        """
        if not isinstance(fields, dict):
            raise ValueError(f"expected a JSON object, got {fields!r}")
        context, regions = fields.get("context", {}), fields.get("regions", [])
        if not isinstance(context, dict) or not isinstance(regions, list):
            raise ValueError("the fields context and regions must be an object and a list")
        return cls(
            frame=_text(fields, "frame"),
            made=FileState.parse(fields.get("made")),
            source=FileState.parse(fields.get("source")),
            mask=_optional_state(fields.get("mask")),
            model=_text(fields, "model"),
            settings=_text(fields, "settings"),
            job=_text(fields, "job"),
            context=context,
            regions=tuple(_optional_state(state) for state in regions),
            unknown={name: fields[name] for name in fields.keys() - _FIELDS},
        )

    def dump(self) -> dict[str, object]:
        """The JSON object of the record."""
        fields: dict[str, object] = {
            **self.unknown,
            "frame": self.frame,
            "made": self.made.as_list(),
            "source": self.source.as_list(),
            "mask": self.mask.as_list() if self.mask else None,
            "model": self.model,
            "settings": self.settings,
            "job": self.job,
            "context": dict(self.context),
        }
        if self.regions:
            fields["regions"] = [state.as_list() if state else None for state in self.regions]
        return fields


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"the field {name} must be a string, not {value!r}")
    return value


def _optional_state(value: object) -> FileState | None:
    return None if value is None else FileState.parse(value)
