import numpy as np

from stylegan_core.motion.plane_rows import offset_rows, plane_rows


def test_rows_of_the_same_size_are_those_of_the_plane() -> None:
    plane = np.random.default_rng(0).random((6, 8), np.float32)
    assert np.array_equal(plane_rows(plane, (6, 8), 2, 5), plane[2:5])


def test_a_ramp_stays_a_ramp_at_another_size() -> None:
    ramp = np.tile(np.arange(8, dtype=np.float32), (6, 1))
    rows = plane_rows(ramp, (12, 16), 3, 7)
    assert rows.shape == (4, 16)
    assert np.allclose(rows[:, 1:-1], np.arange(1, 15) / 2 - 0.25, atol=1e-6)  # pixel centres


def test_a_flow_is_in_pixels_of_its_frame() -> None:
    flow = np.full((6, 8, 2), (1.0, -2.0), np.float32)
    assert np.allclose(offset_rows(flow, (24, 16), 0, 24), (2.0, -8.0))
