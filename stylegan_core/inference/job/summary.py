"""What was asked of a job, in words: for reports, the review page and whoever asks where a frame came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stylegan_core.inference.job.frame_settings import Conditioning, Region
from stylegan_core.inference.job.spec import Job


def summarize(job: Job) -> dict[str, str]:
    """Strength, directions and regions by what they are called; what was not asked for is left out.

    Files are named without their folders, so that the same wish reads the same on every machine.
    """
    settings = job.settings
    told = {"strength": f"{settings.strength:g}"} | summarize_conditioning(settings.directions)
    if own := {frame.strength for frame in job.frames if frame.strength is not None}:
        told["strength"] = f"{min(own):g} to {max(own):g}, by a curve"
    if settings.keep_source_colour:
        told["colour"] = "the source's"
    if settings.blend_frames:
        frames = "1 frame" if settings.blend_frames == 1 else f"{settings.blend_frames} frames"
        told["blend"] = f"{frames} to each side, weight {settings.blend_weight:g}"
    for index, region in enumerate(settings.regions):
        told[f"region {index + 1}"] = ", ".join(_region(job, index, region))
    if settings.regions:
        told["elsewhere"] = "the source" if settings.outside_regions == "source" else "as the model makes it"
    return told


def summarize_conditioning(directions: Conditioning, weights: Sequence[float] | None = None) -> dict[str, str]:
    """References, edit and direction; what was not asked for is left out.

    Args:
        directions: of a job or a region.
        weights: of the references, where a frame has its own.
    """
    shares = weights if weights is not None else [style.weight for style in directions.styles]
    names = [style.name or style.path.name for style in directions.styles]
    styles = [(name, f"{share:.3g}") for name, share in zip(names, shares, strict=True)]
    told = {
        "references": styles[0][0] if len(styles) == 1 else ", ".join(f"{name} {weight}" for name, weight in styles),
        "edit": ", ".join(f"{name} {change:+g}" for name, change in directions.edit.items()),
        "direction": "" if directions.direction == "forward" else directions.direction,
    }
    if any(style.name for style in directions.styles):
        told["style bank"] = directions.styles[0].path.name
    return {what: words for what, words in told.items() if words}


def _region(job: Job, index: int, region: Region) -> list[str]:
    files = [frame.regions[index] for frame in job.frames]
    kind = "masks" if region.value is None else f"label {region.value} of"
    told = [f"{kind} {_place([file.where for file in files])}"]
    if region.shows_picture:
        told.append(f"picture {_place([file.picture for file in files])}")
    elif region.model_folder is not None:
        told.append(f"model {region.model_folder.name} {(region.model_digest or '')[:12]}")
    told += [f"{what} {words}" for what, words in summarize_conditioning(region.directions).items()]
    told.append(f"strength {region.strength:g}")
    if region.feather_px:
        told.append(f"edge {region.feather_px:g} px")
    if region.missing_mask != "error":
        told.append(f"without a mask {region.missing_mask}")
    return told


def _place(files: Sequence[Path | None]) -> str:
    """The one file that serves all frames, else the folder of the files."""
    there = sorted({file for file in files if file is not None})
    if not there:
        return "missing"
    return there[0].name if len(there) == 1 else there[0].parent.name
