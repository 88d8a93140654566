"""The error table: what a status, an error in a body, or a broken connection means."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from mahavishnu.errors import (
    AdapterError,
    AuthenticationError,
    AuthorizationError,
    Crashed,
    Misconfigured,
    Refused,
    Throttled,
    TimedOut,
    Transient,
    Unsuitable,
)
from mahavishnu_openai.endpoint import Endpoint
from mahavishnu_openai.patience import patience_s

_STATUS_OF_WORD = {
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "invalid_request_error": 400,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "requests": 429,
    "tokens": 429,
    "timeout": 408,
    "overloaded_error": 503,
    "service_unavailable": 503,
    "server_error": 500,
    "internal_server_error": 500,
    "internal_error": 500,
    "api_error": 500,
}
"""Where an error has no status of its own: inside an answer that began with 200."""

_TOO_LONG = frozenset({"context_length_exceeded", "string_above_max_length", "exceed_context_size_error"})
_LACKS = frozenset({"unsupported_parameter", "unsupported_value", "unsupported_model", "unsupported_feature"})
_TOO_LONG_IN_WORDS = ("maximum context", "context size", "context window", "prompt is too long", "too many tokens")
_LACKS_IN_WORDS = ("does not support", "is not supported", "is not a multimodal model", "unsupported content type")
"""vLLM and others give no code of their own."""
_NO_SUCH_MODEL = frozenset({"model_not_found", "model_not_available", "deploymentnotfound"})
_NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_WRONG_KEY = frozenset({"invalid_api_key", "api_key_invalid"})


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a server says is wrong: its words, the error's code and type in this order, and its status if it has one."""

    words: str
    codes: tuple[str, ...] = ()
    status: int | None = None


def complaint_in(body: Any) -> Complaint:
    """The complaint in a body, in any of the forms that servers have for it."""
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, Mapping):
        return Complaint(body if isinstance(body, str) else "")
    error = body.get("error") or body
    if not isinstance(error, Mapping):
        return Complaint(str(error))
    words = error.get("message") or error.get("detail") or ""
    codes = tuple(each.lower() for name in ("code", "type") if isinstance(each := error.get(name), str))
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    return Complaint(words if isinstance(words, str) else json.dumps(words), codes, status)


def failure_of_reply(response: httpx.Response, body: bytes, endpoint: Endpoint, model: str) -> AdapterError:
    """What an answer means that is no success: its body was read."""
    status = response.status_code
    if 300 <= status < 400:
        # Following it would hand the key to whoever is named there.
        where = response.headers.get("location", "elsewhere").partition("?")[0]
        return Misconfigured(f"{endpoint.host} redirects to {endpoint.quoted(where)}; set base_url to where it serves")
    try:
        complaint = complaint_in(json.loads(body))
    except ValueError:
        complaint = Complaint(body.decode("utf-8", "replace"))
    failing = _Failing(endpoint, model, complaint, response.headers)
    return failing.by_code() or failing.by_words(status) or failing.by_status(status)


def failure_inside(error: Any, endpoint: Endpoint, model: str) -> AdapterError:
    """What an error means that stands in an answer which began as a success."""
    complaint = complaint_in({"error": error})
    known = (_STATUS_OF_WORD[code] for code in complaint.codes if code in _STATUS_OF_WORD)
    status = complaint.status or next(known, None)
    failing = _Failing(endpoint, model, complaint, httpx.Headers())
    failure = failing.by_code() or (failing.by_status(status) if status else failing.crashed())
    # It had begun to answer, and may charge for that.
    failure.may_have_run = True
    return failure


