"""The workflows that the tests of LlamaIndex need, on the server that is started for trying out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from llama_index.core import Document, VectorStoreIndex
from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from mahavishnu_llamaindex.offline import OfflineEmbedding, OfflineLLM
from mahavishnu_llamaindex.sandbox_server import serve, where


class Question(StartEvent):
    question: str


class Piece(Event):
    delta: str


class Echo(Workflow):
    @step
    async def only(self, event: StartEvent) -> StopEvent:
        return StopEvent(result=event.get("input"))


class Fields(Workflow):
    @step
    async def only(self, event: StartEvent) -> StopEvent:
        return StopEvent(result=dict(event.items()))


class Answer(Workflow):
    def __init__(self) -> None:
        super().__init__(timeout=None)
        index = VectorStoreIndex.from_documents(
            [
                Document(text="A breaker opens after five failures in a row.", metadata={"file": "breaker.md"}),
                Document(text="Money is kept in whole micro-dollars.", metadata={"file": "money.md"}),
            ],
            embed_model=OfflineEmbedding(),
        )
        self._engine = index.as_query_engine(llm=OfflineLLM(), similarity_top_k=1)

    @step
    async def only(self, event: StartEvent) -> StopEvent:
        return StopEvent(result=await self._engine.aquery(event.get("input")))


class Typed(Workflow):
    @step
    async def only(self, event: Question) -> StopEvent:
        return StopEvent(result={"asked": event.question})


class Failing(Workflow):
    @step
    async def only(self, event: StartEvent) -> StopEvent:
        raise ValueError(f"cannot do {event.get('input')}")


class Spelling(Workflow):
    @step
    async def only(self, event: StartEvent, context: Context) -> StopEvent:
        for letter in event.get("input"):
            context.write_event_to_stream(Piece(delta=letter))
        return StopEvent(result=event.get("input"))


class Waiting(Workflow):
    """Never ends by itself; says in a file that it began, and that it was stopped."""

    def __init__(self, folder: Path, timeout: float | None = None) -> None:
        super().__init__(timeout=timeout)
        self._folder = folder

    @step
    async def only(self, event: StartEvent, context: Context) -> StopEvent:
        mark = self._folder / event.get("input")
        mark.write_text("began")
        context.write_event_to_stream(Piece(delta="waiting"))
        try:
            # Not on an Event of its own: nothing else would hold the run, and Python would collect it in mid-run.
            await asyncio.sleep(3600)
        finally:
            mark.write_text("stopped")
        return StopEvent()


class Gate(Workflow):
    """Ends when there is a file of the name that it was given; says in another that it waits for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(timeout=None)
        self._folder = folder

    @step
    async def only(self, event: StartEvent) -> StopEvent:
        (self._folder / f"{event.get('input')}.awaited").write_text("began")
        while not (self._folder / event.get("input")).exists():
            await asyncio.sleep(0.02)
        return StopEvent(result="open")


def workflows(folder: Path) -> Mapping[str, Workflow]:
    return {
        "echo": Echo(timeout=None),
        "fields": Fields(timeout=None),
        "answer": Answer(),
        "typed": Typed(timeout=None),
        "failing": Failing(timeout=None),
        "spelling": Spelling(timeout=None),
        "waiting": Waiting(folder),
        "hurried": Waiting(folder, timeout=0.2),
        "gate": Gate(folder),
    }


def main() -> None:
    port, folder = where()
    serve(workflows(folder), port, folder)


if __name__ == "__main__":
    main()
