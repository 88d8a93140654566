"""How many tests the adaptive router's seed asks for in each of its files, and the files that hold them here."""

import ast
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1]

ASKED = {
    "test_prefect_adapter": (20, ("adapters/test_prefect.py",)),
    "test_agno_adapter": (20, ("adapters/test_agno.py",)),
    "test_llamaindex_adapter": (5, ("adapters/test_llamaindex.py",)),
    "test_metrics_storage": (15, ("compat/test_metrics.py", "compat/test_keys.py")),
    "test_metrics_collector": (15, ("compat/test_tracker.py",)),
    "test_statistical_router": (20, ("policies/test_statistical.py", "stats/test_ordering.py")),
    "test_cost_optimizer": (15, ("compat/test_doors.py", "planning/test_constraints.py")),
    "test_multi_objective": (10, ("planning/test_pareto.py",)),
}


def functions_in(path):
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


@pytest.mark.parametrize("asked", ASKED)
def test_a_file_that_the_seed_names_has_its_tests_here(asked):
    least, files = ASKED[asked]
    assert sum(len(functions_in(UNIT / file)) for file in files) >= least


def test_there_are_more_than_a_hundred_and_eighty_tests():
    assert sum(len(functions_in(path)) for path in UNIT.rglob("test_*.py")) > 180
