"""A soak: runs that Prefect's own schedule fires, each with a new commit, and power cuts at random times.

    python -m proofs.soak --runs 60 --cuts 5 [--every-min 5] [--minutes 360] [--seed 0]

Figures are written to docs/reliability.json and docs/reliability.md after each run, so a soak that is stopped or out of
time has published what it has. Exit code 1: something that it asserts does not hold.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
import urllib.error
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from proofs.reliability.document import RESULTS, read_results, write_results
from proofs.reliability.figures import FLAT_RATIO, Soak, growth, missed_times
from proofs.reliability.trial import FINAL, STAGES, Trial, TrialError, keep_bytecode

MACHINE = "2 CPU cores, shared with other work"
_OUTAGE_S = (5.0, 60.0)
_MOST_S = 1800.0


@dataclass
class Log:
    """What happened so far."""

    commits: list[str] = field(default_factory=list)
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)
    server_mib: list[float] = field(default_factory=list)
    worker_mib: list[float] = field(default_factory=list)
    database_mib: list[float] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)


class Soaking:
    """The soak while it goes on."""

    def __init__(self, trial: Trial, chosen: argparse.Namespace) -> None:
        self.trial, self.chosen, self.log = trial, chosen, Log()
        self.random = random.Random(chosen.seed)
        self.cuts = set(self.random.sample(range(1, max(2, chosen.runs)), min(chosen.cuts, chosen.runs - 1)))
        self.begun = datetime.now(UTC)

    def run(self) -> Soak:
        trial, end_s = self.trial, time.monotonic() + 60 * self.chosen.minutes
        trial.film.stylereel("schedule", f"*/{self.chosen.every_min} * * * *", **trial.environment)
        soak = None
        for number in range(self.chosen.runs):
            if time.monotonic() > end_s:
                break
            self.log.commits.append(trial.commit_picture())
            if number in self.cuts:
                self._cut()
            self._wait_for_result()
            self._sample()
            soak = self._publish(over=False)
            print(f"{time.strftime('%H:%M:%S')} {soak.model_dump_json(exclude={'command', 'machine'})}", flush=True)
        trial.film.stylereel("schedule", "off", **trial.environment)
        trial.wait_for("end of the last run", lambda: not self._unfinished(), _MOST_S)
        return self._publish(over=True)

    def _cut(self) -> None:
        """Ends everything at a random time after the start of the next run, and starts it again after a while."""
        self.trial.wait_for("run", self._unfinished, _MOST_S)
        time.sleep(self.random.uniform(0.0, 60.0 * self.chosen.every_min))
        cut = datetime.now(UTC)
        self.trial.kill()
        time.sleep(self.random.uniform(*_OUTAGE_S))
        self.trial.start("worker")
        self.trial.start("server")
        self.trial.wait_until_up()
        self.log.outages.append((cut, datetime.now(UTC)))
        self.log.restarts.append(len(self.log.server_mib))

    def _wait_for_result(self) -> None:
        commit = self.log.commits[-1]

        def there() -> bool:
            return bool(self.trial.published(commit)) and not self._unfinished()

        self.trial.wait_for(f"result of {commit[:12]}", there, _MOST_S, pause_s=2.0)

    def _unfinished(self) -> list[dict[str, Any]]:
        """Runs that have begun and not ended; an unknown one while the server does not answer."""
        try:
            runs = [run for run in self.trial.runs() if run["start_time"] and run["state_type"] not in FINAL]
        except (urllib.error.URLError, OSError):
            return [{}]
        return runs if runs or not self.trial.pids(*STAGES) else [{}]

    def _sample(self) -> None:
        self.log.server_mib.append(round(self.trial.rss_mib("server"), 1))
        self.log.worker_mib.append(round(self.trial.rss_mib("worker"), 1))
        files = (self.trial.folder / "prefect").glob("prefect.db*")
        self.log.database_mib.append(round(sum(path.stat().st_size for path in files) / 2**20, 2))

    def _publish(self, *, over: bool) -> Soak:
        log, runs = self.log, [run for run in self.trial.runs() if run["start_time"]]
        fired = [run for run in runs if run["auto_scheduled"]]
        sources = self.trial.sources()
        newest = max((log.commits.index(source) for source in sources if source in log.commits), default=-1)
        missed = missed_times([_time(run["expected_start_time"]) for run in fired], self.chosen.every_min, log.outages)
        doubled = sum(count - 1 for count in Counter(sources).values())
        doubled += len(fired) - len({run["expected_start_time"] for run in fired})
        wrong = Counter(run["state_name"] for run in runs if run["state_type"] not in ("COMPLETED", "CRASHED"))
        again = sum(any(tag.startswith("started-again-") for tag in run["tags"]) for run in runs)
        crashed = sum(run["state_type"] == "CRASHED" for run in runs)
        growths = [g for mib in (log.server_mib, log.worker_mib) if (g := growth(mib, log.restarts)) is not None]
        faults = {
            f"{len(missed)} times of the schedule have no run": bool(missed),
            f"{doubled} results or runs are doubled": bool(doubled),
            "a commit is in no result": newest + 1 < len(log.commits),
            f"runs ended otherwise: {dict(wrong)}": bool(wrong) and over,
            f"{crashed} runs crashed and {again} were started again": crashed != again and over,
            f"memory grew {max(growths, default=0):.2f} times": max(growths, default=0.0) > FLAT_RATIO,
        }
        soak = Soak(
            runs=len(fired),
            states=dict(Counter(run["state_name"] for run in runs)),
            cuts=len(log.outages),
            hours=round((datetime.now(UTC) - self.begun).total_seconds() / 3600, 2),
            every_min=self.chosen.every_min,
            commits=len(log.commits),
            covered=newest + 1,
            own_result=len(set(sources) & set(log.commits)),
            missed=len(missed),
            doubled=doubled,
            server_mib=tuple(log.server_mib),
            worker_mib=tuple(log.worker_mib),
            database_mib=tuple(log.database_mib),
            restarts=tuple(log.restarts),
            growth=max(growths) if growths else None,
            ok=not any(faults.values()),
            note="; ".join(text for text, wrong in faults.items() if wrong),
            command=f"python -m proofs.soak --runs {self.chosen.runs} --cuts {self.chosen.cuts} "
            f"--every-min {self.chosen.every_min} --steps {self.chosen.steps} --seed {self.chosen.seed}",
            machine=self.chosen.machine,
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
        )
        write_results(self.chosen.results, read_results(self.chosen.results).model_copy(update={"soak": soak}))
        return soak


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=60, help="commits, each of which waits for its result")
    parser.add_argument("--cuts", type=int, default=5, help="power cuts")
    parser.add_argument("--every-min", type=int, default=5, choices=(1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30), help="cron")
    parser.add_argument("--minutes", type=float, default=360.0, help="no commit is made after this time")
    parser.add_argument("--seed", type=int, default=0, help="of the power cuts")
    parser.add_argument("--steps", type=int, default=60, help="of each training")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file; the document is filled beside it")
    parser.add_argument("--logs", type=Path, default=Path("/tmp/stylereel-soak"), help="of server and worker")
    parser.add_argument("--machine", default=MACHINE, help="in words")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    keep_bytecode(chosen.logs / "bytecode")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    with TemporaryDirectory(prefix="stylereel-") as folder:
        trial = Trial(Path(folder) / "disk", chosen.logs, chosen.steps)
        try:
            trial.start("server")
            trial.wait_until_up()
            trial.start("worker")
            soak = Soaking(trial, chosen).run()
        except TrialError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        finally:
            trial.kill()
    print(soak.note or "all that the soak asserts holds")
    return 0 if soak.ok else 1


if __name__ == "__main__":
    sys.exit(main())
