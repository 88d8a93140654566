"""Every command of `mahavishnu`: where it stands, and the one line that the list of commands says about it."""

from __future__ import annotations

from collections.abc import Mapping

from mahavishnu.cli.common.lazy import Entry

_QUEUE = Entry("queue:group", "List the tasks that wait for room in a budget, in the order in which they will run.")
_EXPERIMENTS = Entry(
    "experiments:group",
    "Compare a change with what is published, on a share of the tasks.",
    inlined=("experiment_reports:group", "experiment_plans:group"),
)

COMMANDS: Mapping[str, Entry] = {
    "init": Entry(
        "init:init",
        "Write a commented configuration file: config/mahavishnu.toml, or the one that --config names.",
    ),
    "route": Entry("tasks:route", "Decide which target a task would go to, without running it."),
    "execute": Entry("tasks:execute", "Run a task on the best target; where that fails, on the next one."),
    "run": Entry("batch:run", "Run the tasks of a file."),
    "outcome": Entry(
        "tasks:outcome",
        "Record what was learnt about a decision after it ended. Later decisions take it into account.",
    ),
    "status": Entry("running:status", "Show what was recorded about an execution, and what its engine reports now."),
    "cancel": Entry(
        "running:cancel", "Stop the running executions of a decision, also those that another process started."
    ),
    "decisions": Entry("records:decisions", "List decisions, the newest first, with the reason for each."),
    "executions": Entry("records:executions", "List executions, the newest first, and how each one ended."),
    "costs": Entry(
        "costs:costs", "Show what was spent, to the micro-dollar: charges, and their corrections by late bills."
    ),
    "doctor": Entry(
        "doctor:doctor", "Check what is installed, reachable or missing, and name the command that repairs it."
    ),
    "targets": Entry(
        "targets:group",
        "Manage targets, which are what tasks can be sent to.",
        parts={
            "edit": "target_edit:edit",
            "export": "target_file:export",
            "import": "target_file:import_",
            "discover": "discovery:discover",
            "check": "discovery:check",
        },
    ),
    "workflow": Entry("workflow:group", "Run workflows: tasks that depend on each other."),
    "budgets": Entry(
        "budgets:group",
        "Manage budgets, the queue of tasks that wait for one, and late bills.",
        parts={"drain": "queue:drain", "bill": "bills:bill"},
        groups={"queue": _QUEUE},
    ),
    "experiments": _EXPERIMENTS,
    "routing": Entry(
        "routing:group",
        "Show and publish what routing has learnt; set strategies; plan under budgets.",
        parts={"set-budget": "budgets:set_budget", "aside": "asides:aside", "release": "asides:release"},
        inlined=("planning:group",),
        groups={"ab-test": _EXPERIMENTS},
    ),
    "schedule": Entry("schedule:group", "Run the scheduled jobs that keep statistics, orders and alerts up to date."),
    "alerts": Entry("alerts:group", "List, acknowledge and resolve alerts."),
    "store": Entry("store:group", "Inspect, verify, back up, restore and upgrade the store."),
    "engines": Entry("engines:group", "Start real engines on this machine to try things out."),
}
