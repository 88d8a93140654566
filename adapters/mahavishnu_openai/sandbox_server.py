"""A server to try things out with: it speaks OpenAI's chat completions, and its answers are simulated.

Run it with `python -m mahavishnu_openai.sandbox_server`; the first line that it prints is its address. Which of its
behaviours one gets is chosen by the model's name. It needs starlette and uvicorn.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from dataclasses import asdict

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mahavishnu_openai.sandbox_scripts import SCRIPTS, SIMULATED, SOUND, Asked, Sandbox, refusal, wrong_key


class SandboxServer:
    """The endpoints. With a key, whoever does not give it is turned away."""

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._sandbox = Sandbox()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.about),
                Route("/v1/models", self.models),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/sandbox", self.tallies),
                Route("/sandbox/{model}/{what}/{number:int}", self.tally_reached),
            ]
        )

    async def chat(self, request: Request) -> Response:
        if not self._may(request):
            return wrong_key(request)
        body = await request.json()
        model = str(body.get("model"))
        if model not in SCRIPTS:
            words = f"The model `{model}` does not exist"
            return refusal(404, words, kind="invalid_request_error", code="model_not_found")
        number = await self._sandbox.count(model, "calls")
        self._sandbox.last = {"body": body, "idempotency_key": request.headers.get("idempotency-key")}
        return await SCRIPTS[model](Asked(self._sandbox, request, body, number))

    async def models(self, request: Request) -> Response:
        if not self._may(request):
            return wrong_key(request)
        return JSONResponse({"object": "list", "data": [_listed(name) for name in SCRIPTS]})

    async def tallies(self, request: Request) -> Response:
        """What came in so far."""
        del request
        counted = {model: asdict(tally) for model, tally in self._sandbox.tallies.items()}
        return JSONResponse({"tallies": counted, "last": self._sandbox.last})

    async def tally_reached(self, request: Request) -> Response:
        """Answers as soon as so many calls of a model were begun, finished or abandoned."""
        wanted = request.path_params
        return JSONResponse(asdict(await self._sandbox.reached(wanted["model"], wanted["what"], wanted["number"])))

    async def about(self, request: Request) -> Response:
        del request
        return PlainTextResponse("A sandbox server of mahavishnu: every answer is simulated.\n")

    def _may(self, request: Request) -> bool:
        return self._key is None or request.headers.get("authorization") == f"Bearer {self._key}"


def _listed(model: str) -> dict[str, object]:
    described = "Repeats the text" if model in SOUND else "Broken on purpose: its name says how"
    return {"id": model, "object": "model", "created": 0, "owned_by": SIMULATED, "description": described}


def _listening(host: str, port: int) -> socket.socket:
    """A socket that says outright that it is TCP: asyncio sends small answers without delay only on such a one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(100)
    return listener


def main() -> None:
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server whose answers are simulated.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--key-env", help="the environment variable with the key that callers must give")
    given = parser.parse_args()
    listener = _listening(given.host, given.port)
    host, port = listener.getsockname()[:2]
    sys.stdout.write(f"http://{host}:{port}/v1\n")
    sys.stdout.flush()
    server = SandboxServer(os.environ[given.key_env] if given.key_env else None)
    config = uvicorn.Config(server.app(), log_level="warning", timeout_graceful_shutdown=1, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
