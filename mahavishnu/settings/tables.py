"""What can be set, where it starts from, and how far it may go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from mahavishnu.model import CostModel, Target
from mahavishnu.model.money import dollars
from mahavishnu.ports import Keeping
from mahavishnu.redaction import shown_url, without_secrets

WEEK_MS = 7 * 24 * 3600 * 1000
MOST_USD = 1_000_000

Milliseconds = Annotated[int, Field(ge=1, le=WEEK_MS)]
Bytes = Annotated[int, Field(ge=1, le=1_000_000_000)]
Word = Annotated[str, Field(min_length=1, max_length=100)]
Options = Mapping[str, Mapping[str, Any]]


class Table(BaseModel):
    """One table of the file. Strict: a text is no number, a number no switch, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class StoreSettings(Table):
    url: Annotated[str, Field(min_length=1)] = "sqlite:///mahavishnu.db"
    lease_s: float = Field(default=15.0, ge=1, le=3600)
    patience_s: float = Field(default=10.0, ge=0.05, le=3600)
    spool: str = ""
    most_waiting: int = Field(default=100_000, ge=1, le=10_000_000)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Settings end up in logs and tracebacks; the password does not."""
        yield "url", shown_url(self.url)
        yield from ((name, value) for name, value in super().__repr_args__() if name != "url")


class RoutingSettings(Table):
    policy: Word = "adaptive"
    refresh_s: float = Field(default=1.0, ge=0.05, le=3600)


class EvidenceSettings(Table):
    """How evidence ages: a day old counts `decay_per_day`, two days its square; older than `window_days` nothing."""

    decay_per_day: float = Field(default=0.95, gt=0, le=1)
    window_days: int = Field(default=90, ge=1, le=3650)


Days = Annotated[int, Field(le=36_500)]
Share = Annotated[float, Field(ge=0, le=1)]


class LakeSettings(Table):
    """How long what is kept, and where it goes when it is a few days old. See `ports.Keeping`."""

    folder: str = ""
    hot_days: Annotated[Days, Field(ge=2)] = 3
    raw_days: Days = 90
    aggregate_days: Days = 365
    frequent: int = Field(default=10_000, ge=1, le=1_000_000_000)
    frequent_rate: Share = 0.1
    rates: Mapping[str, Share] = Field(default_factory=dict)

    @property
    def keeping(self) -> Keeping:
        return Keeping(**self.model_dump(exclude={"folder"}))

    @model_validator(mode="after")
    def _in_order(self) -> LakeSettings:
        if not self.hot_days <= self.raw_days <= self.aggregate_days:
            raise ValueError("hot_days may not be above raw_days, nor raw_days above aggregate_days")
        return self


class AlertSettings(Table):
    """When an alert opens, how severe it is, and who is told.

    A share that keeps to what is healthy raises an alarm on average no sooner than after `quiet` executions. What is
    ordinary is learnt from blocks of `baseline` executions.
    """

    healthy_rate: float = Field(default=0.9, gt=0, lt=1)
    critical_rate: float = Field(default=0.8, gt=0, lt=1)
    cost_factor: float = Field(default=3.0, gt=1, le=1000)
    min_samples: int = Field(default=20, ge=1, le=1_000_000)
    quiet: int = Field(default=10_000, ge=100, le=1_000_000_000)
    baseline: int = Field(default=1000, ge=100, le=1_000_000)
    lost_for_s: int = Field(default=3600, ge=1, le=31_536_000)
    stuck_after_s: int = Field(default=3600, ge=1, le=31_536_000)
    schedule_days: int = Field(default=8, ge=1, le=365)
    webhook_url_env: Annotated[str, Field(max_length=100)] = ""


class ExperimentSettings(Table):
    """`holdout` is the share of all units that are in no experiment; reports are written to the folder `reports`, if
    there is one."""

    holdout: float = Field(default=0.0, ge=0, le=0.5)
    reports: str = "mahavishnu-reports"


class AttemptSettings(Table):
    timeout_ms: Milliseconds = 60_000
    deadline_ms: Milliseconds = 120_000
    retries: int = Field(default=2, ge=0, le=100)
    backoff_ms: int = Field(default=100, ge=0, le=3_600_000)
    backoff_max_ms: int = Field(default=10_000, ge=0, le=3_600_000)


class BreakerSettings(Table):
    consecutive_failures: int = Field(default=5, ge=1, le=10_000)
    failure_rate: float = Field(default=0.5, gt=0, le=1)
    window: int = Field(default=20, ge=1, le=10_000)
    open_ms: Milliseconds = 30_000
    open_max_ms: Milliseconds = 300_000


class LimitSettings(Table):
    max_text_bytes: Bytes = 1_000_000
    max_value_bytes: Bytes = 10_000_000
    concurrency: int = Field(default=16, ge=1, le=10_000)


def _dollars(given: object) -> Decimal:
    """TOML has no decimals; the shortest text of a float is the number that was typed."""
    amount = dollars(str(given))
    if amount > MOST_USD:
        raise ValueError(f"is more than {MOST_USD} dollars: {given}")
    return amount


def _words(given: object) -> object:
    """One name may stand without its list."""
    if isinstance(given, str):
        return frozenset([given])
    return (
        frozenset(given) if isinstance(given, list | tuple) and all(isinstance(each, str) for each in given) else given
    )


Usd = Annotated[Decimal, BeforeValidator(_dollars)]
Words = Annotated[frozenset[str], BeforeValidator(_words)]


class Rates(Table):
    """What a target costs besides its price per run: the rates of a cost model, in dollars."""

    per_second_usd: Usd = Decimal(0)
    per_agent_second_usd: Usd = Decimal(0)
    per_query_usd: Usd = Decimal(0)
    per_input_token_usd: Usd = Decimal(0)
    per_cached_token_usd: Usd = Decimal(0)
    per_output_token_usd: Usd = Decimal(0)
    monthly_usd: Usd = Decimal(0)
    monthly_runs: int = Field(default=1, ge=1)


class TargetTable(Table):
    """A target as the file and the command line say it."""

    adapter: Word = "local"
    run: str
    task_types: Words
    capabilities: Words = frozenset()
    cost_per_run: Usd = Decimal(0)
    cost: Rates = Rates()
    deployment: Word = "local"
    timeout_ms: Milliseconds | None = None
    max_concurrent: Annotated[int, Field(ge=1, le=10_000)] | None = None
    max_cost_usd: Usd | None = None
    enabled: bool = True
    options: Mapping[str, Any] = Field(default_factory=dict)

    def target(self, name: str, place: int = 0) -> Target:
        """Raises InvalidTarget."""
        return Target(
            name=name,
            adapter=self.adapter,
            run=self.run,
            task_types=self.task_types,
            capabilities=self.capabilities,
            cost_model=CostModel(per_run_usd=self.cost_per_run, **self.cost.model_dump()),
            deployment=self.deployment,
            timeout_ms=self.timeout_ms,
            max_concurrent=self.max_concurrent,
            max_cost_usd=self.max_cost_usd,
            enabled=self.enabled,
            place=place,
            options=dict(self.options),
        )


def _keep_target(given: object, handler: Any) -> object:
    return given if isinstance(given, Target) else handler(given)


class _TargetsByName:
    """Validates the tables of the file, hands out targets; in Python a Target may be given as it is."""

    @staticmethod
    def __get_pydantic_core_schema__(source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source
        tables = handler.generate_schema(dict[str, Annotated[TargetTable, WrapValidator(_keep_target)]])
        return core_schema.no_info_after_validator_function(_in_order, tables)


def _in_order(tables: Mapping[str, TargetTable | Target]) -> Mapping[str, Target]:
    return {
        name: table if isinstance(table, Target) else table.target(name, place)
        for place, (name, table) in enumerate(tables.items())
    }


class Settings(Table):
    """Everything that can be set. `Settings()` is the defaults; `load_settings` is what a command starts from."""

    store: StoreSettings = StoreSettings()
    routing: RoutingSettings = RoutingSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    lake: LakeSettings = LakeSettings()
    policies: Options = Field(default_factory=dict)
    alerts: AlertSettings = AlertSettings()
    experiments: ExperimentSettings = ExperimentSettings()
    attempts: AttemptSettings = AttemptSettings()
    breaker: BreakerSettings = BreakerSettings()
    limits: LimitSettings = LimitSettings()
    adapters: Options = Field(default_factory=dict)
    targets: Annotated[Mapping[str, Target], _TargetsByName] = Field(default_factory=dict)

    def redacted(self) -> dict[str, Any]:
        """For printing: the tables with every secret hidden, and the targets as their names."""
        tables = self.model_dump(mode="json", exclude={"targets"})
        tables["store"]["url"] = shown_url(self.store.url)
        hidden: dict[str, Any] = without_secrets(tables)
        return {**hidden, "targets": sorted(self.targets)}

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Settings end up in logs and tracebacks; the keys of adapters and policies do not."""
        for name, value in super().__repr_args__():
            yield name, without_secrets(value) if name in ("adapters", "policies") else value


DEFAULTS = Settings()
