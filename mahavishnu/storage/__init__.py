"""Stores: what outlives a process."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mahavishnu.ports import Clock, Store
    from mahavishnu.storage.memory.facts import Memory
    from mahavishnu.storage.memory.store import MemoryStore
    from mahavishnu.storage.sql.store import SqlStore

__all__ = ["Memory", "MemoryStore", "SqlStore", "open_store"]

_WHERE = {"Memory": "memory.facts", "MemoryStore": "memory.store", "SqlStore": "sql.store"}


def __getattr__(name: str) -> Any:
    """Imported at the first use (PEP 562): the store in memory and its tables are no part of a command over a file."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


def open_store(url: str, clock: "Clock", *, lease_s: float = 15.0, patience_s: float = 10.0, lake: str = "") -> "Store":
    """The store of a URL, which its own `open` then makes ready; `lake` is the folder for its older days."""
    if url.startswith("memory:"):
        from mahavishnu.storage.memory.store import MemoryStore

        return MemoryStore(clock)
    from mahavishnu.storage.sql.store import SqlStore

    return SqlStore(url, clock, lease_s=lease_s, patience_s=patience_s, lake=lake)
