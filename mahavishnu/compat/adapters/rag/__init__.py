"""Adapters for retrieval: LlamaIndexAdapter, loaded when it is asked for."""

from __future__ import annotations

from typing import Any

from mahavishnu.plugins import load_adapter

__all__ = ["LlamaIndexAdapter"]


def __getattr__(name: str) -> Any:
    """Raises PluginMissing, which says what to install."""
    if name == "LlamaIndexAdapter":
        return load_adapter("llamaindex")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
