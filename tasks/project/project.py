"""A project of the user's own: git, DVC, settings and folders, apart from the tool's clone; and its upkeep."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from stylegan_core.config import Params, load_params
from stylegan_core.inference.conditioning.edit_vocabulary import OWN as OWN_VOCABULARY
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER
from stylegan_core.stylize_settings import style_image_path
from tasks.project.code import code_digest
from tasks.project.params_file import example_params
from tasks.shared.errors import UsageError
from tasks.shared.versioning import STAGES, VersioningError, commit_all, committed_text, start_repository

CODE_FOLDER = ".stylereel-code"
"""Folder of an ``init`` project with the digest of the code of each stage: there the tool is an installed package."""

_BLOCKS = ("inputs", "recipes", "stylize.input")
"""Lists in dvc.yaml that follow params.yaml, each between two comments."""

_DVC_CONFIG = """\
[core]
    analytics = false
    check_update = false
    remote = storage
[cache]
    type = "reflink,copy"
['remote "storage"']
    url = ../../{name}-storage
"""

_DVC_YAML = """\
# The only DAG. Each stage runs the flow of its name and reads the section of its name in params.yaml.
# {code}/ holds a digest of the tool's code a stage. `stylereel` commands keep it, and what stands between marks
# below, up to date; `stylereel sync` does before a `dvc repro` by hand.
stages:
  prepare:
    cmd: python -m flows.prepare
    deps:
      - {code}/prepare.txt
      # inputs: kept by `stylereel sync`
      # end of inputs
    params: [prepare, shots]
    outs: [data/prepared]
  train:
    cmd: python -m flows.train
    deps: [{code}/train.txt, data/prepared]
    params:
      - shots
      - train.recipe
      - train.common
      - train.${{train.recipe}}
      # recipes: kept by `stylereel sync`
      # end of recipes
    outs: [models]
    plots:
      - reports/train: {{x: step, title: Losses and validation}}
  evaluate:
    cmd: python -m flows.evaluate
    deps: [{code}/evaluate.txt, data/prepared, models]
    params: [evaluate]
    metrics: [reports/metrics.json]
    plots: [reports/evaluate]
  stylize:
    cmd: python -m flows.stylize
    deps:
      - {code}/stylize.txt
      - data/prepared
      - models
      - reports/evaluate
      - reports/metrics.json
      - reports/train
      # stylize.input: kept by `stylereel sync`
      # end of stylize.input
    params: [stylize]
    outs: [out/stylized, reports/review.html]
"""

_GITIGNORE = """\
/plates/
/painted/
/data/
/models/
/out/
/reports/
/mlflow.db*
/mlruns/
/mlartifacts/
/.stylereel/
"""

_README = """\
# {name}

A stylereel project. Put the frames of a shot in `plates/my_shot`, paint one or a few of them into `painted/my_shot`
(any format, the same frame numbers), name your shots in `params.yaml`, and run

    stylereel stylize

The result is in `out/stylized`, the review page in `reports/review.html`. `stylereel --help` lists the rest.
Commit params.yaml, dvc.yaml and dvc.lock: they name every version of data and models. `dvc push` copies those to
`../{name}-storage`; `dvc remote modify storage url ...` names another place.

git ignores the pictures. Before this project is cloned, for the schedule or another machine, put them under DVC, and
again whenever they change; `dvc pull plates.dvc painted.dvc` brings them to the clone:

    dvc add plates painted && git add plates.dvc painted.dvc && git commit -m "Add the pictures" && dvc push
"""

_PREFECT_YAML = """\
# git ignores the pictures, DVC carries them to clones. Before cloning, and whenever they change, in this folder:
#   dvc add plates painted && git add plates.dvc painted.dvc && git commit -m "Add the pictures" && dvc push
# Then, in a clone that is the schedule's own:
#   dvc pull plates.dvc painted.dvc
#   prefect work-pool create stylereel --type process
#   prefect --no-prompt deploy --all
#   prefect worker start --pool stylereel --limit 1
name: {name}
deployments:
  - name: nightly-training
    entrypoint: flows.pipeline.pipeline
    parameters: {{scheduled: true, push: true}}
    schedules: [{{cron: "0 2 * * *", timezone: UTC, active: true}}]
    concurrency_limit: {{limit: 1, collision_strategy: ENQUEUE}}
    work_pool: {{name: stylereel}}
