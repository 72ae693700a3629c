"""Which run made what, asked from either end: frame, model, MLflow run, Prefect flow run, dvc.lock and commit.

Frames know their model by the records of stylize and by what they say themselves in their metadata, models their MLflow
run by the digest that it is tagged with, and that run its commit, data version and flow run. Each pipeline run also
leaves a file in .stylereel/lineage/, since a model or frame that DVC took from its cache was made by an earlier run
than the one that delivered it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.provenance.c2pa import SigningError, read_manifest
from stylegan_core.frames.provenance.stamp import read_stamp
from stylegan_core.inference.delivery.movie import recorded_movie
from stylegan_core.inference.job.movie_paths import frames_folder
from stylegan_core.inference.job.spec import PlanError, read_job
from stylegan_core.inference.job.summary import summarize
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.cache import cache_folder
from stylegan_core.storage.frame_record import FrameRecord
from stylegan_core.storage.hashing import sha256_of
from stylegan_core.storage.model_folder import MODEL_CARD, read_model_digest
from stylegan_core.storage.records import newest_by_frame, read_records
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.shared import registry, tracking
from tasks.shared.errors import UsageError
from tasks.shared.origin import origin
from tasks.shared.versioning import lock_digest

LINEAGE_FOLDER = Path(STATE_FOLDER) / "lineage"


@dataclass
class Trail:
    """What belongs together.

    Attributes:
        asked: what was asked for.
        models: digests, each with what MLflow and models/ know of it.
        flow_runs: ids of the flow runs that made or delivered it.
        commits: git commits that it was made from.
        frames: how many frames it concerns, and some of them.
        jobs: what was asked for where they were made: strength, references, edits and regions, by the job's digest.
        says: what the file's own metadata says of its making.
        signature: "Valid" or "Invalid" where the file is signed (C2PA), "Trusted" where its signer is known too.
        note: what is not certain about it; empty where records say all.
    """

    asked: str
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    flow_runs: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    frames: list[dict[str, str]] = field(default_factory=list)
    jobs: dict[str, dict[str, str]] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)
    signature: str = ""
    note: str = ""


def models_here(root: Path) -> dict[str, str]:
    """Digest of each model in models/, by the name of its training."""
    folders = sorted(card.parent for card in (root / "models").glob(f"*/{MODEL_CARD}"))
    return {folder.name: digest for folder in folders if (digest := read_model_digest(folder)) is not None}


def link_run(root: Path, run_id: str | None, *, gate: str = "") -> dict[str, object]:
    """Writes down what a pipeline run delivered, and tags the MLflow runs of its models with its id.

    Args:
        root: the project.
        run_id: of the flow run; None where no server is.
        gate: what the promotion gate said.

    Returns:
        What was written to .stylereel/lineage/.
    """
    models = {
        name: {"digest": digest, "mlflow_run": tracking.find_run_by_digest(digest) or ""}
        for name, digest in models_here(root).items()
    }
    link: dict[str, object] = {
        **origin(),
        "flow_run_id": run_id or "",
        "dvc_lock": lock_digest(root) or "",
        "models": models,
        "gate": gate,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    name = run_id or time.strftime("by-hand-%Y%m%d-%H%M%S", time.gmtime())
    write_bytes_atomically(root / LINEAGE_FOLDER / f"{name}.json", json.dumps(link, indent=1, sort_keys=True).encode())
    for model in models.values():
        if model["mlflow_run"] and run_id:
            earlier = (tracking.run_tags(model["mlflow_run"]) or {}).get("delivered_by", "")
            delivered = " ".join(dict.fromkeys([*earlier.split(), run_id]))
            tags = {"delivered_by": delivered, "delivered_lock": str(link["dvc_lock"])}
            tracking.log_results(model["mlflow_run"], tags=tags)
    return link


def mark_promoted(root: Path) -> None:
    """Moves the registry's alias "promoted" to the models that are in models/ now."""
    for name, digest in models_here(root).items():
        registry.set_alias(name, digest, "promoted")


def whence(root: Path, asked: str, *, output: Path | None = None) -> Trail:
    """Follows the links from whatever is asked for.

    Args:
        root: the project.
        asked: a frame, a model folder, or an id or its first digits: of a model (digest), an MLflow run, a flow run
            or a commit.
        output: an output folder of ``stylereel stylize INPUT OUTPUT`` whose records are looked through too.

    Raises:
        UsageError: nothing is known of it.
    """
    trail = Trail(asked)
    path = Path(asked)
    if path.is_file():
        _from_frame(root, path, trail)
    else:
        digest = read_model_digest(path)
        _from_id(root, digest or asked, output, trail)
    for digest in list(trail.models):
        _describe_model(root, digest, trail)
    for link in _links(root):
        delivered = {model["digest"] for model in link["models"].values()}
        if delivered & set(trail.models) or (link["flow_run_id"] and link["flow_run_id"].startswith(asked)):
            _note(trail.flow_runs, link["flow_run_id"])
            _note(trail.commits, link.get("git_commit", ""))
    if not (trail.models or trail.flow_runs or trail.frames or trail.note):
        raise UsageError(
            f"nothing is known of {asked!r}: give a stylized frame, a model folder, or the first digits of a model's "
            "digest, an MLflow run, a flow run or a commit"
        )
    return trail


