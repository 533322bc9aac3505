"""The tests that `make test-fast` leaves out: modules that start processes, train or draw for seconds."""

from pathlib import Path

import pytest

SLOW = (
    *(
        "test_benchmarks",
        "test_readme",
        "test_verdict_rates",
        "test_generated_input",
        "test_chaos",
        "test_claims",
        "test_cli",
        "test_cluster",
    ),
    *(
        "test_compare",
        "test_comparisons",
        "test_power",
        "test_drawn_tables",
        "test_effects",
        "test_figures",
        "test_growth",
        "test_named_data",
    ),
    *(
        "test_odd_pictures",
        "test_own_framework",
        "test_torch_nn",
        "test_plan",
        "test_pool",
        "test_python_engine",
        "test_reference",
        "test_regions",
        "test_report",
    ),
    *("test_runner", "test_show", "test_status", "test_statements", "test_store", "test_verdicts"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow modules."""
    for item in items:
        if Path(item.path).stem in SLOW:
            item.add_marker(pytest.mark.slow)
