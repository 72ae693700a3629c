"""Settings of ``swap`` by part, each with what is computed under them: its networks, and its terms on trained features.

Begin with ``networks``.
"""