def _from_frame(root: Path, path: Path, trail: Trail) -> None:
    trail.says, trail.signature = read_facts(path)
    sha256 = sha256_of(path)
    for folder, record in _records(path, root):
        if record.made.sha256 == sha256:
            _take_record(folder, record, trail)
            return
    if _from_movie(path, sha256, trail):
        return
    if model := trail.says.get("model"):
        trail.note = f"no record here knows {path} as it is now: this is what the file itself says, as it was made"
        trail.models[model] = {n: trail.says[n] for n in ("recipe", "mlflow_run", "data") if n in trail.says}
        _note(trail.commits, trail.says.get("commit", ""))
        return
    try:
        shot = path.resolve().relative_to((root / "out" / "stylized").resolve()).parts[0]
    except ValueError:
        raise UsageError(f"no record knows {path} as it is now: it was changed, or stylereel did not make it") from None
    # Records stay on the machine that made the frames: after `dvc pull` there are none. The place is only a hint.
    trail.note = f"no record knows {path} as it is now: it was changed, or made on another machine"
    models = models_here(root)
    digest = models.get(shot) or models.get("all")
    if digest:
        trail.note += f". Inferred from its place alone: it belongs to the shot {shot}, which this model stylizes"
        trail.models[digest] = {"inferred": "from the frame's place"}


def _from_movie(path: Path, sha256: str, trail: Trail) -> bool:
    """By the frames that a movie was put together from, which lie beside it."""
    folder = frames_folder(path)
    movie = recorded_movie(folder / STATE_FOLDER)
    if movie is None or movie[1].sha256 != sha256:
        return False
    for record in newest_by_frame(read_records(folder)).values():
        _take_record(folder, record, trail)
    return bool(trail.frames)


def read_facts(path: Path) -> tuple[dict[str, str], str]:
    """What a picture or movie says of its making, in its metadata or in a C2PA manifest, and the signature's state.

    Args:
        path: a file that is there.
    """
    signed: dict[str, str] = {}
    state = ""
    with suppress(SigningError):  # the library is an extra
        signed, state = read_manifest(path)
    try:
        return read_stamp(path) or signed, state
    except UnreadablePictureError:
        return signed, state


def _from_id(root: Path, asked: str, output: Path | None, trail: Trail) -> None:
    for run in registry.find_runs(asked):
        made = registry.model_digests(run["tags"])
        for digest in [d for d in made if d.startswith(asked)] or made:
            trail.models.setdefault(digest, {})
    for digest in models_here(root).values():
        if digest.startswith(asked):
            trail.models.setdefault(digest, {})
    for link in _links(root):
        if link["flow_run_id"].startswith(asked) or link.get("git_commit", "").startswith(asked):
            for model in link["models"].values():
                trail.models.setdefault(model["digest"], {})
    for folder in [*([output] if output else []), *_stage_folders()]:
        for record in read_records(folder):
            ids = (record.model, record.context.get("flow_run_id", ""), record.context.get("git_commit", ""))
            if any(i and i.startswith(asked) for i in ids) or record.model in trail.models:
                _take_record(folder, record, trail)


def _take_record(folder: Path, record: FrameRecord, trail: Trail) -> None:
    trail.models.setdefault(record.model, {})
    trail.frames.append({"frame": record.frame, "sha256": record.made.sha256, "job": record.job})
    _note(trail.flow_runs, record.context.get("flow_run_id", ""))
    _note(trail.commits, record.context.get("git_commit", ""))
    if record.job not in trail.jobs:
        try:
            trail.jobs[record.job] = summarize(read_job(folder / STATE_FOLDER / f"job-{record.job}.json"))
        except (PlanError, OSError):  # it was deleted, or another version wrote it
            trail.jobs[record.job] = {}


def _describe_model(root: Path, digest: str, trail: Trail) -> None:
    about = trail.models[digest]
    for name, present in models_here(root).items():
        if present == digest:
            about["folder"] = f"models/{name}"
    run_id = tracking.find_run_by_digest(digest)
    if run_id is None:
        return
    about["mlflow_run"] = run_id
    tags = tracking.run_tags(run_id) or {}
    told = ("git_commit", "git_dirty", "data", "dvc_lock", "flow_run_id", "delivered_by")
    about.update({k: tags[k] for k in told if k in tags})
    for flow_run in (tags.get("flow_run_id", ""), *tags.get("delivered_by", "").split()):
        _note(trail.flow_runs, flow_run)
    _note(trail.commits, tags.get("git_commit", ""))


def _links(root: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((root / LINEAGE_FOLDER).glob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def _records(frame: Path, root: Path) -> Iterator[tuple[Path, FrameRecord]]:
    """Records that may know the frame, each with its folder: the output that it lies in, then those of the stage."""
    for folder in frame.resolve().parents:
        if (folder / STATE_FOLDER).is_dir():
            yield from ((folder, record) for record in reversed(read_records(folder)))
        if folder == root:
            break
    for folder in _stage_folders():
        yield from ((folder, record) for record in reversed(read_records(folder)))


def _stage_folders() -> list[Path]:
    """Folders in which the stage stylize works before DVC's outputs are filled from them, the newest first."""
    found = {path.parent for path in cache_folder("stylize").glob(f"**/{STATE_FOLDER}") if path.is_dir()}
    return sorted(found, key=lambda folder: folder.stat().st_mtime_ns, reverse=True)


def _note(ids: list[str], new: str) -> None:
    if new and new not in ids:
        ids.append(new)
