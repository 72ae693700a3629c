"""Pictures and film in and out: formats, sequences, colour, movies and records."""
