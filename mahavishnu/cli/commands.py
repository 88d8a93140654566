"""Every command of `mahavishnu`: where it stands, and the one line that the list of commands says about it."""

from __future__ import annotations

from collections.abc import Mapping

from mahavishnu.cli.lazy import Entry

_QUEUE = Entry("queue:group", "What waits for room in a budget, in the order in which it will run.")
_EXPERIMENTS = Entry(
    "experiments:group",
    "Try a change on a share of the tasks: start, status, list, pause, resume, stop, check, report, compare; power and "
    "simulate, before anything starts.",
    inlined=("experiment_reports:group", "experiment_plans:group"),
)

COMMANDS: Mapping[str, Entry] = {
    "init": Entry(
        "init:init",
        "Write a commented configuration file: config/mahavishnu.toml, or the one that --config names.",
    ),
    "route": Entry("tasks:route", "Decide which target a task would go to, without running it."),
    "execute": Entry("tasks:execute", "Run a task on the best target, and on the next ones where that fails."),
    "run": Entry("batch:run", "Run the tasks of a file."),
    "outcome": Entry(
        "tasks:outcome",
        "Record what was learnt about a decision afterwards; the next decisions take it into account.",
    ),
    "status": Entry("running:status", "What was recorded of an attempt, and what its engine says of it now."),
    "cancel": Entry("running:cancel", "Stop what still runs for a decision, also where another process began it."),
    "decisions": Entry("records:decisions", "The decisions that were made, and why."),
    "executions": Entry("records:executions", "The attempts that were made, and how each one ended."),
    "costs": Entry("costs:costs", "What was spent, to the micro-dollar: charges, and what late bills put right."),
    "doctor": Entry("doctor:doctor", "What is installed, reachable or missing, and the command that mends it."),
    "targets": Entry(
        "targets:group",
        "What tasks can be sent to: add, discover, check, list, show, enable, remove.",
        parts={"discover": "discovery:discover", "check": "discovery:check"},
    ),
    "workflow": Entry("workflow:group", "Tasks that need each other: run, status, list, cancel, resume."),
    "budgets": Entry(
        "budgets:group",
        "What may be spent: set, list, show, remove; what waits for room: queue, drain; late bills: bill.",
        parts={"drain": "queue:drain", "bill": "bills:bill"},
        groups={"queue": _QUEUE},
    ),
    "experiments": _EXPERIMENTS,
    "routing": Entry(
        "routing:group",
        "What routing has learnt: stats, orders, snapshots, recalculate, rollback; experiments: ab-test.",
        parts={"set-budget": "budgets:set_budget", "aside": "asides:aside", "release": "asides:release"},
        inlined=("planning:group",),
        groups={"ab-test": _EXPERIMENTS},
    ),
    "schedule": Entry("schedule:group", "The jobs that keep what is known up to date: serve, deploy, list, run."),
    "alerts": Entry("alerts:group", "What is out of the ordinary: list, check, ack, resolve."),
    "store": Entry("store:group", "What is kept, and where: info, get, verify, backup, restore, processes."),
    "engines": Entry("engines:group", "Real engines, started here to try things out: up."),
}
