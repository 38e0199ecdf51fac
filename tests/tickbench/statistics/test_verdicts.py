import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tickbench.statistics.verdicts import (
    ALPHA,
    MARGIN,
    Absolute,
    Verdict,
    holm,
    judge,
    log_ratios,
    paired_ratio,
    times_words,
    welch_ratio,
)

LOGS = st.lists(st.floats(-2, 2), min_size=3, max_size=20)


def logs(*ratios: float) -> list[float]:
    return [math.log(ratio) for ratio in ratios]


def around(ratio: float, spread: float, blocks: int = 8) -> list[float]:
    """Return logarithms of ratios that lie evenly around one."""
    return [math.log(ratio) + spread * (2 * block / (blocks - 1) - 1) for block in range(blocks)]


def test_a_block_is_the_ratio_of_its_two_runs_and_two_runs_of_one_arm_are_averaged() -> None:
    found = log_ratios([[2.0], [1.0, 4.0], [3.0]], [[4.0], [1.0], [3.0]])
    assert np.exp(found) == pytest.approx([2.0, 0.5, 1.0])


def test_a_block_without_a_value_of_both_is_left_out() -> None:
    assert log_ratios([[], [1.0], [0.0], [1.0], [2.0]], [[1.0], [], [1.0], [-1.0], [2.0]]) == [0.0]


@given(LOGS)
def test_the_interval_is_that_of_the_paired_t_test(values: list[float]) -> None:
    found = paired_ratio(values)
    assert found is not None
    if np.std(values) < 1e-9:
        return
    expected = stats.ttest_1samp(values, 0)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-12)
    low, high = expected.confidence_interval(1 - ALPHA)
    assert [found.low, found.high] == pytest.approx([math.exp(low), math.exp(high)])
    assert found.ratio == pytest.approx(math.exp(np.mean(values)))


def test_one_block_has_a_ratio_and_no_interval() -> None:
    found = paired_ratio(logs(1.5))
    assert found is not None
    assert (found.blocks, found.low, found.high, found.p_value) == (1, None, None, None)
    assert found.words == "1.5 times [one alone]"
    assert paired_ratio([]) is None


def test_blocks_that_do_not_differ_at_all() -> None:
    same, more = paired_ratio([0.0] * 4), paired_ratio(logs(1.25, 1.25, 1.25, 1.25))
    assert same is not None
    assert more is not None
    assert (same.low, same.high, same.p_value) == (1, 1, 1)
    assert more.ratio == pytest.approx(1.25)
    assert more.p_value == 0


def test_holm_by_hand() -> None:
    assert [adjusted for adjusted, _ in holm([0.01, 0.04, 0.03, 0.005])] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    levels = [level for _, level in holm([0.01, 0.04, 0.03, 0.005])]
    assert levels == pytest.approx([ALPHA / 3, ALPHA / 2, ALPHA / 2, ALPHA / 4])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_adjusts_upwards_and_what_passes_its_level_is_what_is_adjusted_below_alpha(p_values: list[float]) -> None:
    for p_value, (adjusted, level) in zip(p_values, holm(p_values), strict=True):
        assert p_value <= adjusted <= 1
        if abs(adjusted - ALPHA) > 1e-9:
            assert (p_value <= level) is (adjusted <= ALPHA)


def test_a_clear_difference_is_better_by_so_much() -> None:
    (verdict,) = judge([around(1.5, 0.05)])
    assert (verdict.kind, verdict.winner) == ("better", "first")
    assert verdict.words == "better by 1.5 times [1.46 to 1.54]"
    (verdict,) = judge([around(1 / 1.5, 0.05)])
    assert (verdict.kind, verdict.winner) == ("better", "other")
    assert verdict.words == "better by 1.5 times [1.46 to 1.54]"
    (verdict,) = judge([around(1.5, 0.05)], higher_is_better=[True])
    assert verdict.winner == "other"


def test_a_small_difference_is_none_however_sure_it_is() -> None:
    (verdict,) = judge([around(1.03, 0.01)])
    assert verdict.ratio is not None
    assert verdict.ratio.p_value is not None
    assert verdict.ratio.p_value < 0.001
    assert (verdict.kind, verdict.winner) == ("equivalent", None)
    assert verdict.words.startswith("equivalent within 10 % 1.03 times [")


def test_noise_is_inconclusive() -> None:
    (verdict,) = judge([around(1.05, 0.4)])
    assert verdict.kind == "inconclusive"
    assert verdict.words == "inconclusive 1.05 times [0.831 to 1.33]"


def test_with_too_few_blocks_there_is_no_verdict_and_it_still_counts_as_one() -> None:
    few, enough = judge([logs(2.0, 2.1), around(1.5, 0.05)])
    assert (few.kind, few.adjusted_p_value) == ("inconclusive", None)
    assert few.ratio is not None
    assert enough.ratio is not None
    assert enough.ratio.confidence == 1 - ALPHA / 2
    assert judge([[]]) == [Verdict("inconclusive", None, None, None)]
    assert judge([[]])[0].words == "inconclusive: no block has a valid run of both"


