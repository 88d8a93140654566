"""The local adapter: plain Python functions as targets."""

from mahavishnu_local.adapter import LocalAdapter
from mahavishnu_local.registry import target

__all__ = ["LocalAdapter", "target"]
