"""The planner's step for provenance: what every output file says of its making, and who signs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stylegan_core.inference.job.delivery import Signing
from stylegan_core.inference.job.plan import Draft
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.stylize_settings import RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model
from stylegan_core.inference.output.provenance import load_signer


def plan_provenance(draft: Draft, model: Model, render: RenderSettings) -> Draft:
    """The planner's step: what files say of their making, as far as the model itself tells, and who signs it.

    Args:
        draft: so far.
        model: the job's.
        render: what is asked for.

    Raises:
        PlanError: a certificate without a key, or they cannot be used.
    """
    told: dict[str, object] = {}
    if render.provenance:
        told["provenance"] = {"version": tool_version(), "model": model.card.digest, "recipe": model.card.recipe}
    if (render.c2pa_certificate is None) != (render.c2pa_key is None):
        raise PlanError("--c2pa-certificate and --c2pa-key belong together")
    if render.c2pa_certificate is not None and render.c2pa_key is not None:
        certificate, key = (path.expanduser().absolute() for path in (render.c2pa_certificate, render.c2pa_key))
        signing = Signing(certificate=certificate, key=key)
        signed_by = load_signer(signing).digest
        told["signing"] = signing.model_copy(update={"sha256": signed_by})
        told["settings"] = draft.job.settings.model_copy(update={"signed_by": signed_by})
    return draft.with_job(draft.job.model_copy(update=told))


def tool_version() -> str:
    """Of stylereel."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("stylereel")
    except PackageNotFoundError:
        return "unknown"
