"""Settings: the configuration file, then the environment, then flags; validated once, and frozen."""

from mahavishnu.settings.files import MOST_LINES_BYTES, NotToml, text_of, toml_of
from mahavishnu.settings.loading import CONFIG, DEBUG, PASSWORD, find_config, load_settings, read_targets, variables
from mahavishnu.settings.passwords import without_password
from mahavishnu.settings.problems import told
from mahavishnu.settings.secrets import secrets_of
from mahavishnu.settings.tables import (
    AlertSettings,
    AttemptSettings,
    BreakerSettings,
    EvidenceSettings,
    ExperimentSettings,
    LakeSettings,
    LimitSettings,
    RoutingSettings,
    Settings,
    StoreSettings,
    TargetTable,
)

__all__ = [
    "CONFIG",
    "DEBUG",
    "MOST_LINES_BYTES",
    "PASSWORD",
    "AlertSettings",
    "AttemptSettings",
    "BreakerSettings",
    "EvidenceSettings",
    "ExperimentSettings",
    "LakeSettings",
    "LimitSettings",
    "NotToml",
    "RoutingSettings",
    "Settings",
    "StoreSettings",
    "TargetTable",
    "find_config",
    "load_settings",
    "read_targets",
    "secrets_of",
    "text_of",
    "told",
    "toml_of",
    "variables",
    "without_password",
]
