"""Runs a script of contrastive-unpaired-translation on a CPU, with stand-ins for what fails there or only logs.

    python benchmarks/peers/unpaired_stand_ins.py SCRIPT ARGUMENTS...

Web pages of results are not written (they need dominate). Models are not wrapped in DataParallel, which on a CPU
changes the names of saved weights, so that the authors' test.py could not load them. CycleGAN of this repository
expects an option of NVIDIA's apex, and a call without the batch that train.py gives: the first is off, the second
is accepted.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


class NoPage:
    """The folder of a page's pictures, without the page."""

    def __init__(self, folder: str, *_: Any, **__: Any) -> None:
        self._images = Path(folder) / "images"
        self._images.mkdir(parents=True, exist_ok=True)

    def get_image_dir(self) -> str:
        return str(self._images)

    def add_header(self, *_: Any) -> None: ...

    def add_images(self, *_: Any, **__: Any) -> None: ...

    def save(self) -> None: ...


def page_module() -> ModuleType:
    module = ModuleType("util.html")
    module.HTML = NoPage  # type: ignore[attr-defined]
    return module


def adapt_models() -> None:
    base = importlib.import_module("models.base_model").BaseModel
    base.parallelize = lambda _: None
    cycle_gan = importlib.import_module("models.cycle_gan_model").CycleGANModel
    construct = cycle_gan.__init__

    def without_apex(model: Any, options: Any) -> None:
        options.amp = False
        construct(model, options)

    cycle_gan.__init__ = without_apex
    cycle_gan.data_dependent_initialize = lambda *_: None


if __name__ == "__main__":
    script, sys.argv = sys.argv[1], sys.argv[1:]
    sys.path.insert(0, script.rpartition("/")[0])
    sys.modules["util.html"] = page_module()
    importlib.import_module("util").html = sys.modules["util.html"]  # type: ignore[attr-defined]
    adapt_models()
    runpy.run_path(script, run_name="__main__")
