"""Throughput of a small convolution on a machine that others use too, by the number of threads.

    python benchmarks/busy_machine.py [--seconds 8] [--rounds 3]

Neighbours are processes that compute without pause. For 0, 1 and 3 of them the loop runs with one thread, with one a
core, and with the number that ``stylereel`` chooses at its start, each in its own process and in turns, so that a
change of the machine meets all. it/s is the median of the rounds. Records the figures in docs/results.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from stylegan_core.report.results import Result, record_results

NEIGHBOURS = {"idle": 0, "one_neighbour": 1, "three_neighbours": 3}


def measure(seconds: float) -> None:
    """Runs the loop in this process with the threads that ``STYLEREEL_THREADS`` asks for; prints JSON."""
    import torch

    from stylegan_core.threads import use_threads

    threads = use_threads()
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(32, 32, 3, padding=1), torch.nn.ReLU(),
        torch.nn.Conv2d(32, 3, 3, padding=1),
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    content = torch.rand(8, 3, 64, 64)

    def step() -> None:
        optimizer.zero_grad()
        (network(content) - content).square().mean().backward()
        optimizer.step()

    for _ in range(3):
        step()
    count, began_s = 0, time.perf_counter()
    while (spent_s := time.perf_counter() - began_s) < seconds:
        step()
        count += 1
    print(json.dumps({"threads": threads, "it_per_s": count / spent_s}))


def run(threads: str, seconds: float) -> dict[str, float]:
    """``measure`` in its own process."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | {"STYLEREEL_THREADS": threads}
    command = [sys.executable, __file__, "--measure", "--seconds", str(seconds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that compute without pause."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(1)
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def main() -> None:
    """Prints the figures of every number of neighbours and threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of a measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.seconds)
        return
    cores = os.cpu_count() or 1
    asked = {"one_thread": "1", "a_thread_a_core": str(cores), "auto": "auto"}
    entries: list[Result] = []
    for name, count in NEIGHBOURS.items():
        with neighbours(count):
            found = [
                {way: run(threads, options.seconds) for way, threads in asked.items()} for _ in range(options.rounds)
            ]
        figures = {
            f"{way}_it_per_s": (round(statistics.median(each[way]["it_per_s"] for each in found), 1), "it/s")
            for way in asked
        }
        figures["auto_threads"] = (statistics.median(each["auto"]["threads"] for each in found), "1")
        entries += [
            Result(
                recipe="",
                name=f"busy/{name}/{figure}",
                value=float(value),
                status="measured",
                unit=unit,
                command="python benchmarks/busy_machine.py",
                seed=0,
                machine=f"{cores} CPU cores",
                date=date.today().isoformat(),
            )
            for figure, (value, unit) in figures.items()
        ]
    record_results(Path("docs/results.json"), entries)
    for entry in entries:
        print(f"{entry.name}: {entry.value} {entry.unit}")


if __name__ == "__main__":
    main()