"""


def init_project(folder: Path) -> Path:
    """Makes a project in ``folder``: git + DVC + params.yaml + folders, and a first commit.

    Args:
        folder: new, or with pictures in it already; a project or its parts must not be there yet.

    Returns:
        The folder, absolute.

    Raises:
        UsageError: a project is there already, or the folder lies in another one.
    """
    folder = folder.expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder for the project")
    for taken in ("params.yaml", "dvc.yaml", ".dvc", "dvc.lock"):
        if (folder / taken).exists():
            raise UsageError(f"{folder} has a {taken} already: choose another folder, or work in this project")
    if outer := next((p for p in folder.parents if (p / ".dvc").is_dir()), None):
        raise UsageError(f"{folder} lies inside the project {outer}: choose a folder outside of it")
    for name in ("plates/my_shot", "painted/my_shot"):
        if not (folder / name).parent.exists():
            (folder / name).mkdir(parents=True)
    files = {
        "params.yaml": example_params(),
        "dvc.yaml": _DVC_YAML.format(code=CODE_FOLDER),
        "prefect.yaml": _PREFECT_YAML.format(name=folder.name),
        "README.md": _README.format(name=folder.name),
        ".gitignore": _GITIGNORE,
        ".dvcignore": f"{STATE_FOLDER}\n",
        ".dvc/config": _DVC_CONFIG.format(name=folder.name),
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    }
    for name, text in files.items():
        if not (folder / name).exists():
            write_bytes_atomically(folder / name, text.encode())
    configure(folder)
    sync(folder)
    start_repository(folder)
    try:
        commit_all(folder, "Start a stylereel project", sorted([*files, CODE_FOLDER]))
    except VersioningError as error:
        raise UsageError(f"the project is made, but git could not commit it: {error}") from error
    return folder


def configure(root: Path) -> None:
    """Settings of this checkout alone: DVC's index of the file system lies in it, not in a folder shared by all users.

    The path must be absolute (DVC resolves it against the working folder), so it cannot be committed.
    """
    local = root / ".dvc" / "config.local"
    if (root / ".dvc").is_dir() and not local.exists():
        place = (root / ".dvc" / "tmp" / "site").absolute()
        write_bytes_atomically(local, f"[core]\n    site_cache_dir = {place}\n".encode())


def sync(root: Path) -> list[str]:
    """Brings the marked lists in dvc.yaml up to date, and in an ``init`` project the digests of the tool's code.

    Returns:
        The files that changed, relative to ``root``.

    Raises:
        UsageError: a training is to start from a model that DVC removes before.
    """
    if not (root / "dvc.yaml").is_file():
        return []
    text = (root / "dvc.yaml").read_text(encoding="utf-8")
    # In the tool's own clone stages depend on the code itself.
    stages = STAGES if f"{CODE_FOLDER}/" in text else ()
    wanted = {f"{CODE_FOLDER}/{stage}.txt": f"{code_digest(stage)}\n".encode() for stage in stages}
    if any(_block(name).search(text) for name in _BLOCKS):
        params = load_params(root / "params.yaml")
        _refuse_emptied_models(params, root)
        wanted["dvc.yaml"] = _with_blocks(text, _listed(params, root)).encode()
    changed = [
        name for name, data in wanted.items() if not (root / name).is_file() or (root / name).read_bytes() != data
    ]
    for name in changed:
        write_bytes_atomically(root / name, wanted[name])
    return changed


def kept_by_sync(root: Path, path: str) -> bool:
    """Whether a file that differs from the commit differs only in what ``sync`` writes.

    Args:
        root: the project.
        path: relative to ``root``.
    """
    if path in {f"{CODE_FOLDER}/{stage}.txt" for stage in STAGES}:
        return True
    if path != "dvc.yaml" or not (root / path).is_file():
        return False
    none: dict[str, list[str]] = {name: [] for name in _BLOCKS}
    now = (root / path).read_text(encoding="utf-8")
    return _with_blocks(now, none) == _with_blocks(committed_text(root, path), none)


def _block(name: str) -> re.Pattern[str]:
    """Finds a marked list: its indent, its first line and its last."""
    mark = re.escape(name)
    return re.compile(rf"^( *)(# {mark}: kept by .*\n)(?:.*\n)*?( *# end of {mark})$", re.MULTILINE)


def _with_blocks(text: str, listed: dict[str, list[str]]) -> str:
    """dvc.yaml with other entries between the marks; a list whose marks the user removed is the user's."""
    for name, entries in listed.items():
        if found := _block(name).search(text):
            lines = "".join(f'{found[1]}- "{entry}"\n' for entry in entries)
            text = f"{text[: found.start()]}{found[1]}{found[2]}{lines}{found[3]}{text[found.end() :]}"
    return text


