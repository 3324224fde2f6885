"""How many cases the property tests try, and which: the profiles "ci" and "nightly".

`KERAS_SLASHED_CASES=nightly` chooses the second: more shapes, other cases every time,
and at least 5,000 in all. A failing case is printed with what reproduces it.
"""

import os

import hypothesis

PROFILE = os.environ.get("KERAS_SLASHED_CASES", "ci")

# No deadline: the first case of a shape compiles. No database: nothing is left behind.
_COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [hypothesis.HealthCheck.too_slow],
}
hypothesis.settings.register_profile("ci", max_examples=15, derandomize=True, **_COMMON)
hypothesis.settings.register_profile("nightly", max_examples=420, print_blob=True, **_COMMON)
hypothesis.settings.load_profile(PROFILE)
