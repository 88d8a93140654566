"""The Agno adapter: agents, teams and workflows in this process, and those of an AgentOS over HTTP."""

from mahavishnu_agno.adapter import AgnoAdapter
from mahavishnu_agno.crews import CrewResult, CrewStatus

__all__ = ["AgnoAdapter", "CrewResult", "CrewStatus"]
