"""The measuring helper of the benchmarks, on a clock that the test winds."""

import gc

import keras
import pytest

from benchmarks.harness import timing


class Clock:
    """Stands still but for what functions made here take."""

    def __init__(self):
        self.now = 0.0
        self.called = []

    def __call__(self):
        return self.now

    def function(self, name, seconds):
        """Make a function that takes `seconds`, or what `seconds()` says."""

        def call():
            self.called.append(name)
            self.now += seconds() if callable(seconds) else seconds
            return name

        return call


def test_seconds_of_one_call_whatever_its_length():
    clock = Clock()
    calls = {"slow": clock.function("slow", 3.0), "fast": clock.function("fast", 1e-5)}
    samples = timing.measure(calls, rounds=4, shortest=0.02, clock=clock)
    assert samples["slow"] == pytest.approx([3.0] * 4)
    assert samples["fast"] == pytest.approx([1e-5] * 4)


def test_a_timing_lasts_long_enough_and_not_much_longer():
    clock = Clock()
    lengths = []

    def wait(result):
        lengths.append(clock.now)

    calls = {"fast": clock.function("fast", 1e-4)}
    timing.measure(calls, wait, wait_each=False, rounds=2, shortest=0.02, clock=clock)
    for length in (lengths[-1] - lengths[-2], lengths[-2] - lengths[-3]):
        assert 0.02 <= length < 0.03


def test_a_clock_too_coarse_to_see_one_call():
    clock = Clock()
    calls = {"fast": clock.function("fast", 0.004)}
    samples = timing.measure(
        calls, rounds=3, shortest=0.02, clock=lambda: clock.now // 0.015 * 0.015
    )
    assert samples["fast"] == pytest.approx([0.004] * 3, rel=0.8)


def test_functions_take_turns():
    clock = Clock()
    calls = {name: clock.function(name, 1.0) for name in "abc"}
    timing.measure(calls, rounds=3, clock=clock)
    assert "".join(clock.called[-9:]) == "abcabcabc"


def test_no_round_starts_when_the_time_is_over_but_three_always_do():
    for budget, rounds in ((0.0, 3), (4.5, 5), (1e3, 8)):
        clock = Clock()
        calls = {"one": clock.function("one", 1.0)}
        samples = timing.measure(calls, rounds=8, budget=budget, clock=clock)
        assert len(samples["one"]) == rounds


def test_results_are_waited_for():
    clock, waited = Clock(), []
    calls = {"one": clock.function("one", 0.01)}
    timing.measure(calls, waited.append, rounds=2, shortest=0.02, clock=clock)
    assert set(waited) == {"one"}
    assert len(waited) >= len(clock.called)
    waited.clear()
    clock.called.clear()
    timing.measure(calls, waited.append, wait_each=False, rounds=2, shortest=0.02, clock=clock)
    assert len(waited) < len(clock.called)


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_left_as_it_was(enabled):
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()

    def broken():
        assert not gc.isenabled()
        raise RuntimeError("out of memory")

    try:
        with pytest.raises(RuntimeError, match="out of memory"):
            timing.measure({"broken": broken}, clock=Clock())
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_a_machine_that_slows_down_leaves_the_ratio():
    clock = Clock()
    calls = {
        "softplus": clock.function("softplus", lambda: 1.0 + clock.now // 40),
        "twice": clock.function("twice", lambda: 2.0 * (1.0 + clock.now // 40)),
    }
    samples = timing.measure(calls, rounds=20, budget=1e9, clock=clock)
    assert max(samples["softplus"]) > 2 * min(samples["softplus"])
    ratios = timing.ratios(samples, "softplus")
    assert ratios["softplus"] == (1.0, 1.0, 1.0)
    assert ratios["twice"].median == pytest.approx(2.0)


def test_spread():
    assert timing.spread([4.0, 1.0, 2.0, 3.0, 5.0]) == (3.0, 2.0, 4.0)
    assert timing.spread([7.0]) == (7.0, 7.0, 7.0)


def test_the_backend_waits():
    wait, _ = timing.waiter()
    wait(keras.ops.ones(3) + 1.0)
