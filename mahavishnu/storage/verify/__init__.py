"""Verification: a store held against its own promises."""

from mahavishnu.storage.verify.verifying import verify_store

__all__ = ["verify_store"]
