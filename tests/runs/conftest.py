"""How much hypothesis tries, as in tests/api; these tests are run alone as well."""

import os

from hypothesis import settings as hypothesis_settings

hypothesis_settings.register_profile("default", max_examples=100, deadline=None)
hypothesis_settings.register_profile("thorough", max_examples=10_000, deadline=None)
hypothesis_settings.load_profile(os.environ.get("FLORA_HYPOTHESIS_PROFILE", "default"))
