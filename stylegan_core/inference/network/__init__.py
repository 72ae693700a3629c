"""One network on one picture: padding, precision, tiling, receptive field, frozen norm statistics, back ends.

It works on tensors and jobs, not on files.
"""
