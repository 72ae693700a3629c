"""The columns of experiments: what differs, what was measured, and never too many."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.project.experiments import Experiment, parse_experiments, tabulate


def state(rev: str, name: str | None, settings: dict[str, Any] | None, metrics: dict[str, Any]) -> dict[str, Any]:
    if settings is None:
        return {"rev": rev, "name": name, "data": None, "error": {"msg": "failed"}}
    data = {
        "timestamp": None if rev == "workspace" else "2026-01-02T03:04:05",
        "params": {"params.yaml": {"data": settings}},
        "metrics": {"reports/metrics.json": {"data": metrics}},
    }
    return {"rev": rev, "name": name, "data": data, "experiments": None}


@pytest.fixture
def shown() -> list[dict[str, Any]]:
    settings = {"train": {"recipe": "cut", "cut": {"generator_lr": 0.0002, "batch_size": 4}}, "shots": []}
    other = {"train": {"recipe": "cut", "cut": {"generator_lr": 0.001, "batch_size": 4}}, "shots": []}
    metrics = {"style/swd": 0.0123456, "style/swd_unstylized": 0.5}
    commit = state("a" * 40, "main", settings, metrics)
    commit["experiments"] = [
        {
            "revs": [state("b" * 40, "brave-cat", other, metrics | {"style/swd": 0.5})],
            "executor": None,
            "name": "brave-cat",
        },
        {"revs": [state("c" * 40, None, None, {})], "executor": None, "name": None},
    ]
    return [state("workspace", None, settings, metrics), commit]


def test_only_settings_that_differ_have_a_column(shown: list[dict[str, Any]]) -> None:
    table = tabulate(parse_experiments(shown))
    assert table.columns == ("experiment", "created", "train.cut.generator_lr", "style/swd", "style/swd_unstylized")
    assert table.rows == (
        ("workspace", "", "0.0002", "0.01235", "0.5"),
        ("main", "2026-01-02 03:04", "0.0002", "0.01235", "0.5"),
        ("  brave-cat", "2026-01-02 03:04", "0.001", "0.5", "0.5"),
        ("  ccccccccc", "", "-", "-", "-"),
    )
    assert table.omitted == ()


def test_a_pattern_keeps_what_does_not_differ(shown: list[dict[str, Any]]) -> None:
    table = tabulate(parse_experiments(shown), most=4, keep=["batch_"])
    assert table.columns == ("experiment", "created", "train.cut.batch_size", "train.cut.generator_lr")
    assert table.omitted == ("style/swd", "style/swd_unstylized")


@pytest.mark.parametrize(("settings", "metrics"), [(500, 0), (500, 40), (0, 40), (5, 40), (40, 5)])
def test_there_are_never_more_columns_than_allowed(settings: int, metrics: int) -> None:
    rows = [
        Experiment(str(at), "", {f"s{n}": at for n in range(settings)}, {f"m{n}": at for n in range(metrics)})
        for at in range(2)
    ]
    table = tabulate(rows, most=30)
    assert len(table.columns) == 30
    assert len(table.omitted) == settings + metrics - 28
    shown = {kind: sum(name.startswith(kind) for name in table.columns) for kind in "sm"}
    assert shown["s"] >= min(14, settings)
    assert shown["m"] >= min(14, metrics)
