"""Two processes train one model: data-parallel on the CPU, through Fabric's own launcher."""

from __future__ import annotations

import json
import sys

import pandas as pd


def test_two_processes_train_one_model(make_clone):
    clone = make_clone()
    tiny = {"train.keyframe.budget_steps": 10, "train.common.devices": 2, "train.common.accelerator": "cpu"}
    shared = {"train.keyframe.discriminator_norm": "batch", "train.keyframe.augmentation": "ada"}
    clone.settings(clone.tiny | tiny | shared)
    clone.run(sys.executable, "-m", "flows.prepare")
    done = clone.run(sys.executable, "-m", "flows.train")
    card = json.loads((clone.root / "models" / "all" / "model.json").read_text())
    assert card["steps"] == 10
    assert card["images_seen"] == 10 * 2 * clone.tiny["train.keyframe.batch_size"]
    assert done.stderr.count("training on cpu") == 1  # only one of them prints
    curves = pd.read_csv(clone.root / "reports" / "train" / "all.csv")
    assert curves["step"].is_unique
    assert curves["loss/generator/l1"].notna().any()
