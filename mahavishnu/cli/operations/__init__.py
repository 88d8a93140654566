"""Commands that operate the platform: configuration, store, schedules, alerts, diagnosis."""
