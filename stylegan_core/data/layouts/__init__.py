"""Layouts of published data sets and folders: CIFAR-10, LSUN, CelebA, ImageNet, FFHQ, halves, label tables.

Each lists files and labels as sources; ``data.selection`` decides what becomes data.
"""