def _refuse_emptied_models(params: Params, root: Path) -> None:
    """DVC empties models/ before the stage train runs: to find out there would cost the user what it holds."""
    for named in filter(None, (training.settings.common.init_from for training in params.trainings())):
        folder = Path(os.path.normpath(root.absolute() / Path(named).expanduser()))
        if folder.is_relative_to(root.absolute() / "models"):
            raise UsageError(
                f"train.common.init_from is {named}, and DVC empties models/ before it trains: name the model by its "
                f"digest{_digest_in_words(folder)}"
            )


def _digest_in_words(model: Path) -> str:
    from stylegan_core.recipes.model import ModelError, read_card

    try:
        return f", {read_card(model).digest[:12]}"
    except ModelError:
        return ", which `stylereel whence` knows"


def _listed(params: Params, root: Path) -> dict[str, list[str]]:
    """Entries of each marked list."""
    used = {training.settings.recipe for training in params.trainings()} - {params.train().recipe}
    return {
        "inputs": input_paths(params, root),
        # A section that is left out has its defaults; dvc refuses params that are not there.
        "recipes": sorted(f"train.{recipe}" for recipe in used if recipe in params.train_section),
        "stylize.input": _places(_named_by_stylize(params, root), root),
    }


def is_project_apart(root: Path) -> bool:
    """Whether ``root`` is an ``init`` project, with the tool installed elsewhere."""
    return (root / CODE_FOLDER).is_dir()


def stale_code(root: Path) -> list[str]:
    """Stages whose code changed since `stylereel` wrote their digests; always none in the tool's clone."""
    if not is_project_apart(root):
        return []
    written = {stage: root / CODE_FOLDER / f"{stage}.txt" for stage in STAGES}
    return [s for s, path in written.items() if not path.is_file() or path.read_text().strip() != code_digest(s)]


def input_paths(params: Params, root: Path) -> list[str]:
    """Folders and files that prepare reads, relative to ``root`` where they are inside, without those inside others."""
    return _places(_named_inputs(params), root)


def _places(paths: Iterable[Path], root: Path) -> list[str]:
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


def _named_by_stylize(params: Params, root: Path) -> Iterator[Path]:
    """What the stage reads beside what other stages make: its input, references, files of regions, own vocabulary."""
    asked = params.stylize
    yield from (asked.input,) if asked.input else ()
    if asked.style_bank:
        yield asked.style_bank
    else:
        yield from map(style_image_path, asked.style_images)
    yield from asked.named_files()
    for region in asked.regions:
        yield from region.files()
        if region.model and (root / region.model).is_dir() and Path(region.model).parts[0] != "models":
            yield Path(region.model)
    if (root / OWN_VOCABULARY).is_file() and (asked.edit or any(region.edit for region in asked.regions)):
        yield OWN_VOCABULARY


def _named_inputs(params: Params) -> Iterator[Path]:
    if params.prepare.ocio is not None and "://" not in params.prepare.ocio:
        yield Path(params.prepare.ocio)
    if params.prepare.source not in ("sample", "shots"):
        named = (params.prepare.content, params.prepare.style, params.prepare.labels)
        yield from (p for p in named if p is not None)
    if params.prepare.source == "shots":
        for shot in params.shots:
            yield from (p for p in (shot.plates, shot.painted, shot.masks, shot.truth, shot.motion) if p is not None)
            yield from (side for pair in shot.pairs for side in (pair.content, pair.style))
