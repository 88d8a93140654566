"""The table of requirements holds: a figure that a row names cannot be changed without the row's test failing."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.integration.mutants import ROOT, Mutant

SETTINGS, SCORING = "mahavishnu/settings/tables.py", "mahavishnu/stats/scoring.py"
FIGURES = "tests/unit/compat/test_seeds_figures.py::"
ENGINES = "tests/unit/adapters/test_seeds_figures.py::"
DOORS = "tests/unit/compat/test_doors.py::"
OVERHEAD = "tests/unit/engine/test_overhead.py::test_routing_takes_less_than_50_ms_and_a_recorded_execution_less_than_5"
PARAMETERS = "tests/unit/storage/test_parameters.py::test_no_statement_has_a_value_in_its_text_and_lists_are_bound_too"
SET_BUDGET = "tests/acceptance/test_set_budget.py::"
NARROWED = "test_what_narrows_a_budget_down_is_refused_without_room_and_nothing_else_is"
DECISION_LOG = "tests/unit/engine/test_decision_log.py::"
STATISTICAL = "tests/unit/policies/test_statistical.py::"

CONSTANTS = (
    Mutant("003-02", "mahavishnu/engine/running/attempts.py", "2 ** (tries - 1)", "1 ** (tries - 1)",
           FIGURES + "test_a_wait_doubles_with_every_try_up_to_its_bound"),
    Mutant("003-14", SETTINGS, "raw_days: Days = 90", "raw_days: Days = 60",
           FIGURES + "test_raw_facts_are_kept_ninety_days_and_sums_a_year"),
    Mutant("003-22", SETTINGS, "frequent_rate: Share = 0.1", "frequent_rate: Share = 0.3",
           FIGURES + "test_a_tenth_of_what_is_frequent_is_kept_whole_and_the_share_of_any_task_type_can_be_set"),
    Mutant("003-25", SCORING, "success_weight: float = 0.7", "success_weight: float = 0.6",
           FIGURES + "test_a_score_is_seven_tenths_success_and_three_tenths_speed"),
    Mutant("003-25", SCORING, "speed_weight: float = 0.3", "speed_weight: float = 0.4",
           FIGURES + "test_the_weights_decide_which_of_two_targets_goes_first"),
    Mutant("003-26", SCORING, "min_samples: int = 100", "min_samples: int = 50",
           STATISTICAL + "test_below_the_minimum_a_target_keeps_its_default_place_and_says_so"),
    Mutant("003-28-weekly", "mahavishnu/jobs/schedule.py", 'cron="0 3 * * 0"', 'cron="0 3 * * 1"',
           FIGURES + "test_a_recalculation_is_due_on_sundays_at_three_utc_and_on_no_other_day"),
    Mutant("003-30", "mahavishnu/model/experiment.py", "share: float = 0.1", "share: float = 0.2",
           FIGURES + "test_an_experiment_has_a_tenth_of_the_tasks_where_nothing_else_is_said"),
    Mutant("003-40", "mahavishnu/model/objective.py", '"batch": "cost"', '"batch": "latency"',
           FIGURES + "test_the_seeds_strategies_weigh_most_what_they_are_for"),
    Mutant("003-42", "mahavishnu/model/objective.py", "Objective(success=0.6, cost=0.4)",
           "Objective(success=0.7, cost=0.3)",
           FIGURES + "test_the_weighted_objective_is_six_tenths_success_and_four_tenths_cost_or_as_it_is_set"),
    Mutant("003-55", SETTINGS, "critical_rate: float = Field(default=0.8", "critical_rate: float = Field(default=0.75",
           FIGURES + "test_a_degraded_adapter_is_critical_below_eighty_percent"),
    Mutant("003-56", SETTINGS, "cost_factor: float = Field(default=3.0", "cost_factor: float = Field(default=2.5",
           FIGURES + "test_costs_are_critical_from_three_times_the_average_before"),
)  # fmt: skip
"""A dozen of the figures that rows name, each as something near it. Their tests are fast."""

BEHAVIOUR = (
    Mutant("003-06", "adapters/mahavishnu_agno/adapter.py", "max_concurrent: int = 10", "max_concurrent: int = 11",
           ENGINES + "test_agno_has_ten_runs_under_way_at_once_and_a_batch_of_more_is_answered_whole"),
    *(Mutant("003-33", f"adapters/mahavishnu_{adapter}/adapter.py", f'Decimal("{rate}")', 'Decimal("0.0007")',
             ENGINES + "test_a_run_in_the_cloud_costs_the_seeds_rate_and_a_local_one_nothing")
      for adapter, rate in (("prefect", "0.0001"), ("agno", "0.0002"), ("llamaindex", "0.00005"))),
    Mutant("003-08", "adapters/mahavishnu_llamaindex/adapter.py", '"supports_multi_agent": False',
           '"supports_multi_agent": True',
           "tests/unit/adapters/test_llamaindex.py::test_its_capabilities_are_those_of_the_seed"),
    Mutant("003-09", "mahavishnu/compat/orchestrator_adapter.py", "self._open = False", "pass",
           DOORS + "test_every_adapter_has_the_seeds_interface_and_what_it_executes_is_recorded"),
    Mutant("000-38", "mahavishnu/storage/sql/facts/facts_read.py",
           "select_from(joined).where(decisions.c.id == escaped(decision_id))",
           """select_from(joined).where(__import__("sqlalchemy").text(f"decisions.id = '{decision_id}'"))""",
           PARAMETERS),
    Mutant("000-38", "mahavishnu/storage/sql/money/ledger.py", "balances.c.budget.in_(wanted)",
           """balances.c.budget.in_([__import__("sqlalchemy").literal_column(f"'{name}'") for name in wanted])""",
           PARAMETERS),
    Mutant("003-51", "mahavishnu/model/budget.py", 'WEEK = "week"', 'WEEK = "weeks"',
           SET_BUDGET + "test_a_budget_starts_again_after_its_period"),
    Mutant("000-wrong-15", "mahavishnu/policies/statistical.py", "-each.rate_lo, ", "",
           FIGURES + "test_of_two_that_score_the_same_the_one_that_is_surer_to_succeed_goes_before_the_default_place"),
    *(Mutant("003-51", "mahavishnu/cli/money/budgets.py", f'"{field}": {option},', f'"{field}": None,',
             SET_BUDGET + test)
      for field, option, test in (("period", "period", "test_a_budget_starts_again_after_its_period"),
                                  *((scope, scope, NARROWED) for scope in ("task_type", "target", "adapter")),
                                  ("tags", "tag or None", NARROWED))),
    Mutant("003-23", "mahavishnu/engine/recording/collector.py",
           "(execution,) if decision is None else (decision, execution)",
           "(execution,)", DOORS + "test_what_execute_workflow_runs_is_collected_without_another_call"),
    Mutant("003-24", "mahavishnu/engine/recording/collector.py", "if reservation is None and token is None:",
           "if sum(range(1_000_000)) and reservation is None and token is None:",
           OVERHEAD),
    Mutant("003-64", "mahavishnu/engine/routing/choice.py", "began = time.perf_counter_ns()",
           "began = sum(range(6_000_000))", OVERHEAD),
    Mutant("003-47", "mahavishnu/engine/routing/choice.py",
           '"%s (decision %s)", decision.reason', '"%s (decision %s)", ""',
           DECISION_LOG + "test_each_decision_is_one_line_of_the_log_with_success_rate_cost_and_latency"),
    Mutant("003-47", "mahavishnu/policies/explain.py", "parts.append(money(seen.mean_cost_micros))", "pass",
           DECISION_LOG + "test_each_decision_is_one_line_of_the_log_with_success_rate_cost_and_latency"),
    Mutant("003-29", "mahavishnu/compat/task_router.py", "CACHE_S = 3600.0", "CACHE_S = 1800.0",
           DOORS + "test_an_order_is_kept_for_an_hour_and_a_target_that_came_since_has_its_turn_after_that"),
    Mutant("003-31", "mahavishnu/compat/task_router.py", ', policy="published"', "",
           DOORS + "test_a_task_goes_down_the_published_order_until_one_succeeds"),
    Mutant("003-43", "mahavishnu/compat/cost_optimizer.py", "**constraints_of(constraints or {})",
           "**constraints_of({})",
           DOORS + "test_the_optimal_adapter_keeps_the_constraints_and_its_reasoning_has_the_figures"),
    Mutant("003-44", "mahavishnu/jobs/strategies.py", "strategies[task_type] = objective", "pass",
           DOORS + "test_a_strategy_that_is_set_by_hand_decides_what_is_optimal"),
    Mutant("conflict-10-keys", "mahavishnu/compat/keys.py", "found = await _found(app, meant)",
           "found = globals().setdefault(key, await _found(app, meant))",
           "tests/unit/compat/test_keys.py::"
           "test_a_key_keeps_nothing_of_its_own_and_says_what_the_store_says_at_that_moment"),
    Mutant("conflict-16", "mahavishnu/compat/task_router.py", "kept.version != newest or ", "",
           DOORS + "test_an_order_that_is_published_ends_the_kept_one_at_once"),
)  # fmt: skip
"""What the soak audits besides: slower tests, and rows that name a behaviour."""

ROWS = {
    line.split("|")[1].strip(): line
    for line in (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| (\d{3}|conflict)-", line)
}


def audited(mutants: Iterable[Mutant], log: Path) -> list[tuple[int, str]]:
    """pytest's exit code for each of them: 0 where the test did not notice."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TESTS_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.integration.mutants"],
        input="".join(json.dumps(asdict(mutant)) + "\n" for mutant in mutants),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**inherited, "MUTANTS_LOG": str(log)},
    )
    assert ended.stderr == ""
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    return [(answer["code"], answer["before"]) for answer in answers]


def test_each_of_a_dozen_figures_fails_the_test_that_its_row_names_when_it_is_another(tmp_path):
    log = tmp_path / "log"
    assert audited(CONSTANTS, log) == [(1, mutant.before) for mutant in CONSTANTS], log.read_text()


@pytest.mark.parametrize("mutant", [*CONSTANTS, *BEHAVIOUR], ids=str)
def test_the_row_of_a_mutant_names_the_test_that_notices_it(mutant):
    assert f"`{mutant.test}`" in ROWS[mutant.row]


@pytest.mark.soak
def test_every_mutant_of_the_audit_fails_the_test_that_its_row_names(tmp_path):
    log = tmp_path / "log"
    assert audited(BEHAVIOUR, log) == [(1, mutant.before) for mutant in BEHAVIOUR], log.read_text()


def test_a_line_that_changes_nothing_is_noticed_by_no_test(tmp_path):
    weights = next(mutant for mutant in CONSTANTS if mutant.row == "003-25")
    harmless = replace(weights, after=weights.before.replace("0.7", "7 / 10"))
    log = tmp_path / "log"
    assert audited([harmless], log) == [(0, weights.before)], log.read_text()
