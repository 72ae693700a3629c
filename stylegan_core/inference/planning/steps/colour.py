"""The planner's step for colour: settles the spaces of a job, says them aloud, and pins the OpenColorIO config."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import working_space_name
from stylegan_core.frames.colour.output_encoding import SAME
from stylegan_core.frames.colour.source_space import OWN_SPACES, in_words, known_space
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

_WORDS = (*OWN_SPACES, "auto", SAME, "icc")
_TRIED = 3  # damaged frames are named when their turn comes


def plan_colour(draft: Draft, model: Model, render: RenderSettings) -> Draft:
    """Fills a job's colour spaces in.

    Args:
        draft: whose source space is as it was asked for.
        model: the job's.
        render: with the output space and the config that are asked for.
    Raises:
        PlanError: a space or the config does not exist, or a space cannot be left again.
    """
    job, card, name = draft.job, model.card, config_name(render.ocio)
    spaces = (job.settings.source_space, render.output_space, card.working_space)
    # Without names of a config, the pinned one cannot matter: it only serves what headers of files say.
    matters = name != PINNED_CONFIG or any(space not in _WORDS for space in spaces)
    try:
        config = load_config(name) if matters else None
        source, output, working = spaces
        settled = {
            "source_space": source if source == "auto" else known_space(source, name),
            "output_space": output if output == SAME else known_space(output, name),
            "working_space": working_space_name(working, name),
        }
    except ColourError as error:
        raise PlanError(str(error)) from error
    if output.startswith(VIEW):
        log.info("results are rendered through the view %s, and cannot be graded as a plate any more", output)
    if config is not None:
        settled |= {"ocio": config.digest, "ocio_config": name}
        _compare(card.ocio, config, working)
    job = job.model_copy(update={"settings": job.settings.model_copy(update=settled)})
    if render.precision == "auto" and job.settings.precision != "fp32" and needs_fp32(job.settings):
        log.info("the model works in linear light, whose shadows would band in less: running in fp32")
        job = job.model_copy(update={"settings": job.settings.model_copy(update={"precision": "fp32"})})
    _say(job)
    return draft.with_job(job)


def refuse_movie_space(job: Job) -> None:
    """Refuses another space for a movie: a movie's frames keep its own colours, pictures become sRGB.

    Raises:
        PlanError: one was asked for.
    """
    if job.movie is not None and job.settings.output_space != SAME:
        raise PlanError("a movie keeps its colours, and pictures become sRGB in one: leave out --output-space")


def _compare(recorded: str | None, config: ColourConfig, working_space: str) -> None:
    if recorded is not None and recorded != config.digest and working_space not in OWN_SPACES:
        words = "the model learned %s by another OpenColorIO config than %s: its colours may be off"
        log.warning(words, working_space, config.name)


def _say(job: Job) -> None:
    """Says what the first readable frame's colours are taken for; the others go by their own headers."""
    sources = FrameReader(job)
    for frame in job.frames[:_TRIED]:
        try:
            picture = sources.read(frame)[0]
            space = space_of(picture, job.settings, job.input_path(frame))
        except (UnreadablePictureError, OSError):
            continue
        log.info("%s: %s", frame.input, space.describe())
        form = output_encoding_of(picture, space, frame, job.settings)
        if form is not None:
            log.info("%s", form.describe())
        elif frame.output.lower().endswith(".exr") and picture.format != "exr" and space.name != "linear_rec709":
            words = "%s stays in %s, which no header says: readers take EXR for linear light; --output-space converts"
            log.warning(words, frame.output, in_words(space.name))
        return
