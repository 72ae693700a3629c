"""Files and folders that the stages read from outside: the pictures of prepare, the inputs of stylize."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from stylegan_core.config import Params, load_params
from stylegan_core.inference.conditioning.edit_vocabulary import OWN as OWN_VOCABULARY
from stylegan_core.stylize_settings import style_image_path
from tasks.shared.errors import UsageError


def input_paths(params: Params, root: Path) -> list[str]:
    """Folders and files that prepare reads; relative to ``root`` if inside it, without those inside other entries."""
    return _project_paths(_prepare_inputs(params), root)


def stylize_paths(params: Params, root: Path) -> list[str]:
    """Further files and folders that the stage stylize reads, in the form of ``input_paths``."""
    return _project_paths(_stylize_inputs(params, root), root)


def refuse_missing_inputs(root: Path) -> None:
    """Refuses a checkout without the pictures of params.yaml, which git ignores: DVC brings them.

    Raises:
        UsageError: paths are missing.
    """
    params = load_params(root / "params.yaml")
    missing = [
        path for path in (*input_paths(params, root), *stylize_paths(params, root)) if not (root / path).exists()
    ]
    if missing:
        some = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise UsageError(
            f"{some}: not in the checkout of scheduled runs, {root}. "
            "git ignores pictures, DVC brings them: in the project, run `dvc add plates painted && "
            'git add plates.dvc painted.dvc && git commit -m "Add the pictures" && dvc push` (with the folders that '
            "params.yaml names)"
        )


def _project_paths(paths: Iterable[Path], root: Path) -> list[str]:
    here = root.absolute()
    found: set[Path] = set()
    for path in paths:
        place = Path(os.path.normpath(here / path.expanduser()))
        # A pattern such as shot.####.png or shot.%04d.png stands for its folder.
        while not place.exists() and any(mark in place.name for mark in "#%@*$") and place != place.parent:
            place = place.parent
        found.add(place)
    outermost = [p for p in found if not any(other in p.parents for other in found)]
    return sorted(p.relative_to(here).as_posix() if p.is_relative_to(here) else p.as_posix() for p in outermost)


def _stylize_inputs(params: Params, root: Path) -> Iterator[Path]:
    """Inputs that no stage makes: frames, references, files of regions, the user's vocabulary."""
    settings = params.stylize
    yield from (settings.input,) if settings.input else ()
    if settings.style_bank:
        yield settings.style_bank
    else:
        yield from map(style_image_path, settings.style_images)
    yield from settings.named_files()
    for region in settings.regions:
        yield from region.files()
        if region.model and (root / region.model).is_dir() and Path(region.model).parts[0] != "models":
            yield Path(region.model)
    if (root / OWN_VOCABULARY).is_file() and (settings.edit or any(region.edit for region in settings.regions)):
        yield OWN_VOCABULARY


def _prepare_inputs(params: Params) -> Iterator[Path]:
    if params.prepare.ocio is not None and "://" not in params.prepare.ocio:
        yield Path(params.prepare.ocio)
    if params.prepare.source not in ("sample", "shots"):
        named = (params.prepare.content, params.prepare.style, params.prepare.labels)
        yield from (p for p in named if p is not None)
    if params.prepare.source == "shots":
        for shot in params.shots:
            yield from (p for p in (shot.plates, shot.painted, shot.masks, shot.truth, shot.motion) if p is not None)
            yield from (side for pair in shot.pairs for side in (pair.content, pair.style))
