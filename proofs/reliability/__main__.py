"""Measures series of faults and fills docs/reliability.md.

    python -m proofs.reliability --list
    python -m proofs.reliability [--minutes 60] [--only 'kill/*' disk/full] [--again]

A series is kept in docs/reliability.json as soon as it is measured: a script that was stopped goes on with the next.
"""

from __future__ import annotations

import argparse
import fnmatch
import signal
import sys
import time
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from proofs.reliability.document import RESULTS, add_series, read_results, write_results
from proofs.reliability.faults import all_series, own_disk
from proofs.reliability.series import measure
from proofs.reliability.trial import Trial, keep_bytecode

DISK_MIB = 3000
MACHINE = "2 CPU cores, shared with other work"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--only", nargs="+", default=["*"], metavar="SERIES", help="names or patterns: kill/*")
    parser.add_argument("--minutes", type=float, default=60.0, help="no series is begun after this time")
    parser.add_argument("--again", action="store_true", help="measure series anew that are in the results")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file; the document is written beside it")
    parser.add_argument("--steps", type=int, default=400, help="of each training")
    parser.add_argument("--logs", type=Path, default=Path("/tmp/stylereel-reliability"), help="of server and worker")
    parser.add_argument("--machine", default=MACHINE, help="in words")
    parser.add_argument("--list", action="store_true", help="list the series")
    parser.add_argument("--render", action="store_true", help="only write the document again")
    return parser.parse_args()


def main() -> int:
    chosen, known = options(), all_series()
    if chosen.list:
        print("\n".join(known))
        return 0
    write_results(chosen.results, read_results(chosen.results))
    there = {series.name for series in read_results(chosen.results).series}
    wanted = [name for name in known if any(fnmatch.fnmatch(name, pattern) for pattern in chosen.only)]
    names = [name for name in wanted if chosen.again or name not in there]
    if chosen.render or not names:
        return 0
    end_s = time.monotonic() + 60 * chosen.minutes
    keep_bytecode(chosen.logs / "bytecode")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running or mounted
    facts = {"command": f"python -m proofs.reliability --steps {chosen.steps}", "machine": chosen.machine}
    with TemporaryDirectory(prefix="stylereel-") as folder, own_disk(Path(folder) / "disk", DISK_MIB) as disk:
        trial = Trial(disk, chosen.logs, chosen.steps)
        try:
            trial.start("server")
            trial.wait_until_up()
            trial.deploy()
            trial.start("worker")
            for name in names:
                if time.monotonic() > end_s:
                    break
                series = measure(trial, name, known[name], **facts)
                add_series(chosen.results, series, list(known))
                print(f"{time.strftime('%H:%M:%S')} {series.model_dump_json(exclude_none=True)}", flush=True)
        except (Exception, pytest.fail.Exception):
            traceback.print_exc()
            return 1
        finally:
            trial.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
