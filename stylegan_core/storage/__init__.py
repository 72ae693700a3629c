"""Files that survive a kill: atomic writes, append-only records, content hashes, the user's cache folder.

The lowest package; independent of pictures.
"""
