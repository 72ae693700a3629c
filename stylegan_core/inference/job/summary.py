"""Summary of a job's settings in words: for reports, the review page and lineage queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stylegan_core.inference.job.frame_settings import Conditioning, Region
from stylegan_core.inference.job.spec import Job


def summarize(job: Job) -> dict[str, str]:
    """Strength, conditioning and regions by name; settings that are not used are left out.

    Files are named without their folders, so that the summary is the same on every machine.
    """
    settings = job.settings
    found = {"strength": f"{settings.strength:g}"} | summarize_conditioning(settings.directions)
    if strengths := {frame.strength for frame in job.frames if frame.strength is not None}:
        found["strength"] = f"{min(strengths):g} to {max(strengths):g}, by a curve"
    if keys := {guide.number: guide.path for frame in job.frames for guide in frame.guides}:
        found["key frames"] = ", ".join(path.name for _, path in sorted(keys.items()))
    if settings.keep_source_colour:
        found["colour"] = "the source's"
    if settings.blend_frames:
        found["blend"] = f"{_frames(settings.blend_frames)} to each side, weight {settings.blend_weight:g}"
    if settings.filter_frames:
        found["filter"] = f"{_frames(settings.filter_frames)} to each side"
    for index, region in enumerate(settings.regions):
        found[f"region {index + 1}"] = ", ".join(_region(job, index, region))
    if settings.regions:
        found["elsewhere"] = "the source" if settings.outside_regions == "source" else "as the model makes it"
    return found


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def summarize_conditioning(conditioning: Conditioning, weights: Sequence[float] | None = None) -> dict[str, str]:
    """References, edit and direction by name; what is not used is left out.

    Args:
        conditioning: of a job or a region.
        weights: of the references, where a frame overrides them.
    """
    shares = weights if weights is not None else [style.weight for style in conditioning.styles]
    names = [style.name or style.path.name for style in conditioning.styles]
    styles = [(name, f"{share:.3g}") for name, share in zip(names, shares, strict=True)]
    found = {
        "references": styles[0][0] if len(styles) == 1 else ", ".join(f"{name} {weight}" for name, weight in styles),
        "edit": ", ".join(f"{name} {change:+g}" for name, change in conditioning.edit.items()),
        "direction": "" if conditioning.direction == "forward" else conditioning.direction,
    }
    if any(style.name for style in conditioning.styles):
        found["style bank"] = conditioning.styles[0].path.name
    return {what: words for what, words in found.items() if words}


def _region(job: Job, index: int, region: Region) -> list[str]:
    files = [frame.regions[index] for frame in job.frames]
    kind = "masks" if region.value is None else f"label {region.value} of"
    found = [f"{kind} {_name_of([file.where for file in files])}"]
    if region.shows_picture:
        found.append(f"picture {_name_of([file.picture for file in files])}")
    elif region.model_folder is not None:
        found.append(f"model {region.model_folder.name} {(region.model_digest or '')[:12]}")
    found += [f"{what} {words}" for what, words in summarize_conditioning(region.directions).items()]
    found.append(f"strength {region.strength:g}")
    if region.feather_px:
        found.append(f"edge {region.feather_px:g} px")
    if region.missing_mask != "error":
        found.append(f"without a mask {region.missing_mask}")
    return found


def _name_of(files: Sequence[Path | None]) -> str:
    """Name of the one file for all frames, else of the folder of the files."""
    existing = sorted({file for file in files if file is not None})
    if not existing:
        return "missing"
    return existing[0].name if len(existing) == 1 else existing[0].parent.name
