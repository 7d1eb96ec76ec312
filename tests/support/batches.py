"""Rows of batches, for tests."""

from flora_provider.batch import rows
from flora_provider.batch.problems import Problems


def rows_of(requests, defaults):
    """All rows; raises what is wrong with any of them."""
    problems = Problems()
    found = rows.rows_of(requests, defaults, problems)
    problems.raise_any()
    return found
