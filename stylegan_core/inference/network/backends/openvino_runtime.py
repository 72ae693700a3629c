"""OpenVINO and NNCF as guests: no telemetry (what a studio converts stays there), no chatter, no traces."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any


def import_openvino() -> Any:
    """The module ``openvino``.

    Its converter, and NNCF, tell their maker of each use through a package that they can do without; from here on
    this process has none.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # importing it is an ImportError
    import openvino

    return openvino


@functools.cache
def openvino_core() -> Any:
    """This process's ``openvino.Core``, which is never freed.

    Its CPU plugin gives the thread that loads it a signal stack, and takes that memory back when it is freed; freed on
    another thread, the next signal to the first would end the process with a segmentation fault.
    """
    return import_openvino().Core()


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Converters warn of their own making; of what they log, errors are left."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "openvino", "torch.export", "nncf")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """Nothing is printed: NNCF shows progress bars of its own."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
