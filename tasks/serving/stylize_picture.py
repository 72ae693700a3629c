"""Stylizes the content of one picture file: the job of ``stylereel stylize``, with one frame, in a temporary folder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.base.sniff import SUFFIX_FORMATS, sniff
from stylegan_core.inference.job.plan import write_plan
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.pipeline.stylizer import Stylizer
from stylegan_core.inference.planning.planner import plan_job
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.selection.select import select
from stylegan_core.recipes.model import Model, ModelError
from stylegan_core.settings import SettingsError

_SUFFIXES = {name: suffix for suffix, name in reversed(SUFFIX_FORMATS.items())}


class PictureError(ValueError):
    """A picture cannot be stylized; the message says why."""


def stylize_picture(model: Model, picture: bytes, *, reference: bytes | None = None, **settings: Any) -> bytes:
    """The stylized picture as a PNG, equal to what ``stylereel stylize PICTURE RESULT.png`` writes in fp32 with torch.

    Args:
        model: from ``load_model``.
        picture: content of a PNG, JPEG, WebP, TIFF, EXR or DPX file.
        reference: content of a reference picture, for models that take one.
        settings: strength, edit and direction, as in the section ``stylize`` of params.yaml.

    Raises:
        PictureError: a picture cannot be read, or the model does not take a setting or a reference.
        StylizeStopped: the temporary folder is full.
    """
    with tempfile.TemporaryDirectory(prefix="stylereel-picture-") as place:
        root = Path(place)
        result = root / "result" / "picture.png"
        try:
            source = _write(root / "picture", picture, "the picture")
            styles = () if reference is None else (str(_write(root / "reference", reference, "the reference")),)
            # Measuring the fastest back end takes seconds, and its last bits depend on the machine.
            request = Request.of(
                source, result, style_images=styles, precision="fp32", back_end="torch", root=root, **settings
            )
            plan = plan_job(request, select(request), model)
            write_plan(plan)
            with Stylizer(plan.job, model) as stylizer:
                report = stylizer.chunk(0)
        except (PlanError, SettingsError, ModelError) as error:
            raise PictureError(str(error)) from error
        if report.failed:
            raise PictureError(f"the picture cannot be stylized: {report.failed[0].reason}")
        return result.read_bytes()


def _write(stem: Path, content: bytes, what: str) -> Path:
    """Writes a picture's content under the suffix of its format.

    Raises:
        PictureError: it is in no supported format.
    """
    try:
        path = stem.with_suffix(_SUFFIXES[sniff(content)])
    except UnreadablePictureError as error:
        raise PictureError(f"{what} cannot be read: {error.reason}") from error
    path.write_bytes(content)
    return path
