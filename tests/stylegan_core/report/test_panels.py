import numpy as np
import pytest
from PIL import Image

from stylegan_core.report.panels import (
    difference_picture,
    fit,
    four_panel,
    picture_grid,
    to_uint8,
)

RED = np.tile(np.array([1.0, 0.0, 0.0], np.float32), (40, 60, 1))
GREEN = np.tile(np.array([0, 255, 0], np.uint8), (40, 60, 1))


def test_to_uint8_rounds_and_clips_and_takes_grey():
    picture = np.array([[[-0.5, 0.5, 1.5]]], np.float32)
    assert to_uint8(picture).tolist() == [[[0, 128, 255]]]
    assert to_uint8(np.full((2, 3), 0.2, np.float64)).shape == (2, 3, 3)
    # every code survives the way to unit range and back
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert np.array_equal(to_uint8(codes / np.float32(255.0)), codes)


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 4), np.float32), np.zeros((4, 4, 3), np.int32)])
def test_to_uint8_refuses_what_is_no_picture(bad):
    with pytest.raises(ValueError, match="expected"):
        to_uint8(bad)


def test_difference_is_black_where_nothing_changed_and_gained_elsewhere():
    after = GREEN.copy()
    after[10, 20] = [30, 255, 200]
    difference = difference_picture(GREEN, after, gain=2.0)
    assert difference[10, 20].tolist() == [60, 0, 255]
    difference[10, 20] = 0
    assert not difference.any()
    with pytest.raises(ValueError, match="differ in shape"):
        difference_picture(GREEN, after[:-1])


def test_fit_keeps_the_aspect_and_the_pixels_that_need_no_scaling():
    assert np.array_equal(fit(GREEN, 60, 40), GREEN)
    tall = fit(GREEN, 60, 80)
    assert tall.shape == (80, 60, 3)
    assert np.array_equal(tall[20:60], GREEN)
    assert (tall[:20] == tall[0, 0]).all()


def test_four_panels_hold_the_four_pictures_in_order():
    panel = four_panel(GREEN, RED, GREEN)
    middle = panel.shape[0] - 8 - 20
    shown = [panel[middle, 8 + 30 + i * 68].tolist() for i in range(4)]
    assert shown == [[0, 255, 0], [255, 0, 0], [0, 255, 0], [255, 255, 0]]
    assert panel.shape[1] == 4 * 68 + 8


def test_a_style_of_another_size_is_scaled_into_its_panel():
    panel = four_panel(np.asarray(Image.effect_noise((300, 90), 50).convert("RGB")), RED, GREEN)
    assert panel.shape == four_panel(GREEN, RED, GREEN).shape


def test_grid_leaves_holes_and_labels_rows_and_columns():
    plain = picture_grid([[RED, None], [GREEN, RED]])
    assert plain.shape == (2 * 48 + 8, 2 * 68 + 8, 3)
    assert plain[8 + 20, 8 + 68 + 30].tolist() == [250, 250, 249]
    labelled = picture_grid([[RED, None], [GREEN, RED]], column_labels=("a", "b"), row_labels=("one", "two"))
    assert labelled.shape[0] > plain.shape[0]
    assert labelled.shape[1] > plain.shape[1]
    with pytest.raises(ValueError, match="column labels"):
        picture_grid([[RED]], column_labels=("a", "b"))
    with pytest.raises(ValueError, match="at least one"):
        picture_grid([[None]])


def test_labels_that_are_too_long_stay_inside_their_cell():
    sheet = picture_grid([[RED]], column_labels=["a very long name of a picture file.png"], cell_width_px=60)
    assert (sheet[:, 70:] == sheet[0, 0]).all()
    assert (sheet[:32] != sheet[0, 0]).any()
