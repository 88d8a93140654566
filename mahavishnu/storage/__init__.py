"""Stores: what outlives a process."""

from mahavishnu.ports import Clock, Store
from mahavishnu.storage.memory import MemoryStore
from mahavishnu.storage.memory_facts import Memory
from mahavishnu.storage.sql import SqlStore

__all__ = ["Memory", "MemoryStore", "SqlStore", "open_store"]


def open_store(url: str, clock: Clock, *, lease_s: float = 15.0, patience_s: float = 10.0, lake: str = "") -> Store:
    """The store of a URL, which its own `open` then makes ready; `lake` is the folder for its older days."""
    if url.startswith("memory:"):
        return MemoryStore(clock)
    return SqlStore(url, clock, lease_s=lease_s, patience_s=patience_s, lake=lake)
