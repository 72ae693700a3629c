"""docs/reliability.json, and the tables of docs/reliability.md that are generated from it.

Text between `<!-- reliability faults -->` (or `results`, `notes`, `soak`) and `<!-- /reliability -->` is replaced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from proofs.reliability.figures import Results, Series, Soak, Strike
from stylegan_core.storage.atomic import write_bytes_atomically

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "reliability.json"

_MARKED = re.compile(r"(<!-- reliability (\w+) -->\n).*?(<!-- /reliability -->)", re.DOTALL)


def read_results(path: Path) -> Results:
    """The results; none if there is no file yet."""
    return Results(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else Results()


def write_results(path: Path, results: Results) -> None:
    """Writes the results, and fills the tables of the document beside them."""
    write_bytes_atomically(path, (results.model_dump_json(indent=1) + "\n").encode())
    document = path.with_suffix(".md")
    if document.is_file():
        write_bytes_atomically(document, fill(document.read_text(encoding="utf-8"), results).encode())


def add_series(path: Path, series: Series, order: Sequence[str]) -> None:
    """Adds a series, or replaces the one of the same name."""
    results = read_results(path)
    known = {each.name: each for each in results.series} | {series.name: series}
    ordered = sorted(known.values(), key=lambda each: order.index(each.name) if each.name in order else len(order))
    write_results(path, results.model_copy(update={"series": tuple(ordered)}))


def fill(text: str, results: Results) -> str:
    """The document with its parts generated again."""
    parts = {
        "faults": _faults(results.series),
        "results": _results(results.series),
        "notes": _notes(results.series),
        "soak": _soak(results.soak),
    }
    return _MARKED.sub(lambda m: f"{m[1]}\n{parts[m[2]]}\n{m[3]}", text)


def _faults(every: Sequence[Series]) -> str:
    head = ["series", "stage", "steps lost", "frames lost", "promoted model", "recovery s"]
    rows = [[f"`{series.name}`", *_strike(strike)] for series in every for strike in series.strikes]
    return _markdown(head, rows, numbers=(2, 3, 5))


def _strike(strike: Strike) -> list[str]:
    frames = "" if strike.frames_before is None else f"{strike.frames_lost} of {strike.frames_before}"
    model = {None: "", True: "lost", False: "kept"}[strike.model_lost]
    return [strike.stage, _shown(strike.steps_lost), frames, model, _shown(strike.recovery_s)]


def _results(every: Sequence[Series]) -> str:
    head = ["series", "runs ended as", "lineage", "published s", "next runs", "missed", "doubled"]
    rows = []
    for series in every:
        lineage = {None: "", True: "kept", False: "lost"}[series.lineage]
        counts = [str(count) for count in (series.next_runs, series.missed, series.doubled)]
        states = ", ".join(series.states)
        rows.append([f"`{series.name}`", states, lineage, _shown(series.published_s), *counts])
    return _markdown(head, rows, numbers=(3, 4, 5, 6))


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _markdown(head: list[str], rows: list[list[str]], numbers: Sequence[int]) -> str:
    if not rows:
        return "Nothing is measured yet.\n"
    rules = ["--:" if i in numbers else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rules, *rows)) + "\n"


def _notes(every: Sequence[Series]) -> str:
    failed = [f"`{series.name}`" for series in every if not series.ok]
    lines = [f"Series that do not meet the aim (nothing missed, doubled or lost): {', '.join(failed) or 'none'}.", ""]
    lines += [f"- `{series.name}`: {text}" for series in every for text in (series.note, *series.said) if text]
    facts: dict[tuple[str, str, str], list[str]] = {}
    for series in every:
        facts.setdefault((series.date, series.command, series.machine), []).append(f"`{series.name}`")
    lines += ["", *(f"Measured on {d} by `{c}`, {m}: {', '.join(names)}." for (d, c, m), names in facts.items())]
    return "\n".join(lines) + "\n" if every else "Nothing is measured yet.\n"


def _soak(soak: Soak | None) -> str:
    if soak is None:
        return "Nothing is measured yet.\n"
    grown = "too few samples of one process to judge" if soak.growth is None else f"{soak.growth:.2f} times"
    rows = [
        ["runs of the schedule", f"{soak.runs}, every {soak.every_min} minutes, in {soak.hours:.1f} h"],
        ["pipeline runs, those that were started again included", _counted(soak.states)],
        ["power cuts", str(soak.cuts)],
        ["commits in a result", f"{soak.covered} of {soak.commits}, {soak.own_result} in one of their own"],
        ["missed, doubled", f"{soak.missed}, {soak.doubled}"],
        ["memory of the server, MiB", _range(soak.server_mib)],
        ["memory of the worker, MiB", _range(soak.worker_mib)],
        ["largest growth of either", grown],
        ["database of the server, MiB", _range(soak.database_mib)],
        ["all asserted", "yes" if soak.ok else f"no: {soak.note}"],
    ]
    facts = f"Measured on {soak.date} by `{soak.command}`, {soak.machine}.\n"
    return _markdown(["", ""], rows, numbers=()) + "\n" + facts


def _counted(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(states.items()))


def _range(samples: Sequence[float]) -> str:
    if not samples:
        return ""
    return f"{samples[0]:.0f} after the first run, {samples[-1]:.0f} after the last, at most {max(samples):.0f}"
