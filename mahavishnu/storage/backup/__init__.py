"""Backups: a store as one file, and a file as a store again."""

from mahavishnu.storage.backup.restoring import restore_backup
from mahavishnu.storage.backup.taking import take_backup

__all__ = ["restore_backup", "take_backup"]
