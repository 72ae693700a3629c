"""One network on one picture: padding, precision, tiling, receptive field, frozen norm statistics, back ends.

Knows tensors and jobs, no files.
"""
