"""What to do about a target that is not well: the four kinds of ill health want different things done."""

from __future__ import annotations

from mahavishnu.model import Health, HealthStatus, Target


def mend_of(health: Health, target: Target) -> str:
    """Empty for a healthy one."""
    match health.status:
        case HealthStatus.HEALTHY:
            return ""
        case HealthStatus.DEGRADED:
            return "it still takes tasks; read what its engine reports"
        case HealthStatus.UNREACHABLE:
            return f"start its engine, or correct the address ([adapters.{target.adapter}], or the target itself)"
        case HealthStatus.UNAUTHORISED:
            return "put the right key into the environment variable that its adapter reads"
        case HealthStatus.MISCONFIGURED:
            return f"correct [adapters.{target.adapter}], or the target itself: mahavishnu targets show {target.name}"
