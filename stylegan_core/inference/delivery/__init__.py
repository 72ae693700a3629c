"""What follows the frames: the movie, the preview, the contact sheet, and verification of a folder.

Reads finished outputs; makes no frame.
"""
