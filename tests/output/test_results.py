"""Numbers of many pictures: running sums, and records that bring them back to the bit."""

import dataclasses
import json

import numpy as np
import pytest

from iem_jax.evaluation.metrics import SCORES, scores_from_counts
from iem_jax.output.results import Counts, Means, Result, from_record, history_rows, metrics_rows, to_record


def make_results(number: int, iterations: int) -> list[Result]:
    """Some without a ground truth, some with an empty one, some failed, some that do not count."""
    generator = np.random.default_rng(number)
    results = []
    for index in range(number):
        errors = generator.random(iterations, np.float32)
        area = generator.integers(1, 900, iterations, np.int32)
        truth = int(generator.integers(0, 900)) if index % 5 else 0
        overlap = np.minimum(area, truth).astype(np.int32) if index % 3 else None
        status = ("ok", "uncertain", "uniform", "ok", "ok")[index % 5]
        measured = Result(f"p{index}", status, "", 0.5, errors, area)
        if overlap is not None:
            measured = dataclasses.replace(measured, overlap=overlap, truth_area=truth, pixels=1024)
        results.append(Result(f"p{index}", "failed", "why: so") if index % 7 == 6 else measured)
    return results


def scores_of(result: Result) -> np.ndarray:
    area, overlap = (np.asarray(x, np.float64) for x in (result.area, result.overlap))
    return np.stack(scores_from_counts(area, overlap, float(result.truth_area), result.pixels))


@pytest.mark.parametrize("iterations", [1, 3, 150])
@pytest.mark.parametrize("number", [1, 63, 64, 65, 300])
def test_means_are_sums_one_after_the_other_to_the_bit(number, iterations):
    results = make_results(number, iterations)
    valid = [result for result in results if result.status in ("ok", "uncertain")]
    total = np.zeros(iterations)
    for result in valid:
        total = total + np.asarray(result.inp_error, np.float64)
    expected = {"inp_error": total / max(len(valid), 1)}
    scored = [result for result in valid if result.is_scored]
    if scored:
        total = np.zeros((len(SCORES), iterations))
        for result in scored:
            total = total + scores_of(result)
        expected |= dict(zip(SCORES, total / len(scored), strict=True))
    rows = history_rows(results)
    assert [row["iteration"] for row in rows] == list(range(iterations))
    for key, values in expected.items():
        assert [row[key] for row in rows] == values.tolist()


def test_means_may_be_looked_at_on_the_way():
    results, means = make_results(200, 5), Means()
    for number, result in enumerate(results, 1):
        means.add(result)
        if number % 50 == 0:
            assert means.rows() == history_rows(results[:number])


def test_rows_are_the_last_iteration():
    results = make_results(200, 4)
    for row, result in zip(metrics_rows(results), results, strict=True):
        assert row["name"] == result.name
        if result.inp_error is not None:
            assert row["inp_error"] == float(result.inp_error[-1])
        if result.overlap is not None:
            expected = dict(zip(SCORES, scores_of(result)[:, -1], strict=True))
            for key in SCORES:
                if key != "miou":
                    np.testing.assert_equal(row[key], expected[key])


@pytest.mark.parametrize("result", make_results(21, 6))
def test_records_bring_results_back(result):
    record, curve = to_record(result)
    back = from_record(json.loads(json.dumps(record)), curve)
    for field in dataclasses.fields(Result):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(result, field.name))


def test_counts():
    counts = Counts(make_results(35, 2))
    assert counts.failed == counts.by_status()["failed"] == 5
    assert counts.by_status()["pictures"] == 35
    assert counts.reasons == {"why": 5}
