"""One redactor for all text that is shown, stored or logged: it hides what is known as a secret or looks like one."""

from mahavishnu.redaction.names import HIDDEN, holds_secret, is_secret_option, secrets_in, without_secrets
from mahavishnu.redaction.redactor import excerpt, forget_secrets, learn, learnt, redacted
from mahavishnu.redaction.urls import shown_url

__all__ = [
    "HIDDEN",
    "excerpt",
    "forget_secrets",
    "holds_secret",
    "is_secret_option",
    "learn",
    "learnt",
    "redacted",
    "secrets_in",
    "shown_url",
    "without_secrets",
]
