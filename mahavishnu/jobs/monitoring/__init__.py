"""Monitoring: the rules, their state between two checks, and the alerts that come of them."""
