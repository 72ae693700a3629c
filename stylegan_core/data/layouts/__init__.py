"""Published data sets and folder layouts: CIFAR-10, LSUN, halves side by side, attribute tables.

Each finds files and labels; none decides what becomes data.
"""
