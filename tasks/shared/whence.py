"""Lineage queries from either end: frame, model, MLflow run, Prefect flow run, dvc.lock and commit.

A frame leads to its model by the records of stylize or by its own metadata, a model to its MLflow run by the digest
that the run is tagged with, and that run to its commit, data version and flow run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.provenance.c2pa import SigningError, read_manifest
from stylegan_core.frames.provenance.tags import read_provenance_tags
from stylegan_core.inference.delivery.movie_record import read_movie_record
from stylegan_core.inference.job.movie_paths import frames_folder
from stylegan_core.inference.job.spec import PlanError, read_job
from stylegan_core.inference.job.summary import summarize
from stylegan_core.storage.cache import cache_folder
from stylegan_core.storage.frame_record import FrameRecord
from stylegan_core.storage.hashing import sha256_of
from stylegan_core.storage.model_folder import read_model_digest
from stylegan_core.storage.records import newest_by_frame, read_records
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.shared import registry, tracking
from tasks.shared.errors import UsageError
from tasks.shared.lineage import model_digests, read_links
from tasks.shared.pulled_results import Results, models_of, results_of, results_with
from tasks.shared.versioning import project_root

_RUN_TAGS = ("git_commit", "git_dirty", "data", "dvc_lock", "flow_run_id", "delivered_by")


@dataclass(frozen=True)
class TrailFrame:
    """A frame and what it is recorded with.

    Attributes:
        frame: its name in the output folder.
        sha256: of the file.
        job: first 16 digits of the job's digest.
    """

    frame: str
    sha256: str
    job: str


@dataclass(frozen=True)
class Trail:
    """Everything that belongs to what was searched for.

    Attributes:
        query: a file, a folder or the first digits of an id.
        models: digests, each with what MLflow and models/ know of it, by name.
        flow_runs: ids of the flow runs that made or delivered it.
        commits: git commits that it was made from.
        frames: all frames that belong to it.
        jobs: strength, references, edits and regions of the frames' jobs, by the job's digest.
        metadata: provenance in the file's own metadata.
        results: commit, dvc_lock and prepared (DVC's digest of the data) of the results that DVC has this file from.
        signature: "Valid" or "Invalid" if the file is signed (C2PA), "Trusted" if its signer is known too.
        note: what is uncertain; empty if the records answer everything.
    """

    query: str
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    flow_runs: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    frames: list[TrailFrame] = field(default_factory=list)
    jobs: dict[str, dict[str, str]] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    signature: str = ""
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON, under the names of its format."""
        values = asdict(self)
        return {{"query": "asked", "metadata": "says"}.get(name, name): value for name, value in values.items()}


def whence(root: Path, query: str, *, output: Path | None = None) -> Trail:
    """Follows the links from a file, a model folder or an id.

    Args:
        root: the project.
        query: a frame, a model folder, or an id or its first digits: of a model (digest), an MLflow run, a flow run
            or a commit.
        output: an output folder of ``stylereel stylize INPUT OUTPUT`` whose records are searched too.

    Raises:
        UsageError: nothing is known about it.
    """
    path = Path(query)
    if path.is_file():
        trail = _from_file(root, path, query)
    else:
        trail = Trail(query)
        start = read_model_digest(path) or query
        _add_models(root, start, trail)
        _add_records(start, output, trail)
        if not trail.models:  # made on another machine, perhaps
            _add_results_of(root, start, trail)
    for digest in list(trail.models):
        _describe_model(root, digest, trail)
    for link in read_links(root):
        delivered = {model.digest for model in link.models.values()}
        if delivered & set(trail.models) or (link.flow_run_id and link.flow_run_id.startswith(query)):
            _add(trail.flow_runs, link.flow_run_id)
            _add(trail.commits, link.git_commit or "")
    if not (trail.models or trail.flow_runs or trail.frames or trail.note):
        raise UsageError(
            f"nothing is known about {query!r}: give a stylized frame, a model folder, or the first digits of a "
            "model's digest, an MLflow run, a flow run or a commit"
        )
    return trail


def read_provenance(path: Path) -> tuple[dict[str, str], str]:
    """Provenance in the metadata or the C2PA manifest of a picture or movie, and the state of the signature.

    Args:
        path: an existing file.
    """
    signed: dict[str, str] = {}
    state = ""
    with suppress(SigningError):  # the library is an extra
        signed, state = read_manifest(path)
    try:
        return read_provenance_tags(path) or signed, state
    except UnreadablePictureError:
        return signed, state


def _from_file(root: Path, path: Path, query: str) -> Trail:
    metadata, signature = read_provenance(path)
    sha256 = sha256_of(path)
    trail = Trail(query, metadata=metadata, signature=signature)
    for folder, record in _records(path, root):
        if record.made.sha256 == sha256:
            _add_record(folder, record, trail)
            return trail
    if _add_frames_of_movie(path, sha256, trail):
        return trail
    if model := metadata.get("model"):
        names: tuple[str, ...] = ("recipe", "mlflow_run", "data")
        facts = {name: metadata[name] for name in names if name in metadata}
        note = f"no record here matches {path}; this is what the file's own metadata says"
        commits = [metadata["commit"]] if metadata.get("commit") else []
        trail = Trail(query, {model: facts}, commits=commits, metadata=metadata, signature=signature)
        return trail if _from_results(path, trail) else replace(trail, note=note)
    return trail if _from_results(path, trail) else _from_place(root, path, trail)


def _from_results(path: Path, trail: Trail) -> bool:
    """Adds what dvc.lock's history knows of a file; False: no commit names it."""
    checkout = project_root(path.parent)
    found = results_with(checkout, path)
    if found is None:
        return False
    _add_results(checkout, found, trail)
    return True


def _add_results_of(root: Path, start: str, trail: Trail) -> None:
    """Adds the oldest results whose commit, flow run or source commit begins with ``start``."""
    found = [results for results in results_of(root) if results.begins(start)]
    if found:
        _add_results(root, found[-1], trail)


def _add_results(root: Path, found: Results, trail: Trail) -> None:
    for training, digest in models_of(root, found).items():
        trail.models.setdefault(digest, {}).setdefault("training", training)
    _add(trail.flow_runs, found.flow_run)
    _add(trail.commits, found.source_commit or found.commit)
    trail.results.update(commit=found.commit, dvc_lock=found.lock_digest)
    if prepared := found.outs().get("data/prepared"):
        trail.results["prepared"] = prepared


def _from_place(root: Path, path: Path, trail: Trail) -> Trail:
    """By the shot's folder in out/stylized: after `dvc pull` there are no records, which stay on their machine."""
    note = f"no record matches {path}: the file was changed, or made on another machine"
    try:
        shot = path.resolve().relative_to((root / "out" / "stylized").resolve()).parts[0]
    except ValueError:
        raise UsageError(f"no record matches {path}: the file was changed, or stylereel did not make it") from None
    models = model_digests(root)
    found = {}
    if digest := models.get(shot) or models.get("all"):
        note += f". Inferred from its folder: this model stylizes the shot {shot}"
        found = {digest: {"inferred": "from the frame's place"}}
    return Trail(trail.query, found, metadata=trail.metadata, signature=trail.signature, note=note)


def _add_frames_of_movie(path: Path, sha256: str, trail: Trail) -> bool:
    """Adds the frames that a movie was assembled from, which are in a folder next to it."""
    folder = frames_folder(path)
    movie = read_movie_record(folder / STATE_FOLDER)
    if movie is None or movie.made.sha256 != sha256:
        return False
    for record in newest_by_frame(read_records(folder)).values():
        _add_record(folder, record, trail)
    return bool(trail.frames)


def _add_models(root: Path, start: str, trail: Trail) -> None:
    for run in registry.find_runs(start):
        made = registry.model_digests(run.tags)
        for digest in [d for d in made if d.startswith(start)] or made:
            trail.models.setdefault(digest, {})
    for digest in model_digests(root).values():
        if digest.startswith(start):
            trail.models.setdefault(digest, {})
    for link in read_links(root):
        if link.flow_run_id.startswith(start) or (link.git_commit or "").startswith(start):
            for model in link.models.values():
                trail.models.setdefault(model.digest, {})


def _add_records(start: str, output: Path | None, trail: Trail) -> None:
    for folder in [*([output] if output else []), *_stage_folders()]:
        for record in read_records(folder):
            if record.model in trail.models or _is_of(record, start):
                _add_record(folder, record, trail)


def _is_of(record: FrameRecord, start: str) -> bool:
    ids = (record.model, record.context.get("flow_run_id", ""), record.context.get("git_commit", ""))
    return any(i and i.startswith(start) for i in ids)


def _add_record(folder: Path, record: FrameRecord, trail: Trail) -> None:
    trail.models.setdefault(record.model, {})
    trail.frames.append(TrailFrame(record.frame, record.made.sha256, record.job))
    _add(trail.flow_runs, record.context.get("flow_run_id", ""))
    _add(trail.commits, record.context.get("git_commit", ""))
    if record.job not in trail.jobs:
        try:
            trail.jobs[record.job] = summarize(read_job(folder / STATE_FOLDER / f"job-{record.job}.json"))
        except (PlanError, OSError):  # it was deleted, or another version wrote it
            trail.jobs[record.job] = {}


def _describe_model(root: Path, digest: str, trail: Trail) -> None:
    facts = trail.models[digest]
    for name, present in model_digests(root).items():
        if present == digest:
            facts["folder"] = f"models/{name}"
    run_id = tracking.find_run_by_digest(digest)
    if run_id is None:
        return
    facts["mlflow_run"] = run_id
    tags = tracking.run_tags(run_id) or {}
    facts.update({name: tags[name] for name in _RUN_TAGS if name in tags})
    for flow_run in (tags.get("flow_run_id", ""), *tags.get("delivered_by", "").split()):
        _add(trail.flow_runs, flow_run)
    _add(trail.commits, tags.get("git_commit", ""))


def _records(frame: Path, root: Path) -> Iterator[tuple[Path, FrameRecord]]:
    """Records that may match the frame, each with its folder: those of its own folders, then those of the stage."""
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


def _add(ids: list[str], new: str) -> None:
    if new and new not in ids:
        ids.append(new)
