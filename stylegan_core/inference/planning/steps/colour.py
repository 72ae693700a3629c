"""The planner's step for colour: the colour spaces of a job, and the OpenColorIO config that defines them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import working_space_name
from stylegan_core.frames.colour.output_encoding import SAME
from stylegan_core.frames.colour.source_space import OWN_SPACES, known_space, space_label
from stylegan_core.frames.profiles.ocio import (
    PINNED_CONFIG,
    VIEW,
    ColourConfig,
    ColourError,
    config_name,
    load_config,
)
from stylegan_core.inference.job.plan import Draft
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.reading.colour import needs_fp32, output_encoding_of, space_of
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.stylize_settings import RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

log = logging.getLogger(__name__)

_UNNAMED = (*OWN_SPACES, "auto", SAME, "icc")
_ATTEMPTS = 3  # damaged frames are reported when they are stylized


def plan_colour(draft: Draft, model: Model, render: RenderSettings) -> Draft:
    """Fills in the colour spaces and the config, and logs them.

    Args:
        draft: with the source space of the request.
        model: the job's.
        render: with the output space and the config.
    Raises:
        PlanError: a space or the config does not exist, or a space cannot be converted back from.
    """
    job, card, name = draft.job, model.card, config_name(render.ocio)
    spaces = (job.settings.source_space, render.output_space, card.working_space)
    # If no space is a name of a config, the pinned one is not recorded: it only resolves headers of files.
    needs_config = name != PINNED_CONFIG or any(space not in _UNNAMED for space in spaces)
    try:
        config = load_config(name) if needs_config else None
        source, output, working = spaces
        update = {
            "source_space": source if source == "auto" else known_space(source, name),
            "output_space": output if output == SAME else known_space(output, name),
            "working_space": working_space_name(working, name),
        }
    except ColourError as error:
        raise PlanError(str(error)) from error
    if output.startswith(VIEW):
        log.info("results are rendered through the view %s: they cannot be graded like a plate", output)
    if config is not None:
        update |= {"ocio": config.digest, "ocio_config": name}
        _warn_of_other_config(card.ocio, config, working)
    job = job.model_copy(update={"settings": job.settings.model_copy(update=update)})
    if render.precision == "auto" and job.settings.precision != "fp32" and needs_fp32(job.settings):
        log.info("the model works in linear light, whose shadows show banding below fp32: running in fp32")
        job = job.model_copy(update={"settings": job.settings.model_copy(update={"precision": "fp32"})})
    _log_spaces(job)
    return draft.with_job(job)


def refuse_movie_space(job: Job) -> None:
    """Refuses an output space for a movie: frames of a movie keep its colours, pictures become sRGB.

    Raises:
        PlanError: the job has a movie and an output space.
    """
    if job.movie is not None and job.settings.output_space != SAME:
        raise PlanError(
            "--output-space is not supported for movies: frames of a movie keep its colours, pictures become sRGB"
        )


def _warn_of_other_config(recorded: str | None, config: ColourConfig, working_space: str) -> None:
    if recorded is not None and recorded != config.digest and working_space not in OWN_SPACES:
        words = "the model was trained in %s of another OpenColorIO config than %s: its colours may differ"
        log.warning(words, working_space, config.name)


def _log_spaces(job: Job) -> None:
    """Logs the spaces of the first readable frame; each frame is converted according to its own header."""
    reader = FrameReader(job)
    for frame in job.frames[:_ATTEMPTS]:
        try:
            picture = reader.read(frame)[0]
            space = space_of(picture, job.settings, job.input_path(frame))
        except (UnreadablePictureError, OSError):
            continue
        log.info("%s: %s", frame.input, space.describe())
        form = output_encoding_of(picture, space, frame, job.settings)
        if form is not None:
            log.info("%s", form.describe())
        elif frame.output.lower().endswith(".exr") and picture.format != "exr" and space.name != "linear_rec709":
            words = "%s stays in %s, which its header does not record: readers assume linear light; use --output-space"
            log.warning(words, frame.output, space_label(space.name))
        return
