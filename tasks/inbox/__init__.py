"""Hot folder: shots that arrive in INBOX/MODEL/ are stylized once, when they have stopped growing.

``inbox.py`` makes one look; begin there.
"""
