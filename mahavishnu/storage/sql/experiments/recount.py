"""The query that counts an experiment's arms anew, from the facts as they stand in SQLite or PostgreSQL."""

from __future__ import annotations

from string import Template

from mahavishnu.model.execution import Status
from mahavishnu.model.experiment import ExperimentRun

_COUNTING = ", ".join(f"'{each.value}'" for each in Status if each.counts_in_experiment)

_RECOUNT = Template("""\
WITH assigned AS (
  SELECT treated, row_number() OVER (
    PARTITION BY CASE WHEN unit IS NULL THEN 'decision ' || decision_id ELSE 'unit ' || unit END
    ORDER BY position
  ) AS place
  FROM assignments
  WHERE experiment = '$experiment' AND probability IS NOT NULL AND position <= $assigned_cursor
), heard AS (
  SELECT a.treated, e.status, e.latency_us, e.cost_micros, e.quality_ppm, row_number() OVER (
    PARTITION BY CASE WHEN a.unit IS NULL THEN 'decision ' || a.decision_id ELSE 'unit ' || a.unit END
    ORDER BY e.position
  ) AS place
  FROM assignments a JOIN executions e ON e.decision_id = a.decision_id
  WHERE a.experiment = '$experiment' AND a.probability IS NOT NULL AND e.position <= $cursor
    AND e.attempt = $first AND e.fallback = 0 AND e.status IN ($counting)
), arms AS (
  SELECT 1 AS treated UNION ALL SELECT 0
)
SELECT CASE WHEN arms.treated = 1 THEN 'treatment' ELSE 'control' END AS arm,
  (SELECT count(*) FROM assigned WHERE assigned.treated = arms.treated AND place = 1) AS assigned,
  count(heard.status) AS outcomes,
  count(CASE WHEN heard.status = 'succeeded' THEN 1 END) AS successes,
  avg(CASE heard.status WHEN 'succeeded' THEN 1.0 ELSE 0.0 END) FILTER (WHERE heard.status IS NOT NULL) AS success,
  avg(CASE WHEN heard.status = 'succeeded' THEN heard.latency_us / 1000.0 END) AS latency_ms,
  avg(heard.cost_micros / 1000000.0) AS cost_usd,
  avg(heard.quality_ppm / 1000000.0) AS quality
FROM arms LEFT JOIN heard ON heard.treated = arms.treated AND heard.place = 1
GROUP BY arms.treated ORDER BY arms.treated DESC""")


def recount_query(run: ExperimentRun) -> str:
    """One row an arm, with every count, rate and mean that a reading of this run has, up to where it was read.

    The first outcome of each unit counts, and of each task where tasks are assigned for themselves. A name of an
    experiment has no quotes in it, so that it can stand in the query.
    """
    return _RECOUNT.substitute(
        experiment=run.name,
        cursor=run.cursor,
        assigned_cursor=run.assigned_cursor,
        counting=_COUNTING,
        first=1,
    )
