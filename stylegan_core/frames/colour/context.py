"""The colour context of a job: its working space, and the OpenColorIO config that defines its colour spaces."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ColourContext:
    """Passed to everything that reads pictures for a model, so that no process-wide default is needed.

    Attributes:
        working_space: of the model, see ``working_space_name``.
        ocio: name of the config, see ``load_config``; None is $OCIO, else the pinned built-in.
    """

    working_space: str = "srgb"
    ocio: str | None = None
