"""The promotion gate: compares each new model with the promoted one, shot by shot, and records the decision."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.config import Params, PromoteSettings, Training, load_params
from stylegan_core.storage.cache import cache_folder
from stylegan_core.storage.model_folder import read_model_digest
from tasks.promotion.decision import Decision, EarlierDecision, Outcome, ShotResult, now
from tasks.promotion.evaluation_set import Figures, as_json, evaluation_key, measure, parse_figures, table_figures
from tasks.promotion.paired_change import paired_change
from tasks.promotion.record import record
from tasks.shared import registry
from tasks.shared.errors import UsageError
from tasks.shared.gate import Distance, GateError, read_distances
from tasks.shared.promoted_copy import copy_folder, read_promoted
from tasks.shared.tracking import registered_name

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GateResult:
    """Decisions about all models of a pipeline run.

    Attributes:
        decisions: one a training.
    """

    decisions: tuple[Decision, ...]

    @property
    def passed(self) -> bool:
        """Whether all models are promoted or may be."""
        return all(decision.outcome in ("promoted", "unchanged") for decision in self.decisions)

    def summary(self) -> str:
        """All decisions in one line."""
        return "; ".join(decision.describe() for decision in self.decisions)


@dataclass(frozen=True)
class _Candidate:
    """A model in models/, with what it is compared with."""

    training: Training
    folder: Path
    version: registry.RegisteredVersion
    promoted: registry.RegisteredVersion | None
    evaluation: str
    key: str

    @property
    def name(self) -> str:
        return self.training.name


def run_gate(root: Path, *, max_swd_ratio: float | None = None) -> GateResult:
    """Decides about the models in models/; a refusal is recorded, a promotion is not carried out yet.

    Args:
        root: the project, whose stage evaluate is up to date.
        max_swd_ratio: replaces ``promote.max_swd_ratio``.

    Returns:
        The decisions; not passed if a model was refused before, and nothing that the decision depends on has changed.

    Raises:
        GateError: a model is refused, with the table; or its figures are missing or not finite.
        RegistryError: the registry failed.
    """
    params = load_params(root / "params.yaml")
    settings = params.promote
    if max_swd_ratio is not None:
        settings = settings.model_copy(update={"max_swd_ratio": max_swd_ratio})
    candidates = [_candidate(training, params, settings, root) for training in params.trainings()]
    known = {c.name: decision for c in candidates if (decision := _known(c)) is not None}
    undecided = [c for c in candidates if c.name not in known]
    fresh: list[Decision] = []
    if undecided:
        distances = read_distances(root / "reports/metrics.json")
        figures = _all_figures(undecided, params, root)
        fresh = [_decide(c, distances, *figures[c.name], settings) for c in undecided]
    refused = [decision for decision in fresh if decision.outcome == "refused"]
    if barred := [*refused, *(decision for decision in known.values() if decision.outcome != "unchanged")]:
        fresh = [_held(decision, barred) for decision in fresh]
        for candidate, decision in zip(undecided, fresh, strict=True):
            if not _is_recorded(candidate, decision):
                record(root, decision)
    by_name = known | {decision.training: decision for decision in fresh}
    result = GateResult(tuple(by_name[c.name] for c in candidates))
    log.info("promotion gate: %s", result.summary())
    if refused:
        raise GateError("\n\n".join(f"{d.training} is not promoted: {d.reason}\n{d.table()}" for d in refused))
    return result


def _candidate(training: Training, params: Params, settings: PromoteSettings, root: Path) -> _Candidate:
    folder = root / "models" / training.name
    digest = read_model_digest(folder)
    if digest is None:
        raise GateError(f"{folder} holds no model: run `dvc repro evaluate` first")
    version = registry.ensure_registered(training.name, folder, digest)
    promoted = registry.aliased_version(training.name, registry.PROMOTED)
    evaluation = evaluation_key(params, training, root / "data/prepared", root)
    parts = [evaluation, promoted.digest if promoted else "", settings.model_dump(mode="json")]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return _Candidate(training, folder, version, promoted, evaluation, key)


def _known(candidate: _Candidate) -> Decision | None:
    """A decision that needs no comparison; None if the models must be compared."""
    if candidate.promoted is not None and candidate.promoted.digest == candidate.version.digest:
        return _decision(candidate, "unchanged", "it is the promoted model already")
    earlier = EarlierDecision.of_tags(candidate.version.tags)
    if earlier.outcome == "rolled back":
        reason = f"rolled back on {earlier.time}; to use it again, run `stylereel promote {candidate.name}`"
        return _decision(candidate, "rolled back", reason)
    if earlier.outcome == "refused" and earlier.key == candidate.key:
        return _decision(candidate, "refused", f"refused on {earlier.time}, unchanged since: {earlier.reason}")
    return None


def _is_recorded(candidate: _Candidate, decision: Decision) -> bool:
    earlier = EarlierDecision.of_tags(candidate.version.tags)
    return (earlier.outcome, earlier.key) == (decision.outcome, decision.key)


def _all_figures(candidates: list[_Candidate], params: Params, root: Path) -> dict[str, tuple[Figures, Figures | None]]:
    """Figures of each candidate and of its promoted model, from where they are stored, else measured."""
    table, prepared = root / "reports/evaluate/frames.csv", root / "data/prepared"
    stored = {c.name: _stored(c, c.version) for c in candidates}
    new = {c.name: stored[c.name] or table_figures(table, c.training) for c in candidates}
    old = {c.name: _stored(c, c.promoted) for c in candidates if c.promoted is not None}
    unknown = {c.name: c.folder for c in candidates if new[c.name] is None}
    outdated = {c.name: _promoted_folder(c, root) for c in candidates if c.name in old and old[c.name] is None}
    if unknown or outdated:
        from stylegan_core.threads import use_threads

        use_threads()
        log.info("measuring %d models for the comparison", len(unknown) + len(outdated))
        new |= measure(params, prepared, unknown, root)
        try:
            old |= measure(params, prepared, outdated, root)
        except UsageError as error:  # it may be of a recipe that this version does not know
            names = ", ".join(outdated)
            raise GateError(
                f"the promoted model of {names} cannot be measured: {error}; `stylereel promote TRAINING` promotes the "
                "new one without a comparison"
            ) from error
    for c in candidates:
        if stored[c.name] is None:
            _store(c, c.version, new[c.name])
        if c.promoted is not None and c.name in outdated:
            _store(c, c.promoted, old[c.name])
    return {c.name: (new[c.name] or {}, old.get(c.name)) for c in candidates}


def _promoted_folder(candidate: _Candidate, root: Path) -> Path:
    assert candidate.promoted is not None
    local = read_promoted(root, candidate.name)
    if local is not None and local.digest == candidate.promoted.digest:
        return copy_folder(root, candidate.name, local.digest)
    uri = f"models:/{registered_name(candidate.name)}/{candidate.promoted.number}"
    return registry.fetch_model(uri, cache_folder("registry"))


def _figures_file(candidate: _Candidate) -> str:
    return f"figures-{candidate.evaluation[:16]}.json"


def _stored(candidate: _Candidate, version: registry.RegisteredVersion | None) -> Figures | None:
    return None if version is None else parse_figures(registry.read_annotation(version, _figures_file(candidate)))


def _store(candidate: _Candidate, version: registry.RegisteredVersion, figures: Figures | None) -> None:
    if figures:
        files = {_figures_file(candidate): as_json(figures)}
        registry.annotate_version(candidate.name, version.digest, files=files)


def _decide(
    candidate: _Candidate,
    distances: dict[str, Distance],
    new: Figures,
    old: Figures | None,
    settings: PromoteSettings,
) -> Decision:
    own = {n: d for n, d in distances.items() if not n or not candidate.training.shots or n in candidate.training.shots}
    if not own:
        raise GateError(f"reports/metrics.json has no distance to the style for {candidate.name}: cannot decide")
    shots = tuple(_compare(subject, new, old or {}, settings) for subject in sorted(new))
    decision = _decision(candidate, "promoted", "", shots)
    if faults := _faults(shots, own, settings):
        return decision.model_copy(update={"outcome": "refused", "reason": "; ".join(faults)})
    return decision.model_copy(update={"reason": _why_accepted(shots, own, settings)})


def _faults(shots: tuple[ShotResult, ...], own: dict[str, Distance], settings: PromoteSettings) -> list[str]:
    """Why a model is refused; empty if it is good enough."""
    far = [
        _in_shot(name) + d.describe(settings.max_swd_ratio)
        for name, d in sorted(own.items())
        if not d.within(settings.max_swd_ratio)
    ]
    worse = [
        f"{_in_shot(shot.subject)}{shot.metric} changes by {shot.interval()}"
        for shot in shots
        if shot.verdict == "worse"
    ]
    if worse:
        worse[0] = f"worse than the promoted model by more than {100 * settings.margin:g} %: {worse[0]}"
    return far + worse


def _compare(subject: str, new: Figures, old: Figures, settings: PromoteSettings) -> ShotResult:
    ours, theirs = new[subject], old.get(subject)
    both = [] if theirs is None or theirs.metric != ours.metric else sorted(ours.values.keys() & theirs.values.keys())
    if theirs is None or not both:
        values = list(ours.values.values())
        mean = sum(values) / len(values)
        return ShotResult(subject=subject, metric=ours.metric, frames=len(values), candidate=mean)
    pairs = [(ours.values[name], theirs.values[name]) for name in both]
    sampling = settings.model_dump(include={"confidence", "resamples", "seed"})
    change = paired_change([a for a, _ in pairs], [b for _, b in pairs], **sampling)
    return ShotResult.of(subject, ours.metric, pairs, change, settings.margin)


def _why_accepted(shots: tuple[ShotResult, ...], own: dict[str, Distance], settings: PromoteSettings) -> str:
    verdicts = [shot.verdict for shot in shots if shot.verdict]
    if not verdicts:
        reasons = [_in_shot(name) + d.describe(settings.max_swd_ratio) for name, d in sorted(own.items())]
        return "there is no promoted model yet; " + "; ".join(reasons)
    counted = ", ".join(f"{verdict} in {verdicts.count(verdict)}" for verdict in dict.fromkeys(verdicts))
    return f"compared with the promoted model, by shot: {counted}"


def _in_shot(name: str) -> str:
    return f"in {name}, " if name else ""


def _held(decision: Decision, refused: list[Decision]) -> Decision:
    if decision.outcome != "promoted":
        return decision
    names = ", ".join(d.training for d in refused)
    reason = f"good enough ({decision.reason}), but {names} is not; `stylereel promote {decision.training}` promotes it"
    return decision.model_copy(update={"outcome": "held", "reason": reason})


def _decision(candidate: _Candidate, outcome: Outcome, reason: str, shots: tuple[ShotResult, ...] = ()) -> Decision:
    return Decision(
        training=candidate.name,
        outcome=outcome,
        reason=reason,
        digest=candidate.version.digest,
        compared_with=candidate.promoted.digest if candidate.promoted else "",
        time=now(),
        evaluation=candidate.evaluation,
        key=candidate.key,
        shots=shots,
    )
