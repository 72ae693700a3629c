"""Names of outputs: a folder, in which frames keep their names and tree, or a pattern that numbers them anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stylegan_core.frames.sequences.listing import PICTURE_SUFFIXES
from stylegan_core.frames.sequences.pattern import Pattern, is_pattern, parse_pattern
from stylegan_core.inference.job.spec import PlanError


@dataclass(frozen=True)
class OutputNames:
    """The names of a job's outputs.

    Attributes:
        folder: of the outputs.
        pattern: their names; None keeps those of the inputs, unless there is a ``picture``.
        picture: the name of the only output.
    """

    folder: Path
    pattern: Pattern | None = None
    picture: str | None = None

    @classmethod
    def of(cls, output: str | Path) -> OutputNames:
        """Parses the OUTPUT of a call.

        Raises:
            PlanError: a pattern of files that are not pictures, or a pattern with a range.
        """
        path = Path(output)
        if path.is_dir() or not is_pattern(output):
            is_picture = path.suffix.lower() in PICTURE_SUFFIXES and not path.is_dir()
            return cls(path.parent, picture=path.name) if is_picture else cls(path)
        try:
            pattern = parse_pattern(output)
        except ValueError as error:
            raise PlanError(f"OUTPUT {error}") from error
        if pattern.numbers is not None:
            raise PlanError(f"OUTPUT {output} has a range, but frames keep their numbers: choose them with --frames")
        if Path(pattern.name(0)).suffix.lower() not in PICTURE_SUFFIXES:
            raise PlanError(
                f"OUTPUT {output} is not a pattern of pictures: its names must end in {', '.join(PICTURE_SUFFIXES)}"
            )
        return cls(pattern.folder, pattern)

    def name(self, input_name: str, number: int | None) -> str:
        """The name of a frame's output, below the folder.

        Args:
            input_name: path of the input below its folder.
            number: of the frame.

        Raises:
            PlanError: the output is a pattern, and the frame has no number.
        """
        if self.picture is not None:
            return self.picture
        if self.pattern is None:
            return input_name
        if number is None:
            raise PlanError(f"OUTPUT {self.pattern} numbers the frames, but {input_name} has no number: name a folder")
        return self.pattern.name(number)
