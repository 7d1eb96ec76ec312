"""Files on their way to FLORA and from it."""
