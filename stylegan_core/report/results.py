"""docs/results.json, the list of every published figure, and the tables in docs/*.md that are generated from it.

A document requests a table with a pair of markers; the text between them is replaced:

    <!-- results match="ablation/{row}/{column}" recipe="keyframe" heading="Variant" -->
    <!-- /results -->

``match`` selects entries by name: ``*`` is anything, a comma separates patterns; ``{row}`` is one part of the name
between slashes and ``{column}`` is the rest. ``recipe``, ``machine`` and ``status`` restrict the selection.

With ``{column}`` the table has a row for each ``{row}`` (or each recipe, without ``{row}``), and ``columns="a,b"``
selects and orders its columns; with ``layout="baselines"`` it has a row for each metric and a column for each baseline;
else a row for each entry.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from stylegan_core.report.figures import describe, figure_table, shown, split_name
from stylegan_core.storage.atomic import write_bytes_atomically

_MARKED = re.compile(r"(<!-- results(?P<options>[^>]*?) -->\n)(?P<body>.*?)(<!-- /results -->)", re.DOTALL)
_OPTION = re.compile(r'(\w+)="([^"]*)"')
_KNOWN_OPTIONS = {"match", "recipe", "machine", "status", "layout", "columns", "heading"}
_DIRECTION = {"lower": "↓", "higher": "↑", "one": "→ 1", "": ""}


class ResultsError(ValueError):
    """docs/results.json or a marker in a document is invalid; the message says where."""


class Result(BaseModel):
    """One published figure.

    Attributes:
        recipe: name of the recipe, or "" where none takes part.
        name: path-like, with a unit suffix where there is a unit, e.g. ``truth/psnr_db``.
        value: None while ``status`` is "pending GPU".
        status: whether it is measured.
        unit: "1" for a ratio.
        command: reproduces it; the trial data folder is ``$DATA``.
        seed: None where nothing is random.
        machine: in words, e.g. "2 CPU cores".
        date: YYYY-MM-DD.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    name: str
    value: float | None
    status: Literal["measured", "pending GPU"]
    unit: str
    command: str
    seed: int | None
    machine: str
    date: str

    @model_validator(mode="after")
    def _value_fits_status(self) -> Result:
        if (self.value is None) != (self.status == "pending GPU"):
            raise ValueError('value is null exactly while status is "pending GPU"')
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", self.date):
            raise ValueError(f"date is YYYY-MM-DD, got {self.date!r}")
        return self

    def key(self) -> tuple[str, str, int, str]:
        """The identity of an entry: measuring again replaces the entry with the same key."""
        return (self.recipe, self.name, -1 if self.seed is None else self.seed, self.machine)


