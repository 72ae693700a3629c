"""OpenVINO and NNCF without telemetry (a studio's work stays private), logging or progress bars."""

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

    Its converter and NNCF send telemetry through an optional package; importing that package is disabled for
    this process.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # importing it is an ImportError
    import openvino

    return openvino


@functools.cache
def openvino_core() -> Any:
    """The process-wide ``openvino.Core``, which is never freed.

    Its CPU plugin installs a signal stack for the loading thread and frees that memory with itself; freed on another
    thread, the next signal to the first would cause a segmentation fault.
    """
    return import_openvino().Core()


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Suppresses warnings of converters, and their logging below errors."""
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
    """Suppresses printing: NNCF shows progress bars."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
