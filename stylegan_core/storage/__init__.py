"""Files that survive a kill: atomic writes, append-only records, content hashes, the user's cache folder.

Lies under every other package and knows nothing of pictures.
"""
