"""The seed's packages of adapters: workflow, ai and rag."""

from mahavishnu.compat.orchestrator_adapter import AdapterHealth, OrchestratorAdapter

__all__ = ["AdapterHealth", "OrchestratorAdapter"]
