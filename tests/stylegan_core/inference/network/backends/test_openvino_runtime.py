"""OpenVINO leaves a process as it found it; each test is a process of its own."""

from __future__ import annotations

import subprocess
import sys


def python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_conversion_tells_nobody() -> None:
    """Importing OpenVINO's telemetry, installed or not, would be seen."""
    python("""
import sys, torch
from stylegan_core.inference.network.backends.openvino_runtime import import_openvino
import_openvino()
import openvino.tools.ovc.telemetry_utils as used
assert 'stub' in used.tm.__name__, used.tm
assert sys.modules['openvino_telemetry'] is None
""")


def test_a_signal_is_heard_after_a_network_was_freed_on_another_thread() -> None:
    python("""
import gc, signal, threading
import numpy as np
from stylegan_core.inference.network.backends.openvino_runtime import import_openvino, openvino_core
openvino = import_openvino()
from openvino import opset13 as ops
given = ops.parameter([1, 3, 8, 8], np.float32)
held = [openvino_core().compile_model(openvino.Model([ops.relu(given)], [given], "relu"), "CPU")]
freeing = threading.Thread(target=lambda: (held.clear(), gc.collect()))
freeing.start()
freeing.join()
heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
signal.raise_signal(signal.SIGTERM)
assert heard
""")
