"""The planner's step for provenance: the metadata of every output file, and the certificate that signs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stylegan_core.inference.job.delivery import Signing
from stylegan_core.inference.job.plan import Draft
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.output.provenance import load_signer
from stylegan_core.stylize_settings import RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model


def plan_provenance(draft: Draft, model: Model, render: RenderSettings) -> Draft:
    """Fills in the provenance metadata that the model itself gives, and the signing certificate.

    Args:
        draft: so far.
        model: the job's.
        render: with provenance and the certificate.

    Raises:
        PlanError: a certificate without a key, or they cannot be used.
    """
    update: dict[str, object] = {}
    if render.provenance:
        update["provenance"] = {"version": tool_version(), "model": model.card.digest, "recipe": model.card.recipe}
    if (render.c2pa_certificate is None) != (render.c2pa_key is None):
        raise PlanError("--c2pa-certificate and --c2pa-key require each other")
    if render.c2pa_certificate is not None and render.c2pa_key is not None:
        certificate, key = (path.expanduser().absolute() for path in (render.c2pa_certificate, render.c2pa_key))
        signing = Signing(certificate=certificate, key=key)
        signed_by = load_signer(signing).digest
        update["signing"] = signing.model_copy(update={"sha256": signed_by})
        update["settings"] = draft.job.settings.model_copy(update={"signed_by": signed_by})
    return draft.with_job(draft.job.model_copy(update=update))


def tool_version() -> str:
    """The version of stylereel."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("stylereel")
    except PackageNotFoundError:
        return "unknown"
