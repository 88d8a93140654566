"""An alert as JSON tells every time in the same form."""

from __future__ import annotations

from mahavishnu.cli.operations.alerts import _shape
from mahavishnu.model.alert import Alert, AlertKind, Condition, Severity


def test_the_times_in_the_detail_of_an_alert_are_told_like_all_others():
    alert = Alert(
        id="01KB2Q7YV0S3J4N5P6R7T8V9WX",
        condition=Condition(kind=AlertKind.DEGRADATION, task_type="etl", target="a"),
        severity=Severity.WARNING,
        summary="it is slow",
        detail={"owner": None, "ended_at_us": 1_000_000},
        opened_at_us=2_000_000,
    )
    shape = _shape(alert)
    assert shape["detail"] == {"owner": None, "ended_at": "1970-01-01T00:00:01.000000Z"}
    assert shape["opened_at"] == "1970-01-01T00:00:02.000000Z"
