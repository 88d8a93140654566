"""The LlamaIndex adapter: query engines, chat engines, retrievers, indexes and workflows as targets."""

from importlib.util import find_spec

# LlamaIndex takes seconds to import and targets on a server do without it, so its absence is told without importing it.
if find_spec("llama_index.core") is None:
    raise ModuleNotFoundError("No module named 'llama_index.core'", name="llama_index.core")

from mahavishnu_llamaindex.adapter import LlamaIndexAdapter

__all__ = ["LlamaIndexAdapter"]
