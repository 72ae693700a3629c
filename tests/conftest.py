"""Fixtures of all tests. Tests run single-threaded, in as many processes as ``make test`` starts."""

import os
import shutil

import numpy as np
import pytest

# Before anything imports torch, and for what tests start: threads of several processes that share the cores wait for
# each other at every barrier of OpenMP. A test whose result depends on the number of threads sets it itself.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """A cache folder for this process: neither the user's nor another worker's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def tiny_model(tiny_model_folder):
    from stylegan_core.recipes.model import load_model

    return load_model(tiny_model_folder)


@pytest.fixture(scope="session")
def noise_picture():
    """(H, W, channels) uint8: smooth waves under noise."""

    def make(seed, height=40, width=56, channels=3):
        rng = np.random.default_rng(seed)
        wave = 128 + 90 * np.sin(np.mgrid[0:height, 0:width, 0:channels].sum(0) / 9 + seed)
        return np.clip(wave + rng.normal(0, 12, wave.shape), 0, 255).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An SQLite file of MLflow with its tables, which take seconds to create."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def film(tmp_path, monkeypatch, empty_store):
    """A project of two tiny shots with an MLflow store of its own, see ``tests.film_project``."""
    from tests.film_project import Film

    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "PREFECT_API_URL", "STYLEREEL_FLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "film"
    root.mkdir()
    monkeypatch.chdir(root)
    shutil.copy(empty_store, root / "mlflow.db")
    return Film(root)
