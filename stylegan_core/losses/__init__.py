"""Loss terms, one family a file."""