@given(st.lists(LOGS, min_size=1, max_size=6))
def test_what_is_called_better_has_an_interval_without_one_and_only_that(comparisons: list[list[float]]) -> None:
    for verdict in judge(comparisons):
        ratio = verdict.ratio
        assert ratio is not None
        assert ratio.low is not None
        assert ratio.high is not None
        inside = ratio.low >= 1 / MARGIN and ratio.high <= MARGIN
        around_one = ratio.low <= 1 <= ratio.high
        assert (verdict.kind == "equivalent") is inside
        assert (verdict.kind == "better") is (not inside and not around_one)
        if verdict.kind == "better":
            assert verdict.adjusted_p_value is not None
            assert verdict.adjusted_p_value <= ALPHA + 1e-9


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=12), st.lists(st.floats(0.1, 10), min_size=2, max_size=12))
def test_runs_that_were_not_made_side_by_side_are_compared_by_welch(first: list[float], other: list[float]) -> None:
    found = welch_ratio(first, other)
    assert found is not None
    assert found.ratio == pytest.approx(stats.gmean(other) / stats.gmean(first))
    ours, theirs = np.log(first), np.log(other)
    if np.std(ours) + np.std(theirs) < 1e-9:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's, of one side that does not vary
        expected = stats.ttest_ind(theirs, ours, equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-9)
    low, high = expected.confidence_interval(1 - ALPHA)
    assert [found.low, found.high] == pytest.approx([math.exp(low), math.exp(high)], rel=1e-6)


def test_welch_without_enough_runs() -> None:
    assert welch_ratio([], [1.0]) is None
    assert welch_ratio([-1.0], [1.0]) is None
    one = welch_ratio([1.0], [2.0, 2.0])
    assert one is not None
    assert (one.ratio, one.low) == (2.0, None)


@pytest.mark.parametrize("scatter", [1e-2, 1e-3, 1e-4, 1e-6])
def test_welch_of_runs_that_hardly_differ(scatter: float) -> None:
    ours = [math.exp(scatter * step) for step in (-1.2, -0.4, 0.1, 0.3, 1.2, 0.5, -0.6, 0.1)]
    theirs = [1.01 * math.exp(0.3 * scatter * step) for step in (0.2, -1.0, 0.9, 0.4, -0.5, 0.7, -1.1, 0.4)]
    found = welch_ratio(ours, theirs)
    expected = stats.ttest_ind(np.log(theirs), np.log(ours), equal_var=False)
    assert found is not None
    low, high = expected.confidence_interval(1 - ALPHA)
    assert [found.low, found.high] == pytest.approx([math.exp(low), math.exp(high)], rel=1e-9)


def test_what_is_only_known_so_far_widens_the_interval() -> None:
    same = logs(1.2, 1.2, 1.2, 1.2)
    (exact,) = judge([same], higher_is_better=[True])
    (coarse,) = judge([same], higher_is_better=[True], resolution=[1.25])
    assert (exact.kind, exact.winner) == ("better", "other")
    assert (coarse.kind, coarse.winner) == ("inconclusive", None)
    assert coarse.ratio is not None
    assert [coarse.ratio.low, coarse.ratio.high] == pytest.approx([1.2 / 1.25, 1.2 * 1.25])


def test_a_stricter_level_is_held_to() -> None:
    near = around(1.2, 0.28)
    assert [judge([near], alpha=alpha)[0].kind for alpha in (0.05, 0.01)] == ["better", "inconclusive"]


def test_differences_decide_only_what_the_ratios_leave_open() -> None:
    wide, clear, near = around(1.1, 0.4), around(1.5, 0.1), around(1.02, 0.01)
    tiny = Absolute([0.1, -0.1, 0.2, 0.0, 0.1, -0.2, 0.1, 0.0], 0.5, "0.5 ms")
    verdicts = judge([wide, clear, near], absolute=[tiny, tiny, tiny])
    assert [verdict.short_words for verdict in verdicts] == [
        "equivalent within 0.5 ms",
        "better by 1.5 times",
        "equivalent within 10 %",
    ]
    assert [verdict.kind for verdict in judge([wide, clear, near])] == ["inconclusive", "better", "equivalent"]
    assert verdicts[0].winner is None
    assert judge([wide], absolute=[None])[0].kind == "inconclusive"
    assert judge([logs(1.1, 0.9)], absolute=[tiny])[0].kind == "inconclusive", "too few blocks"


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=20), st.floats(0.01, 2))
def test_the_interval_of_the_differences_is_that_of_the_t_test(differences: list[float], negligible: float) -> None:
    if np.std(differences) < 1e-6:
        return
    low, high = stats.t.interval(0.95, len(differences) - 1, np.mean(differences), stats.sem(differences))
    if min(abs(low + negligible), abs(high - negligible)) < 1e-6:
        return
    (verdict,) = judge([around(1.1, 0.4)], absolute=[Absolute(differences, negligible, "so much")])
    assert (verdict.kind == "equivalent") == (-negligible <= low and high <= negligible)


def test_differences_are_seldom_negligible_that_are_not() -> None:
    rng = np.random.default_rng(5)
    tries = [Absolute(list(rng.normal(0.5, 0.4, 8)), 0.5, "0.5 ms") for _ in range(2000)]
    wrong = [judge([around(1.3, 0.9)], absolute=[each])[0].kind == "equivalent" for each in tries]
    assert np.mean(wrong) <= 0.05


def test_a_ratio_is_told_without_an_exponent_and_reads_as_1_only_where_it_is() -> None:
    said = {
        1.0: "1",
        1.002: "1.00",
        0.999: "0.999",
        0.9999: "1.00",
        1.5: "1.5",
        15.64: "15.6",
        999.7: "1,000",
        1523.4: "1,523",
    }
    assert {ratio: times_words(ratio) for ratio in said} == said