def failure_of_connection(problem: Exception, endpoint: Endpoint) -> AdapterError:
    """What an exception of the HTTP library means: Transient, nearly always."""
    said = endpoint.quoted(str(problem)) or type(problem).__name__
    match problem:
        case httpx.ConnectError() if _certificate_is_wrong(problem):
            return Misconfigured(f"{endpoint.host} has a certificate that cannot be trusted: {said}; set SSL_CERT_FILE")
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout() | httpx.ProxyError():
            return Transient(f"{endpoint.host} cannot be reached: {said}; is it up?", may_have_run=False)
        case httpx.TimeoutException():
            return TimedOut(f"{endpoint.host} went silent: {said}")
        case httpx.LocalProtocolError() | httpx.UnsupportedProtocol() | httpx.InvalidURL():
            return Misconfigured(f"{endpoint.host} cannot be asked: {said}; check base_url")
        case httpx.DecodingError():
            return Crashed(f"{endpoint.host} sent something that cannot be decoded: {said}")
        case _:
            return Transient(f"{endpoint.host} broke the connection off: {said}")


def _certificate_is_wrong(problem: BaseException | None) -> bool:
    while problem is not None:
        if isinstance(problem, ssl.SSLCertVerificationError):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


@dataclass(frozen=True, slots=True)
class _Failing:
    """One complaint on its way to becoming an AdapterError."""

    endpoint: Endpoint
    model: str
    complaint: Complaint
    headers: httpx.Headers

    def by_code(self) -> AdapterError | None:
        """Where the code says more than the status: some servers answer 400 or 429 for all of these."""
        codes = frozenset(self.complaint.codes)
        if codes & _NO_MONEY:
            return Misconfigured(self._says("has no money or quota left for this key; waiting does not help, pay"))
        if codes & _WRONG_KEY:
            return self._wrong_key()
        if codes & _NO_SUCH_MODEL:
            return Misconfigured(self._says(f'has no model "{self.model}"; its list says which it has'))
        if codes & _TOO_LONG:
            return self._too_long()
        if codes & _LACKS:
            return self._lacking()
        return None

    def by_words(self, status: int) -> AdapterError | None:
        """Where a server without codes says that this model cannot take this request."""
        if status == 413 or (status in (400, 422) and self._says_one_of(_TOO_LONG_IN_WORDS)):
            return self._too_long()
        if status == 415 or (status in (400, 422) and self._says_one_of(_LACKS_IN_WORDS)):
            return self._lacking()
        return None

    def by_status(self, status: int) -> AdapterError:
        retry_after_s = patience_s(self.headers)
        match status:
            case 401:
                return self._wrong_key()
            case 402:
                return Misconfigured(self._says("wants to be paid first (402)"))
            case 403:
                return AuthorizationError(self._says(f"does not let this key use {self.model} (403)"))
            case 404 | 405 | 410:
                return Misconfigured(self._says(f"has nothing at base_url, or no {self.model} ({status}); check both"))
            case 408:
                return TimedOut(self._says("gave up waiting (408)"))
            case 409 | 425:
                return Transient(self._says(f"is busy with this ({status})"), retry_after_s=retry_after_s)
            case 429:
                return Throttled(self._says("asks for patience (429)"), retry_after_s=retry_after_s)
            case _ if 400 <= status < 500:
                return Refused(self._says(f"refused what was asked ({status})"))
            case _:
                return Transient(self._says(f"failed ({status})"), retry_after_s=retry_after_s)

    def _too_long(self) -> AdapterError:
        return Unsuitable(self._says(f"finds this too long for {self.model}; shorten the text or the messages"))

    def _lacking(self) -> AdapterError:
        return Unsuitable(self._says(f"cannot do this with {self.model}"))

    def _says_one_of(self, phrases: tuple[str, ...]) -> bool:
        words = self.complaint.words.lower()
        return any(phrase in words for phrase in phrases)

    def crashed(self) -> AdapterError:
        return Crashed(self._says("answered with an error"))

    def _wrong_key(self) -> AdapterError:
        # Without the server's words: they often hold a part of the key.
        given = "does not accept the key; check the variable" if self.endpoint.key else "wants a key; name the variable"
        return AuthenticationError(f"{self.endpoint.host} {given} that api_key_env names (401)")

    def _says(self, meaning: str) -> str:
        words = self.endpoint.quoted(self.complaint.words)
        return f"{self.endpoint.host} {meaning}" + (f": {words}" if words else "")
