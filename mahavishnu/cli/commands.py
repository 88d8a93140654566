"""Every command of `mahavishnu`: where it stands, and the one line that the list of commands says about it."""

from __future__ import annotations

from collections.abc import Mapping

from mahavishnu.cli.common.lazy import Entry

_QUEUE = Entry(
    "money.queue:group", "List the tasks that wait for room in a budget, in the order in which they will run."
)
_EXPERIMENTS = Entry(
    "experiments.lifecycle:group",
    "Compare a change with what is published, on a share of the tasks.",
    inlined=("experiments.reports:group", "experiments.plans:group"),
)

COMMANDS: Mapping[str, Entry] = {
    "init": Entry(
        "operations.init:init",
        "Write a commented configuration file: config/mahavishnu.toml, or the one that --config names.",
    ),
    "route": Entry("tasks.one_task:route", "Decide which target a task would go to, without running it."),
    "execute": Entry("tasks.one_task:execute", "Run a task on the best target; where that fails, on the next one."),
    "run": Entry("tasks.batch:run", "Run the tasks of a file."),
    "outcome": Entry(
        "tasks.one_task:outcome",
        "Record what was learnt about a decision after it ended. Later decisions take it into account.",
    ),
    "status": Entry(
        "tasks.status:status", "Show what was recorded about an execution, and what its engine reports now."
    ),
    "cancel": Entry(
        "tasks.status:cancel", "Stop the running executions of a decision, also those that another process started."
    ),
    "decisions": Entry("tasks.records:decisions", "List decisions, the newest first, with the reason for each."),
    "executions": Entry("tasks.records:executions", "List executions, the newest first, and how each one ended."),
    "costs": Entry(
        "money.costs:costs", "Show what was spent, to the micro-dollar: charges, and their corrections by late bills."
    ),
    "doctor": Entry(
        "operations.doctor:doctor",
        "Check what is installed, reachable or missing, and name the command that repairs it.",
    ),
    "targets": Entry(
        "targets.targets:group",
        "Manage targets, which are what tasks can be sent to.",
        parts={
            "edit": "targets.edit:edit",
            "export": "targets.target_file:export",
            "import": "targets.target_file:import_",
            "discover": "targets.discovery:discover",
            "check": "targets.discovery:check",
        },
    ),
    "workflow": Entry("workflows.workflows:group", "Run workflows: tasks that depend on each other."),
    "budgets": Entry(
        "money.budgets:group",
        "Manage budgets, the queue of tasks that wait for one, and late bills.",
        parts={"drain": "money.queue:drain", "bill": "money.bills:bill"},
        groups={"queue": _QUEUE},
    ),
    "experiments": _EXPERIMENTS,
    "routing": Entry(
        "routing.evidence:group",
        "Show and publish what routing has learnt; set strategies; plan under budgets.",
        parts={
            "set-budget": "money.budgets:set_budget",
            "aside": "routing.asides:aside",
            "release": "routing.asides:release",
        },
        inlined=("routing.planning:group",),
        groups={"ab-test": _EXPERIMENTS},
    ),
    "schedule": Entry(
        "operations.schedule:group", "Run the scheduled jobs that keep statistics, orders and alerts up to date."
    ),
    "alerts": Entry("operations.alerts:group", "List, acknowledge and resolve alerts."),
    "store": Entry("operations.store:group", "Inspect, verify, back up, restore and upgrade the store."),
    "engines": Entry("targets.sandbox:group", "Start real engines on this machine to try things out."),
}
