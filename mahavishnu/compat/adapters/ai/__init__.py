"""Adapters for agents: AgnoAdapter, loaded when it is asked for."""

from __future__ import annotations

from typing import Any

from mahavishnu.plugins import load_adapter

__all__ = ["AgnoAdapter"]


def __getattr__(name: str) -> Any:
    """Raises PluginMissing, which says what to install."""
    if name == "AgnoAdapter":
        return load_adapter("agno")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