def read_results(path: Path) -> list[Result]:
    """Reads and checks docs/results.json.

    Raises:
        ResultsError: an entry is invalid or duplicated.
    """
    try:
        entries = [Result(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (ValidationError, TypeError, json.JSONDecodeError) as error:
        raise ResultsError(f"{path}: {error}") from error
    keys = [entry.key() for entry in entries]
    for key in keys:
        if keys.count(key) > 1:
            raise ResultsError(f"{path}: {key} is listed twice")
    return entries


def record_results(path: Path, fresh: Iterable[Result]) -> None:
    """Adds entries; replaces those with the same key, and pending entries of the same recipe and name."""
    entries = {entry.key(): entry for entry in (read_results(path) if path.is_file() else [])}
    for entry in fresh:
        if entry.status == "measured":
            pending = [k for k, e in entries.items() if e.value is None and (e.recipe, e.name) == entry.key()[:2]]
            for key in pending:
                del entries[key]
        entries[entry.key()] = entry
    lines = [json.dumps(entries[key].model_dump(), ensure_ascii=False) for key in sorted(entries)]
    write_bytes_atomically(path, ("[\n" + ",\n".join(lines) + "\n]\n").encode())


def fill_tables(text: str, results: Sequence[Result], where: str = "document") -> str:
    """The document with the table between each pair of markers generated again.

    Raises:
        ResultsError: a marker has an unknown option, or has no end.
    """
    if text.count("<!-- results ") != text.count("<!-- /results -->"):
        raise ResultsError(f"{where}: each `<!-- results ... -->` needs its `<!-- /results -->`")
    return _MARKED.sub(lambda m: f"{m[1]}\n{_table(m['options'], results, where)}\n\n{m[4]}", text)


def stale_documents(docs: Path) -> dict[Path, str]:
    """Markdown documents below ``docs`` that differ from their results.json, with their new text."""
    results = read_results(docs / "results.json")
    stale = {}
    for path in sorted(docs.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        fresh = fill_tables(text, results, str(path))
        if fresh != text:
            stale[path] = fresh
    return stale


def results_of(metrics: Mapping[str, float], prefix: str = "", **facts: Any) -> list[Result]:
    """Figures of a reports/metrics.json as entries.

    Args:
        metrics: flat.
        prefix: before each name, e.g. "ablation/l1_only/".
        facts: recipe, command, seed, machine and date of all of them.
    """
    return [
        Result(name=prefix + name, value=value, status="measured", unit=describe(split_name(name)[0]).unit, **facts)
        for name, value in metrics.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Fills the tables; with ``--check`` only lists the stale documents, with exit code 1."""
    parser = argparse.ArgumentParser(description="Fill the tables in docs/*.md from docs/results.json.")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--check", action="store_true", help="only list the stale documents")
    adding = parser.add_argument_group("publish the figures of a metrics.json first")
    adding.add_argument("--add", type=Path, metavar="METRICS_JSON")
    adding.add_argument("--prefix", default="", help="before each name, e.g. ablation/l1_only/")
    adding.add_argument("--recipe", default="")
    adding.add_argument("--command", default="")
    adding.add_argument("--seed", type=int)
    adding.add_argument("--machine", default="")
    options = parser.parse_args(arguments)
    try:
        if options.add is not None:
            facts = {name: getattr(options, name) for name in ("recipe", "command", "seed", "machine")}
            metrics = json.loads(options.add.read_text(encoding="utf-8"))
            fresh = results_of(metrics, options.prefix, date=time.strftime("%Y-%m-%d"), **facts)
            record_results(options.docs / "results.json", fresh)
        stale = stale_documents(options.docs)
    except (ResultsError, OSError, json.JSONDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    for path, text in stale.items():
        print(f"{path} is out of date with results.json" if options.check else f"wrote {path}")
        if not options.check:
            write_bytes_atomically(path, text.encode())
    return 1 if options.check and stale else 0


def _table(options: str, results: Sequence[Result], where: str) -> str:
    chosen = dict(_OPTION.findall(options))
    if unknown := sorted(set(chosen) - _KNOWN_OPTIONS):
        raise ResultsError(f"{where}: unknown option {unknown[0]}; known are {', '.join(sorted(_KNOWN_OPTIONS))}")
    pattern = chosen.get("match", "*")
    if "," in pattern and "{" in pattern:
        raise ResultsError(f"{where}: a table of rows and columns takes one pattern, not {pattern}")
    regex = re.compile("|".join(_regex(part) for part in pattern.split(",")))
    found = [(r, m) for r in results if (m := regex.fullmatch(r.name))]
    for field in ("recipe", "machine", "status"):
        found = [(r, m) for r, m in found if field not in chosen or getattr(r, field) == chosen[field]]
    if not found:
        return "Nothing is recorded yet."
    if "{column}" in pattern:
        rows = [(m["row"] if "{row}" in pattern else r.recipe, m["column"], r) for r, m in found]
        wanted = chosen["columns"].split(",") if "columns" in chosen else list(dict.fromkeys(c for _, c, _ in rows))
        rows = [row for row in rows if row[1] in wanted]
        return _pivot(rows, wanted, chosen.get("heading", "" if "{row}" in pattern else "recipe"))
    if chosen.get("layout") == "baselines":
        return _baselines([r for r, _ in found])
    return _list([r for r, _ in found])


def _regex(pattern: str) -> str:
    escaped = re.escape(pattern).replace(r"\*", ".*")
    return escaped.replace(r"\{row\}", "(?P<row>[^/]+)").replace(r"\{column\}", "(?P<column>.+)")


def _pivot(cells: list[tuple[str, str, Result]], columns: list[str], corner: str) -> str:
    rows = list(dict.fromkeys(c[0] for c in cells))
    units = {column: next((r.unit for _, c, r in cells if c == column), "1") for column in columns}
    directions = {column: _DIRECTION[describe(split_name(column)[0]).better] for column in columns}
    titles = [" ".join(filter(None, (f"`{c}`", directions[c], _unit(units[c])))) for c in columns]
    body = [[row, *(_cell([r for a, b, r in cells if (a, b) == (row, column)]) for column in columns)] for row in rows]
    return _markdown([corner, *titles], body, numbers_from=1)


def _baselines(results: list[Result]) -> str:
    if twice := [r.name for r in results if sum(r.name == other.name for other in results) > 1]:
        raise ResultsError(f"a table of baselines takes one run, but several have {twice[0]}: restrict the selection")
    table = figure_table({r.name: r.value for r in results if r.value is not None})
    body = [
        [
            f"{row.metric.title} (`{row.metric.name}`)",
            _DIRECTION[row.metric.better],
            *(f"**{row.shown[s]}**" if s in row.winners else row.shown.get(s, "") for s in table.subjects),
            _unit(row.metric.unit),
        ]
        for group in table.groups
        for row in group.rows
    ]
    return _markdown(["figure", "better", *(t.lower() for t in table.subjects.values()), "unit"], body, numbers_from=2)


def _list(results: list[Result]) -> str:
    body = [
        [r.recipe, f"`{r.name}`", _cell([r]), _unit(r.unit), f"`{r.command}`", "" if r.seed is None else str(r.seed),
         r.machine, r.date]
        for r in results
    ]  # fmt: skip
    return _markdown(["recipe", "figure", "value", "unit", "command", "seed", "machine", "date"], body, numbers_from=8)


def _cell(results: list[Result]) -> str:
    """One value; for several seeds the mean and the standard deviation."""
    values = [r.value for r in results if r.value is not None]
    if not values:
        return results[0].status if results else ""
    if len(values) == 1:
        return shown(values)[0]
    mean, spread = shown([statistics.mean(values), statistics.stdev(values)])
    return f"{mean} ± {spread}"


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit


def _markdown(head: list[str], body: list[list[str]], numbers_from: int) -> str:
    rules = ["---" if i < numbers_from else "--:" for i in range(len(head))]
    lines = [head, rules, *([cell.replace("|", "\\|") for cell in row] for row in body)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
