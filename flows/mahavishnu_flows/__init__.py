"""Prefect flows: they wind what the house does, and compute nothing themselves."""

from mahavishnu_flows.scheduler import PrefectScheduler

__all__ = ["PrefectScheduler"]
