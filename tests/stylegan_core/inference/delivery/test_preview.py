import av
import cv2
import numpy as np
import pytest

from stylegan_core.inference.delivery.preview import LARGEST_SIDE_PX, is_sequence, write_job_preview
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job


@pytest.fixture
def job(tmp_path):
    def make(*names):
        return Job(
            chunk_frames=64,
            input_folder=tmp_path / "in",
            output_folder=tmp_path / "out",
            model_folder=tmp_path,
            model_digest="d",
            settings=FrameSettings(),
            frames=tuple(FrameTask(input=n, output=n) for n in names),
        )

    (tmp_path / "out").mkdir()
    return make


def decoded(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_the_movie_contains_the_existing_outputs_in_order(job, tmp_path):
    planned = job("f.1.png", "f.2.tif", "f.3.png")
    for name, level in (("f.1.png", 40), ("f.2.tif", 180)):
        value = np.full((40, 56, 3), level * 257 if name.endswith("tif") else level)
        cv2.imwrite(str(tmp_path / "out" / name), value.astype(np.uint16 if name.endswith("tif") else np.uint8))
    movie = write_job_preview(planned, tmp_path / "movie.mp4", fps=12)
    levels = [frame.mean() for frame in decoded(movie)]
    assert np.allclose(levels, [40, 180], atol=3)


def test_large_frames_are_reduced(job, tmp_path):
    cv2.imwrite(str(tmp_path / "out/f.1.png"), np.zeros((100, 2 * LARGEST_SIDE_PX, 3), np.uint8))
    (frame,) = decoded(write_job_preview(job("f.1.png"), tmp_path / "movie.mp4"))
    assert frame.shape == (50, LARGEST_SIDE_PX, 3)


def test_nothing_or_different_sizes_give_no_movie(job, tmp_path):
    assert write_job_preview(job("f.1.png", "f.2.png"), tmp_path / "movie.mp4") is None
    for number, side in ((1, 32), (2, 48)):
        cv2.imwrite(str(tmp_path / f"out/f.{number}.png"), np.zeros((side, side, 3), np.uint8))
    assert write_job_preview(job("f.1.png", "f.2.png"), tmp_path / "movie.mp4") is None
    assert not (tmp_path / "movie.mp4").exists()


def test_what_counts_as_a_sequence(job):
    assert is_sequence(job("a/f.1.png", "a/f.2.png"))
    assert not is_sequence(job("a/f.1.png"))
    assert not is_sequence(job("a/f.1.png", "b/f.2.png"))
    assert not is_sequence(job("cat.png", "dog.png"))
