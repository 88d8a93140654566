"""The local adapter: plain Python functions as targets."""

from mahavishnu.model import registry
from mahavishnu.model.registry import target
from mahavishnu_local.adapter import LocalAdapter

__all__ = ["LocalAdapter", "registry", "target"]
