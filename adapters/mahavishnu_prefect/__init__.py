"""The Prefect adapter: deployments on a Prefect server, and flows in this process, as targets."""

from mahavishnu_prefect.adapter import PrefectAdapter
from mahavishnu_prefect.handover import deliver

__all__ = ["PrefectAdapter", "deliver"]
