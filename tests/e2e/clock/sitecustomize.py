"""On PYTHONPATH, so that every Python of a test's Airflow loads it first: the triggerer's clock may be wrong."""

import sys

if "triggerer" in sys.orig_argv:
    from tests.e2e.wrong_clock import follow

    follow()
