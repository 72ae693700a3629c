"""A run goes on when its worker, which reads its log, is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RUN = """
import logging, sys
from pathlib import Path
from prefect.logging.configuration import setup_logging
from flows.runners.worker_pipe import outlive_worker

setup_logging()
outlive_worker()
sys.stdin.read()
for _ in range(2):
    logging.getLogger("prefect").warning("a line")
    Path(sys.argv[1]).write_text("went on")
"""


def test_a_broken_pipe_does_not_end_the_run(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path / "mark")], **pipes) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stderr.close()
        process.stdin.close()  # only now a line is written
        process.wait(timeout=240)
    assert (tmp_path / "mark").exists()
