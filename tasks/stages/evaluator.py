"""Evaluators: a model, the pictures that it is evaluated on, tuned filters and known motion to compare with."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stylegan_core.config import Params
from stylegan_core.data.manifest import read_manifest
from stylegan_core.data.subjects import Still, Subject, find_subjects, spread
from stylegan_core.frames.colour.context import ColourContext
from stylegan_core.metrics import comparison
from stylegan_core.metrics.baselines import baselines
from stylegan_core.metrics.comparison import Filters, Row
from stylegan_core.metrics.pictures import Floats
from stylegan_core.metrics.shift_error import LEAST_PX, shift_error
from stylegan_core.motion.scene import SceneMotion, load_motion
from tasks.shared.errors import UsageError
from tasks.stages.evaluator_guides import ShotGuides, guides_of

if TYPE_CHECKING:
    from stylegan_core.recipes.base import Conditions
    from stylegan_core.recipes.model import Model

PART_PICTURES = 8
_TIMED = 8
_SHIFTED = 4
"""Pictures that are shifted: three more translations for each, of at most 512 px a side."""


@dataclass(frozen=True)
class Evaluator:
    """A model on one subject, with everything that its pictures are compared with.

    Attributes:
        subject: the pictures.
        training: name of the model's folder.
        model: loaded.
        colour: the model's working space, and the config of the prepared data.
        translate: (H, W, 3) in the model's working space to the same, or (H, W, 7) with a guide; one call at a time.
        read: a file as the network sees it, (H, W, 3) in the model's working space; its side "content" or "style".
        filters: tuned on the key frames.
        motion: the shot's true motion; None if unknown or not needed.
        temporal: frames are compared with the ones before them.
        speed: ``speed/...`` figures, in images per second and MB.
        equivariance: ``temporal/shift_error``, in 8-bit codes; empty without ``evaluate.temporal``. Without a guide.
        guides: of a shot for a guided model; None has none.
    """

    subject: Subject
    training: str
    model: Model
    colour: ColourContext
    translate: Callable[[Floats], Floats]
    read: Callable[[Path, str], Floats]
    filters: Filters
    motion: SceneMotion | None
    temporal: bool
    speed: Row
    equivariance: Row
    guides: ShotGuides | None = None

    @property
    def stills(self) -> tuple[Still, ...]:
        """The pictures to translate; with ``temporal``, key frames too."""
        return tuple(s for s in self.subject.stills if s.evaluated or self.temporal)

    def parts(self) -> list[Part]:
        """Units of work: runs of consecutive pictures."""
        return [
            Part(self, start, min(start + PART_PICTURES, len(self.stills)))
            for start in range(0, len(self.stills), PART_PICTURES)
        ]


@dataclass(frozen=True)
class Part:
    """Pictures ``start`` to ``stop`` (excluded) of an evaluator."""

    evaluator: Evaluator
    start: int
    stop: int


@dataclass(frozen=True)
class EvaluatedPicture:
    """A picture, its translation and its ground truth, (H, W, 3) each, sRGB in [0, 1]."""

    still: Still
    content: Floats
    result: Floats
    truth: Floats | None


def open_evaluators(params: Params, prepared: Path, models: Path, *, root: Path | None = None) -> list[Evaluator]:
    """Loads every model, finds its pictures, times it and tunes filters for it.

    Args:
        params: all settings.
        prepared: what prepare wrote.
        models: what train wrote, a folder a training.
        root: what relative paths in the manifest are relative to; default: the working folder.

    Raises:
        UsageError: prepared data or a model is missing, or there is no picture to evaluate on.
    """
    from threadpoolctl import threadpool_limits

    from stylegan_core.recipes.model import ModelError, load_model

    # Pictures are measured on several threads; BLAS threads inside each would only compete with them.
    threadpool_limits(1, user_api="blas")
    try:
        manifest = read_manifest(prepared / "manifest.csv")
        loaded = [(t, load_model(models / t.name)) for t in params.trainings()]
    except (ModelError, ValueError) as error:
        raise UsageError(f"evaluate: {error}") from error
    evaluators = []
    for training, model in loaded:
        subjects = find_subjects(
            manifest,
            prepared,
            root=root or Path(),
            shots=training.shots,
            paired=model.recipe.needs.paired,
            every=params.evaluate.every,
            max_pictures=params.evaluate.max_pictures,
        )
        translate = _translator(model)
        for subject in subjects:
            conditioned = functools.partial(translate, _conditions(model, subject, _colour(params, model)))
            evaluator = open_evaluator(params, training.name, model, conditioned, subject)
            if model.recipe.guided:
                display = display_of(evaluator.colour)
                guides = guides_of(subject, prepared, root or Path(), evaluator.read, display)
                evaluator = replace(evaluator, guides=guides)
            evaluators.append(evaluator)
    if not evaluators:
        raise UsageError(f"evaluate: {prepared} lists no pictures to evaluate the models on")
    return evaluators


def open_evaluator(
    params: Params, training: str, model: Model, translate: Callable[[Floats], Floats], subject: Subject
) -> Evaluator:
    """Times a model on a subject and tunes the baseline filters."""
    colour = _colour(params, model)
    read, display = _reader(params, colour), display_of(colour)
    contents = [display(read(content, "content")) for content, _ in subject.tuning]
    truths = [display(read(style, "style")) for _, style in subject.tuning if style is not None]
    filters: Filters = {}
    if params.evaluate.baselines and contents and (truths or subject.styles):
        styles = [display(read(path, "style")) for path in subject.styles]
        tune = comparison.tuned_to_truth if truths else comparison.tuned_to_style
        filters = tune(contents, truths or styles, baselines(styles))
    temporal = params.evaluate.temporal and subject.kind == "shot"
    shifted = spread(subject.stills, _SHIFTED) if params.evaluate.temporal else []
    return Evaluator(
        subject,
        training,
        model,
        colour,
        translate,
        read,
        filters,
        load_motion(subject.motion) if subject.motion is not None else None,
        temporal,
        _timed(translate, [read(still.content, "content") for still in subject.stills[:_TIMED]]),
        _equivariance(translate, display, [read(still.content, "content") for still in shifted]),
    )


def evaluate_picture(evaluator: Evaluator, still: Still) -> EvaluatedPicture:
    """Translates a picture and reads its ground truth."""
    display = display_of(evaluator.colour)
    content = evaluator.read(still.content, "content")
    truth = still.truth or still.style
    given = content
    if evaluator.guides is not None and still.frame is not None:
        given = evaluator.guides.with_guide(still.frame, content)
    return EvaluatedPicture(
        still,
        display(content),
        display(evaluator.translate(given)),
        None if truth is None else display(evaluator.read(truth, "style")),
    )


def _colour(params: Params, model: Model) -> ColourContext:
    return ColourContext(model.card.working_space, params.prepare.ocio)


def _reader(params: Params, colour: ColourContext) -> Callable[[Path, str], Floats]:
    from stylegan_core.data.resize import shrink
    from stylegan_core.frames.colour.convert import to_working
    from stylegan_core.frames.colour.source_space import source_space_of
    from stylegan_core.frames.pictures.read import read_picture

    spaces = {"content": params.prepare.content_space, "style": params.prepare.style_space}
    limit, ocio, working = params.prepare.max_megapixels, colour.ocio, colour.working_space
    shorter_px = params.prepare.resize_px  # a model is evaluated at the size that it was trained at

    def read(path: Path, side: str) -> Floats:
        picture = read_picture(path, max_megapixels=limit)
        space = source_space_of(picture, spaces[side], path=path, ocio=ocio).name
        unit = to_working(picture, source_space=space, working_space=working, ocio=ocio)
        if shorter_px is None:
            return unit
        return shrink(unit, shorter_px, params.prepare.filter_of(side), space=working, ocio=ocio)

    return read


def display_of(colour: ColourContext) -> Callable[[Floats], Floats]:
    """Conversion from the model's working space to clipped sRGB, in which pictures are measured.

    A working space that is an OCIO view is already display-referred: it is only clipped.
    """
    from stylegan_core.frames.colour.convert import to_working
    from stylegan_core.frames.profiles.ocio import VIEW

    working = colour.working_space
    is_display = working == "srgb" or working.startswith(VIEW)
    return lambda unit: (
        np.clip(unit, 0.0, 1.0)
        if is_display
        else to_working(np.clip(unit, 0.0, 1.0), source_space=working, ocio=colour.ocio)
    )


def _conditions(model: Model, subject: Subject, colour: ColourContext) -> Conditions:
    """Conditions of a conditioned recipe: one of the style pictures as reference, or its first attribute.

    Without them, a reference-conditioned model would be evaluated on reconstructing its input, an attribute editor on
    copying it.
    """
    from stylegan_core.inference.conditioning.conditions import attribute_names, conditions_of, plan_conditioning
    from stylegan_core.inference.network.device import choose_device

    conditioned_on = model.recipe.conditioned_on
    references = subject.styles[len(subject.styles) // 2 :][:1] if "styles" in conditioned_on else ()
    edit = {attribute_names(model)[0]: 1.0} if "labels" in conditioned_on else None
    conditioning = plan_conditioning(model, style_images=[str(path.absolute()) for path in references], edit=edit)
    return conditions_of(model, conditioning, colour, device=choose_device())


def _translator(model: Model) -> Callable[[Conditions, Floats], Floats]:
    from stylegan_core.inference.network.device import choose_device
    from stylegan_core.inference.network.precision import choose_precision
    from stylegan_core.inference.network.translate import translate_unit

    device = choose_device()
    precision = choose_precision(model.recipe, "auto", device)
    lock = threading.Lock()  # one picture at a time uses the device; other threads measure meanwhile

    def translate(conditions: Conditions, content: Floats) -> Floats:
        with lock:
            return translate_unit(model, content, precision=precision, device=device, conditions=conditions)

    return translate


def _equivariance(
    translate: Callable[[Floats], Floats], display: Callable[[Floats], Floats], contents: Sequence[Floats]
) -> Row:
    large = [content for content in contents if min(content.shape[:2]) >= LEAST_PX]
    if not large:
        return {}
    return {"temporal/shift_error": shift_error(lambda content: display(translate(content)), large)}


def _timed(translate: Callable[[Floats], Floats], contents: Sequence[Floats]) -> Row:
    import resource
    import sys

    import torch

    translate(contents[0])  # warm-up
    start = time.perf_counter()
    for content in contents:
        translate(content)
    rate = len(contents) / (time.perf_counter() - start)
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 1e6
    else:  # of the whole process; macOS counts bytes, Linux kilobytes
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return {"speed/images_per_s": rate, "speed/peak_memory_mb": peak}
