"""How many cases the property tests try, and which: the profiles "ci" and "nightly".

`KERAS_SLASHED_CASES=nightly` chooses the second: more shapes, other cases every time,
and at least 5,000 in all. A failing case is printed with what reproduces it.
"""

import os

import hypothesis
import keras

PROFILE = os.environ.get("KERAS_SLASHED_CASES", "ci")

# No deadline: the first case of a shape compiles. No database: nothing is left behind.
_COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [hypothesis.HealthCheck.too_slow],
}
# On JAX each shape is compiled.
_BY_DAY = 5 if keras.backend.backend() == "jax" else 15
hypothesis.settings.register_profile("ci", max_examples=_BY_DAY, derandomize=True, **_COMMON)
hypothesis.settings.register_profile("nightly", max_examples=420, print_blob=True, **_COMMON)
hypothesis.settings.load_profile(PROFILE)
