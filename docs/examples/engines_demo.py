"""Real engines, started here, behind one orchestrator: an AgentOS, a LlamaIndex server and a model.

`make demo` runs it after demo.py. The models behind the engines are simulated. A Prefect server takes half a minute to
start and is left out: `mahavishnu engines up` starts it as well.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from mahavishnu import Report, Task
from mahavishnu.app import open_app
from mahavishnu.settings import load_settings

ENGINES = "agno,llamaindex,openai"
QUESTIONS = ("What is a target?", "What is a decision?", "What does admission keep?", "What is evidence?")


@contextmanager
def engines(folder: Path, console: Console) -> Iterator[Path]:
    """The engines, up, and the configuration that finds them; they are stopped afterwards."""
    command = [sys.executable, "-m", "mahavishnu.cli.main", "engines", "up", "--only", ENGINES, "--json"]
    with subprocess.Popen(
        [*command, "--folder", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            for line in process.stdout or ():
                told = json.loads(line)
                if "config" in told:
                    yield Path(told["config"])
                    return
                console.print(f"[green]✓[/] {told['engine']} is up at {told['url']}")
            raise SystemExit("The engines did not come up; run: mahavishnu engines up")
        finally:
            process.send_signal(signal.SIGTERM)


async def ask_everything(config: Path, console: Console) -> None:
    tasks = [Task(type="chat", text=f"Hello number {number}") for number in range(24)]
    tasks += [Task(type="ask", text=question) for question in QUESTIONS]
    store = {"url": f"sqlite:///{config.parent / 'demo.db'}"}
    async with open_app(load_settings(config, {}, {"store": store})) as app:
        reports = await app.orchestrator.execute_many(tasks, concurrency=4)
    console.print(table_of(reports))
    last = reports[-1]
    console.print(f"[bold]{QUESTIONS[-1]}[/] {last.value}")
    console.print(f"[dim]{last.decision.reason}[/]")


def table_of(reports: list[Report]) -> Table:
    attempts = defaultdict(list)
    for report in reports:
        for each in report.executions:
            attempts[each.task_type, each.adapter, each.target].append(each)
    table = Table("type", "engine", "target", "runs", "good", "ms", "tokens")
    for (task_type, adapter, target), made in sorted(attempts.items()):
        good = sum(each.status.value == "succeeded" for each in made)
        tokens = sum(each.usage.input_tokens + each.usage.output_tokens for each in made)
        ms = median(each.latency_ms or 0 for each in made)
        table.add_row(task_type, adapter, target, str(len(made)), str(good), f"{ms:.0f}", str(tokens))
    return table


def main() -> None:
    console = Console()
    console.rule("The same over real engines")
    with tempfile.TemporaryDirectory() as folder, engines(Path(folder), console) as config:
        asyncio.run(ask_everything(config, console))


if __name__ == "__main__":
    main()
