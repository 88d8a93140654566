"""A workflow server to try things out with: it answers from mahavishnu's own documentation, without any model.

Run it with `python -m mahavishnu_llamaindex.sandbox_server --port PORT --folder FOLDER`; WORKFLOW_SERVER_KEY holds the
key that callers must give, if they must give one.
"""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Mapping
from importlib.metadata import metadata
from pathlib import Path

import uvicorn
from llama_agents.server import SqliteWorkflowStore, WorkflowServer
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.node_parser import MarkdownNodeParser, TokenTextSplitter
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from workflows import Workflow, step
from workflows.events import StartEvent, StopEvent

from mahavishnu_llamaindex.offline import OfflineEmbedding, OfflineLLM
from mahavishnu_llamaindex.sandbox import HOST, KEY

CHECKOUT = Path(__file__).parents[2]


def documents() -> list[Document]:
    """The checkout's README and docs; of an installed package, only the README is left."""
    readme = CHECKOUT / "README.md"
    if not readme.is_file():
        return [_document("README.md", str(metadata("mahavishnu").json["description"]))]
    files = [readme, *sorted((CHECKOUT / "docs").rglob("*.md"))]
    # One long table without a sentence in it, which has nearly every word and answers nothing.
    prose = [each for each in files if each.name != "conformance.md"]
    return [_document(str(each.relative_to(CHECKOUT)), each.read_text(encoding="utf-8")) for each in prose]


def _document(name: str, text: str) -> Document:
    """Answers are put together from what stands in the file, and not from what is known of it."""
    return Document(text=text, metadata={"file_name": name}, excluded_llm_metadata_keys=["file_name", "header_path"])


def engine_over(texts: list[Document]) -> BaseQueryEngine:
    """It finds passages that share words with the question, and answers with sentences of theirs."""
    index = VectorStoreIndex.from_documents(
        texts,
        embed_model=OfflineEmbedding(),
        # Not by sentences: that takes data of nltk, which nltk refuses to read where uv has installed it as hard links.
        transformations=[MarkdownNodeParser(), TokenTextSplitter(chunk_size=256, chunk_overlap=20)],
    )
    return index.as_query_engine(llm=OfflineLLM(), similarity_top_k=3)


class AskDocs(Workflow):
    """Answers a question from documents, with the passages that the answer rests on."""

    def __init__(self, engine: BaseQueryEngine) -> None:
        super().__init__(timeout=None)
        self._engine = engine

    @step
    async def answer(self, event: StartEvent) -> StopEvent:
        return StopEvent(result=await self._engine.aquery(str(event.get("input"))))


class Guard:
    """Turns away whoever does not give the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._wanted = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] != "http" or secrets.compare_digest(given, self._wanted):
            await self._app(scope, receive, send)
        else:
            await JSONResponse({"detail": "who are you?"}, status_code=401)(scope, receive, send)


def serve(workflows: Mapping[str, Workflow], port: int, folder: Path) -> None:
    """Until the process is ended. What runs is written down in the folder."""
    key = os.environ.get(KEY)
    guard = [Middleware(Guard, key=key)] if key else None
    server = WorkflowServer(workflow_store=SqliteWorkflowStore(str(folder / "workflows.db")), middleware=guard)
    for name, workflow in workflows.items():
        server.add_workflow(name, workflow)
    uvicorn.run(server.app, host=HOST, port=port, timeout_graceful_shutdown=2)


def where() -> tuple[int, Path]:
    """The port and the folder that the command line names."""
    parser = argparse.ArgumentParser(description="A LlamaIndex workflow server over mahavishnu's own documentation.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where it keeps what it writes down")
    given = parser.parse_args()
    return given.port, given.folder


def main() -> None:
    serve({"ask-docs": AskDocs(engine_over(documents()))}, *where())


if __name__ == "__main__":
    main()
