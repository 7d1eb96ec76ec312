"""Operators that move files between FLORA and an object store, or a folder."""
