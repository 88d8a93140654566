"""Which records of a day are kept whole: everything that is out of the ordinary, and of the ordinary a share.

An execution and its decision share one fate, which hangs on a hash of the decision's id: whoever decides it again
decides the same. The share of a task type is what is kept of its healthy records in all: their slowest hundredth, and
of the others so many by chance, p, that both make up the share. Each of those stands for `weight` = 1/p of its kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mahavishnu.ports import Keeping
from mahavishnu.storage.sql.facts.fact_rows import escaped

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SLOW = 0.01
"""The slow tail of a day, of one target and task type."""

_FATE = """
CREATE TABLE fate AS
WITH slow AS (
    SELECT target, task_type, quantile_disc(latency_us, 1 - $slow) AS most
    FROM executions WHERE status = 'succeeded' GROUP BY ALL
),
frequency AS (
    SELECT task_type,
           coalesce(any_value(rates.rate), CASE WHEN count(*) >= $frequent THEN $frequent_rate ELSE 1.0 END) AS rate
    FROM executions LEFT JOIN rates USING (task_type) GROUP BY task_type
),
judged AS (
    SELECT decision_id, greatest(max(rate) - $slow, 0) / (1 - $slow) AS rate,
           bool_or(status <> 'succeeded' OR fallback = 1 OR coalesce(latency_us > most, false)) AS odd
    FROM executions LEFT JOIN slow USING (target, task_type) JOIN frequency USING (task_type)
    GROUP BY decision_id
),
special AS (
    SELECT decision_id, rate,
           odd OR decision_id IN (SELECT decision_id FROM outcomes) OR decision_id IN (SELECT id FROM wanted) AS odd
    FROM judged
)
SELECT decision_id,
       odd OR ('0x' || left(md5(decision_id), 8))::UBIGINT < rate * 4294967296 AS kept,
       CASE WHEN odd OR rate <= 0 THEN 1.0 ELSE 1.0 / rate END AS weight
FROM special
"""


def judge(connection: DuckDBPyConnection, keeping: Keeping) -> None:
    """Make the table `fate` from the tables `executions`, `outcomes` and `wanted`: decision_id, kept, weight."""
    connection.execute("CREATE TABLE rates (task_type VARCHAR, rate DOUBLE)")
    for task_type, rate in keeping.rates.items():
        connection.execute("INSERT INTO rates VALUES (?, ?)", [escaped(task_type), rate])
    settings = {"frequent": keeping.frequent, "frequent_rate": keeping.frequent_rate, "slow": SLOW}
    connection.execute(_FATE, settings)
