import json
import math

import pytest
import torch
from safetensors import safe_open

from stylegan_core.training.curves import Window
from stylegan_core.training.hardware import Machine
from stylegan_core.training.persistence import checkpoint
from stylegan_core.training.persistence.checkpoint import (
    CheckpointError,
    checkpoint_step,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from stylegan_core.training.persistence.checkpoint_metadata import BestScore, CheckpointMetadata
from stylegan_core.training.progress import Progress
from stylegan_core.training.randomness import GeneratorMetadata

TENSORS = {
    "recipe/g.weight": torch.randn(3, 4).t(),  # not contiguous
    "half": torch.randn(5).half(),
    "bf16": torch.randn(2, 2).bfloat16(),
    "scalar": torch.tensor(3.5),
    "steps": torch.tensor(7, dtype=torch.int64),
    "bytes": torch.arange(11, dtype=torch.uint8),
    "empty": torch.zeros(0, 3),
}


def metadata(step=0):
    return CheckpointMetadata(
        progress=Progress(
            step, elapsed_s=0.1 + 0.2, window=Window({"l1": 0.3}, {"l1": 2}), validation={"inf": math.inf}
        ),
        best=BestScore(7, 5e-324, {"swd": 1 / 3}),
        random=GeneratorMetadata(["MT19937", 624, 0, 0.0], [3, [1, 2], None]),
        machine=Machine("cpu", "fp32", 1),
        scaler={},
    )


METADATA = metadata()


def test_everything_comes_back_bit_for_bit(tmp_path):
    path = save_checkpoint(tmp_path, 12, TENSORS, METADATA)
    assert checkpoint_step(path) == 12
    loaded = load_checkpoint(tmp_path)
    tensors = loaded.tensors
    assert tensors.keys() == TENSORS.keys()
    for key, value in TENSORS.items():
        assert tensors[key].dtype == value.dtype, key
        assert torch.equal(tensors[key], value), key
    assert loaded.metadata == METADATA
    with safe_open(path, framework="np") as opened:
        document = json.loads(opened.metadata()["stylereel"])
    assert list(document) == ["progress", "best", "random", "machine", "scaler", "step", "crc32"]
    assert document["step"] == 12


def test_equal_states_give_equal_files(tmp_path):
    left = save_checkpoint(tmp_path / "a", 1, TENSORS, METADATA).read_bytes()
    right = save_checkpoint(tmp_path / "b", 1, dict(reversed(TENSORS.items())), METADATA).read_bytes()
    assert left == right


def test_any_safetensors_reader_can_open_it(tmp_path):
    path = save_checkpoint(tmp_path, 1, TENSORS, METADATA)
    with safe_open(path, framework="np") as opened:
        assert "steps" in opened.keys()  # noqa: SIM118


def test_the_newest_two_are_kept(tmp_path):
    (tmp_path / ".checkpoint-000000001.77.dead.tmp.safetensors").write_bytes(b"of a process that was killed")
    for step in (5, 10, 15):
        save_checkpoint(tmp_path, step, TENSORS, METADATA)
    assert [checkpoint_step(p) for p in list_checkpoints(tmp_path)] == [15, 10]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "flipped", "header"])
def test_a_damaged_one_gives_way_to_the_one_before(tmp_path, damage):
    save_checkpoint(tmp_path, 1, TENSORS, metadata(1))
    path = save_checkpoint(tmp_path, 2, TENSORS, metadata(2))
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-20] ^= 1
    elif damage == "header":
        content[3] ^= 0xFF
    else:
        content = {"truncated": content[: len(content) // 2], "empty": b"", "text": b"not a checkpoint"}[damage]
    path.write_bytes(bytes(content))
    assert load_checkpoint(tmp_path).metadata.progress.step == 1


def test_only_damaged_ones_are_an_error_and_none_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "missing") is None
    assert load_checkpoint(tmp_path) is None
    (tmp_path / "checkpoint-000000003.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="000000003"):
        load_checkpoint(tmp_path)


def test_a_full_disk_leaves_the_earlier_ones(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 1, TENSORS, METADATA)

    def fail(tensors, path, metadata):
        path.write_bytes(b"half a fi")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tmp_path, 2, TENSORS, METADATA)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-000000001.safetensors"]
    load_checkpoint(tmp_path)
