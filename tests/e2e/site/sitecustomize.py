"""On PYTHONPATH, so that every Python of a test's Airflow loads it first; it is about triggerers only.

Their clocks may be wrong, and they bear refusals for less than minutes.
"""

import sys

if "triggerer" in sys.orig_argv:
    from tests.e2e.impatience import shorten
    from tests.e2e.wrong_clock import follow

    follow()
    shorten()
