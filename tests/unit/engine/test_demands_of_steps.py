"""A step's own demands: read from a file, kept as JSON, handed to its task."""

import json
from decimal import Decimal

import pytest

from mahavishnu.engine.workflows.definitions import definition_of, read_workflow, workflow_of
from mahavishnu.errors import InputError
from mahavishnu.model.objective import OBJECTIVES, Objective

FILE = """
[workflow]
name = "w"

[steps.first]
type = "etl"
text = "x"
max_cost_usd = 0.1
min_success_rate = 0.9
min_quality = 1
objective = "Interactive"

[steps.second]
type = "etl"
text = "y"
objective = { success = 3, cost = 1 }
"""


def step(lines):
    return f'[workflow]\nname = "w"\n[steps.a]\ntype = "etl"\ntext = "x"\n{lines}\n'


def test_what_a_step_demands_is_demanded_by_its_task():
    first, second = read_workflow(FILE).steps
    task = first.task({})
    assert (task.max_cost_usd, task.min_success_rate, task.min_quality) == (Decimal("0.1"), 0.9, 1)
    assert task.objective == OBJECTIVES["latency"]
    assert second.task({}).objective == Objective(success=3, cost=1)
    assert second.task({}).max_cost_usd is None


def test_the_demands_survive_as_json():
    workflow = read_workflow(FILE)
    kept = json.loads(json.dumps(definition_of(workflow)))
    assert workflow_of(kept) == workflow
    assert kept["steps"]["second"]["objective"] == {"success": 3, "cost": 1}
    assert kept["steps"]["first"]["max_cost_usd"] == "0.1"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("max_cost_usd = -1", '"max_cost_usd" in [steps.a] is negative: -1'),
        ("max_cost_usd = true", '"max_cost_usd" in [steps.a] is not an amount of dollars: True'),
        ("min_quality = 2", 'step "a": The task\'s min_quality must lie between 0 and 1'),
        ('objective = "speed"', 'step "a": The task\'s objective "speed" is none of success'),
        ("objective = { speed = 1 }", 'step "a": The task\'s objective weighs "speed"'),
        ("objective = 5", '"objective" in [steps.a] must be a word such as latency'),
        ("max_cost = 1", 'unknown key "max_cost" in [steps.a]; did you mean "max_cost_usd"?'),
    ],
)
def test_a_demand_that_cannot_be_meant_names_its_step(lines, sentence):
    with pytest.raises(InputError) as raised:
        read_workflow(step(lines))
    assert sentence in str(raised.value)
