import logging

import pytest
import torch

from stylegan_core.training.hardware import (
    cpu_has_bf16,
    describe_processor,
    make_fabric,
    repeatable,
    resolve_accelerator,
    resolve_precision,
)


def test_auto_precision_is_bf16_where_the_hardware_has_it(monkeypatch):
    monkeypatch.setattr("stylegan_core.training.hardware.cpu_has_bf16", lambda: True)
    assert resolve_precision("auto", "cpu") == "bf16"
    monkeypatch.setattr("stylegan_core.training.hardware.cpu_has_bf16", lambda: False)
    assert resolve_precision("auto", "cpu") == "fp32"
    assert resolve_precision("auto", "mps") == "fp32"
    assert resolve_precision("fp16", "cpu") == "fp16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert resolve_precision("auto", "cuda") == "fp32"


def test_the_processor_is_asked():
    flags = open("/proc/cpuinfo").read() if torch.backends.cpu.get_cpu_capability() else ""  # noqa: SIM115, PTH123
    if flags:
        assert cpu_has_bf16() == ("amx_tile" in flags)


def test_a_missing_accelerator_is_an_error_that_names_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="cuda, but this machine has only: cpu"):
        resolve_accelerator("cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_accelerator("auto") == "cpu"


def test_bf16_runs_convolutions_in_bf16_and_leaves_what_opts_out(caplog):
    with caplog.at_level(logging.INFO):
        fabric = make_fabric("cpu", 1, "bf16")
    layer = torch.nn.Conv2d(3, 3, 3)
    picture = torch.rand(1, 3, 8, 8)
    with fabric.autocast():
        assert layer(picture).dtype == torch.bfloat16
        with torch.autocast("cpu", enabled=False):
            assert layer(picture).dtype == torch.float32
    assert "Automatic Mixed Precision" not in caplog.text


def test_repeatable_sets_threads_and_puts_all_back():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), repeatable(before + 1) as threads:  # noqa: PT012
        assert threads == torch.get_num_threads() == before + 1
        assert torch.are_deterministic_algorithms_enabled()
        raise KeyError
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()
    with repeatable() as threads:
        assert threads == before


def test_the_processor_is_described_by_what_kernels_use():
    processor = describe_processor()
    assert processor.model
    assert processor.cores >= 1
    assert processor.instructions[0] == torch.backends.cpu.get_cpu_capability()
    assert cpu_has_bf16() == ("AMX_BF16" in processor.instructions)
