"""Chunks as task runs of a Prefect server on Dask workers, one of which is killed: all done, each chunk once."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from proofs.local_server import PREFECT, Server, free_port, running, wait_for
from stylegan_core.storage.records import RecordTail, read_records

FRAMES = 200
CHUNK_FRAMES = 10


@pytest.mark.timeout(1200)
def test_chunks_are_task_runs_on_dask(call, outputs, make_plates, tiny_model_folder, tmp_path):
    plates, reference, output = make_plates(FRAMES), tmp_path / "reference", tmp_path / "out"
    asked = ("--model", tiny_model_folder, "--back-end", "torch", "--chunk-frames", CHUNK_FRAMES, "--no-preview")
    assert call("stylize", plates, reference, *asked)[0] == 0
    port, log = free_port(), tmp_path / "server.log"
    server = Server(f"http://127.0.0.1:{port}/api")
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": server.api}
    environment["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    serve = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running(serve, tmp_path, environment, log):
        wait_for("the server is up", server.is_up, 180, log)
        command = [sys.executable, "-m", "flows", "stylize", plates, output, *asked, "--runner", "dask", "--workers", 2]
        with (tmp_path / "said.log").open("w") as said:
            process = subprocess.Popen(list(map(str, command)), env=environment, stdout=said, stderr=said)
            try:
                tail, recorded = RecordTail(output), 0
                while process.poll() is None and recorded < FRAMES // 4:
                    recorded += len(tail.new())
                    time.sleep(0.005)
                children = psutil.Process(process.pid).children()
                workers = [child for child in children if "dask_worker" in " ".join(child.cmdline())]
                workers[0].kill()
                code = process.wait(600)
            finally:
                process.kill()
                process.wait()
        assert code == 0, (tmp_path / "said.log").read_text()[-4000:]
        assert outputs(output) == outputs(reference)
        assert len(outputs(output)) == FRAMES
        assert len(read_records(output)) == FRAMES, "a recorded frame was made again"
        (flow_run,) = server.flow_runs({})
        assert flow_run["state_type"] == "COMPLETED"
        runs = server.post("/task_runs/filter", {"limit": 200})
        chunks = [run for run in runs if run["name"].startswith("stylize")]
        assert len(chunks) == FRAMES // CHUNK_FRAMES
        wait_for(
            "every chunk completes",
            lambda: all(
                run["state_type"] == "COMPLETED"
                for run in server.post("/task_runs/filter", {"limit": 200})
                if run["name"].startswith("stylize")
            ),
            60,
            log,
        )
