"""Experiments: the settings that differ between them, and what evaluate measured, from `dvc exp show --json`.

DVC has no setting for the columns of `dvc exp show`: it lists all of params.yaml, whatever the stages depend on, and
each file of code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stylegan_core.report.figures import SUBJECTS

MOST_COLUMNS = 30
_FIXED = ("experiment", "created")


@dataclass(frozen=True)
class Experiment:
    """A row: the workspace, a commit or an experiment.

    Attributes:
        name: of the experiment, else of the branch or commit; indented if it belongs to the commit above.
        created: date and time; empty for the workspace.
        settings: values of params.yaml by dotted names.
        metrics: values by names.
    """

    name: str
    created: str
    settings: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """The table of experiments.

    Attributes:
        columns: headings; settings have their dotted names.
        rows: a text for each column.
        omitted: names of the settings that differ, and of the metrics, that have no column.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    omitted: tuple[str, ...]


def parse_experiments(shown: Sequence[Mapping[str, Any]]) -> list[Experiment]:
    """The rows of `dvc exp show --json`, each commit before its experiments; those that failed have names alone."""
    found = []
    for commit in shown:
        found.append(_experiment(commit, ""))
        for group in commit.get("experiments") or []:
            found += [_experiment(revision, "  ") for revision in group.get("revs") or []]
    return found


def tabulate(experiments: Sequence[Experiment], *, most: int = MOST_COLUMNS, keep: Sequence[str] = ()) -> Table:
    """At most ``most`` columns: kept ones, settings that differ, metrics of the models, then those of the baselines.

    Args:
        experiments: the rows.
        most: number of columns, at least 3.
        keep: patterns of settings and metrics that have a column first, whether they differ or not.
    """
    settings, metrics = _names(row.settings for row in experiments), _names(row.metrics for row in experiments)
    kept = [name for name in [*settings, *metrics] if any(re.search(pattern, name) for pattern in keep)]
    differing = [name for name in settings if _differs(name, experiments)]
    suffixes = tuple(f"_{suffix}" for suffix in SUBJECTS if suffix)
    own, of_baselines = ([n for n in metrics if n.endswith(suffixes) == baseline] for baseline in (False, True))
    room = most - len(_FIXED)
    # Half of the room is for metrics, as far as there are any: an experiment is about what it changed and its effect.
    begun = list(dict.fromkeys(kept + differing[: max(room // 2, room - len(own))]))
    wanted = list(dict.fromkeys([*begun, *own, *differing, *of_baselines]))
    names = wanted[:room]
    rows = tuple((e.name, e.created, *(_text(_value(e, name)) for name in names)) for e in experiments)
    return Table((*_FIXED, *names), rows, tuple(wanted[room:]))


def _experiment(state: Mapping[str, Any], indent: str) -> Experiment:
    data = state.get("data") or {}
    name = str(state.get("name") or str(state["rev"])[:9])
    created = str(data.get("timestamp") or "").replace("T", " ")[:16]
    return Experiment(indent + name, created, *(_merged(data.get(kind)) for kind in ("params", "metrics")))


def _merged(files: Mapping[str, Any] | None) -> dict[str, object]:
    """The values of all files by dotted names."""
    merged: dict[str, object] = {}
    for content in (files or {}).values():
        merged.update(_flat(content.get("data") or {}, ""))
    return merged


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _names(maps: Iterator[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for one in maps for name in one))


def _differs(name: str, experiments: Sequence[Experiment]) -> bool:
    """Whether two rows have other values; a row without settings, such as one that failed, does not count."""
    return len({repr(row.settings.get(name)) for row in experiments if row.settings}) > 1


def _value(experiment: Experiment, name: str) -> object:
    return experiment.settings.get(name, experiment.metrics.get(name))


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
