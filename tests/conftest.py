"""The tests that `make test-fast` leaves out: modules that start processes, train or draw for seconds."""

from pathlib import Path

import pytest

SLOW = frozenset(
    {
        "test_benchmarks",
        "test_chaos",
        "test_claim_measures",
        "test_claims",
        "test_cli",
        "test_cluster",
        "test_compare",
        "test_comparisons",
        "test_drawn_tables",
        "test_effects",
        "test_engines",
        "test_figures",
        "test_generated_input",
        "test_growth",
        "test_judge",
        "test_latex",
        "test_measures",
        "test_named_data",
        "test_odd_pictures",
        "test_own_framework",
        "test_package",
        "test_partial_rows",
        "test_parts",
        "test_plan",
        "test_pool",
        "test_power",
        "test_python_engine",
        "test_readme",
        "test_reference",
        "test_regions",
        "test_regression",
        "test_report",
        "test_runner",
        "test_scores",
        "test_sentences",
        "test_show",
        "test_stack",
        "test_statements",
        "test_status",
        "test_store",
        "test_torch_nn",
        "test_verdict_rates",
        "test_verdicts",
    }
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow modules."""
    for item in items:
        if Path(item.path).stem in SLOW:
            item.add_marker(pytest.mark.slow)
