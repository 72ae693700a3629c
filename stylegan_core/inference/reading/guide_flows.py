"""Coarse flows of a shot to its key frames, as a safetensors file in the state folder of a job.

A flow is named by the digest of its values, so that a frame depends on its own flows alone, whatever else the file
holds. They are kept on a grid in 16 bits: 300 KB for each frame and key frame.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from stylegan_core.inference.job.spec import PlanError
from stylegan_core.motion.guide_chain import FlowPair

GRID_PX = 2
"""Distance of the values that are kept, in pixels of the proxies."""

_STEPS = 64
"""A cell is divided into so many steps: 16-bit floats would round the motion of a long pan eight times as much."""

_LARGEST = 32767
"""In steps: two widths of a frame."""

Codes = NDArray[np.int16]


@dataclass
class KeptFlows:
    """Flows of a shot.

    Attributes:
        values: (2, h, w, 2) int16 by name: from the frame to the key frame, and back.
        sources: name of a flow by the digest of the files that it was computed from.
    """

    values: dict[str, Codes] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def keep(self, source: str, name: str, values: Codes) -> None:
        """Adds a flow.

        Args:
            source: digest of the files that it was computed from.
            name: from ``flow_name``.
            values: from ``kept_values``.
        """
        self.values[name] = values
        self.sources[source] = name


def kept_values(flow: FlowPair) -> Codes:
    """A flow of proxies as it is kept."""
    height, width = (max(1, side // GRID_PX) for side in flow.there.shape[:2])
    small = flow.resized(height, width)
    steps = np.rint(np.stack([small.there, small.back]) * _STEPS)
    return np.clip(steps, -_LARGEST, _LARGEST).astype(np.int16)


def flow_of(values: Codes) -> FlowPair:
    """The flow that ``kept_values`` gave, in cells of its grid."""
    there, back = values.astype(np.float32) / np.float32(_STEPS)
    return FlowPair(there, back)


def flow_name(values: Codes) -> str:
    """First 16 digits of the SHA-256 of the values."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<i2").tobytes()).hexdigest()[:16]


def encode_flows(flows: KeptFlows) -> tuple[str, bytes]:
    """The name of the file, by its content, and the content; equal flows give equal files."""
    values = dict(sorted(flows.values.items()))
    content = safetensors.numpy.save(values, metadata={"sources": json.dumps(flows.sources, sort_keys=True)})
    return f"guides-{hashlib.sha256(content).hexdigest()[:16]}.safetensors", content


def read_flows(path: Path) -> KeptFlows | None:
    """The flows of a file; None if it cannot be read or is not one of ``encode_flows``."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            sources = json.loads((file.metadata() or {})["sources"])
            return KeptFlows({name: file.get_tensor(name) for name in file.keys()}, dict(sources))  # noqa: SIM118
    except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError):
        return None


def read_flow(path: Path, name: str) -> FlowPair:
    """One flow of a file.

    Raises:
        PlanError: the file is missing, was changed, or lacks the flow.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            values = file.get_tensor(name)
    except (OSError, safetensors.SafetensorError) as error:
        raise PlanError(f"{path} has no flow {name}: plan again ({error})") from error
    if values.dtype != np.int16 or values.ndim != 4 or flow_name(values) != name:
        raise PlanError(f"{path} was changed after the job was planned: plan again")
    return flow_of(values)
