"""Frames in memory, as the measurement of normalization statistics reads them."""

import numpy as np


class Frame:
    """Rows of a picture in memory; notes how many are asked for at once."""

    def __init__(self, unit):
        self.pixels, self.most_rows = unit, 0

    @property
    def height_px(self):
        return self.pixels.shape[0]

    @property
    def width_px(self):
        return self.pixels.shape[1]

    def unit(self, first, last):
        self.most_rows = max(self.most_rows, last - first)
        return self.pixels[first:last]


def frames(*sizes):
    rng = np.random.default_rng(5)
    waves = [np.sin(np.mgrid[0:h, 0:w, 0:3].sum(0) / (5 + i)) * 0.3 + 0.4 for i, (h, w) in enumerate(sizes)]
    return [Frame(np.clip(wave + rng.normal(0, 0.1, wave.shape), 0, 1).astype(np.float32)) for wave in waves]


def opened(given):
    return [lambda each=each: each for each in given]
