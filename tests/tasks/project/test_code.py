"""A stage is out of date when its own code changes, and only then; dvc.yaml says the same as the digests."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tasks.project.code import STAGE_CODE, code_digest, code_files, code_root
from tasks.shared.versioning import STAGES

REPOSITORY = Path(__file__).parents[3]
DVC_YAML = YAML(typ="safe").load(REPOSITORY / "dvc.yaml")


def test_dvc_yaml_has_the_four_stages_in_order() -> None:
    assert tuple(DVC_YAML["stages"]) == STAGES == tuple(STAGE_CODE)


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_yaml_depends_on_the_code_that_the_digest_covers(stage: str) -> None:
    deps = [d for d in DVC_YAML["stages"][stage]["deps"] if d.startswith(("flows/", "tasks/", "stylegan_core/"))]
    assert tuple(deps) == STAGE_CODE[stage]
    assert DVC_YAML["stages"][stage]["cmd"] == f"python -m flows.{stage}"


# Imported, but without a say in a stage's outputs: what starts, watches, names and reports.
_WITHOUT_A_SAY = {
    *("flows.runners.dask_runner", "flows.runners.dask_workers", "flows.runners.local_runner"),
    "flows.runners.progress_artifact",
    *("flows.runners.prefect_runner", "flows.runners.prefect_logs", "flows.runners.run_stage", "tasks.shared.runner"),
    *("flows.stage", "tasks.project.code", "tasks.shared.errors", "tasks.shared.origin"),
    *("tasks.shared.project_identity", "tasks.shared.project_home"),  # names and places, not pictures
    *(f"tasks.project.{name}" for name in ("inputs", "sync")),
    *("tasks.shared.mlflow_observer", "tasks.shared.registry", "tasks.shared.tracking"),
    *("tasks.shared.mlflow_dataset", "tasks.shared.system_metrics", "tasks.serving.mlflow_model"),
    *("tasks.stages.training_observers", "tasks.shared.versioning"),
    *("tasks.shared.child_processes.call", "tasks.shared.child_processes.time_limit"),  # an end, not a result
    *("flows.output_pipe", "tasks.shared.shown_url"),  # messages
    *("stylegan_core.storage.atomic", "stylegan_core.storage.cache", "stylegan_core.storage.state_folder"),
    "stylegan_core.storage.model_folder",  # a file name
    # What a recipe declares, a number of channels.
    *("stylegan_core.recipes.base", "stylegan_core.networks.guide", "stylegan_core.networks.layers.mixture"),
    *("stylegan_core.storage.stop_errors", "stylegan_core.storage.model_folder"),  # an exit code, a file name
    # The number of threads is recorded with each training, and a slow machine is only warned of.
    *("stylegan_core.threads", "tasks.shared.throughput", "tasks.stylize.throughput"),
    # What they hold is in params.yaml, whose sections are dependencies.
    *(
        "stylegan_core.settings",
        "stylegan_core.stylize_settings",
        "stylegan_core.limits_settings",
        "stylegan_core.choices",
    ),
    # Training notes which run made a model, and progress is told in numbers; neither decides what is made.
    *(
        f"stylegan_core.inference.job.{name}"
        for name in ("canonical", "delivery", "frame_settings", "frame_task", "report", "spec")
    ),
    *("tasks.shared.provenance", "tasks.shared.locate_model"),
    *("stylegan_core.frames.profiles.ocio", "stylegan_core.frames.colour.context"),
    # The project asks for a file's name and a model's digest; the stages that use more of them list their folders.
    *("stylegan_core.inference.conditioning.edit_vocabulary", "stylegan_core.recipes.model"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_all_that_a_stage_imports_is_covered(stage: str) -> None:
    covered = set(code_files(STAGE_CODE[stage]))
    missing = {
        name
        for name, path in _closure(f"flows.{stage}").items()
        if path not in covered and path.name != "__init__.py" and name not in _WITHOUT_A_SAY
    }
    assert not missing, f"add these to STAGE_CODE and dvc.yaml: {missing}"


def _closure(module: str) -> dict[str, Path]:
    """Files of the module and of what it imports from the project, at any depth."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        stem = code_root().joinpath(*name.split("."))
        path = next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()), None)
        if path is None or name in found or name.split(".")[0] not in ("flows", "tasks", "stylegan_core"):
            continue
        found[name] = path
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def test_training_is_tracked_by_its_own_recipe() -> None:
    params = DVC_YAML["stages"]["train"]["params"]
    assert "train.${train.recipe}" in params
    assert "train.common" in params


def test_an_edit_of_the_report_retrains_nothing(tmp_path: Path) -> None:
    for package in ("flows", "tasks", "stylegan_core"):
        shutil.copytree(code_root() / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    before = {stage: code_digest(stage, tmp_path) for stage in STAGES}
    (tmp_path / "stylegan_core" / "report" / "new.py").write_text("")
    after = {stage: code_digest(stage, tmp_path) for stage in STAGES}
    assert [s for s in STAGES if before[s] != after[s]] == ["stylize"]
    (tmp_path / "stylegan_core" / "training" / "ema.py").write_text("")
    assert code_digest("train", tmp_path) != before["train"]
    assert code_digest("prepare", tmp_path) == before["prepare"]


def test_compiled_files_are_no_code() -> None:
    assert not [f for f in code_files(("stylegan_core",)) if "__pycache__" in f.parts]


def test_an_unknown_stage_is_an_error() -> None:
    with pytest.raises(ValueError, match="prepare, train, evaluate, stylize"):
        code_digest("trian")
