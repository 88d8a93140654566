"""Allocation: which share of each task type goes to which target, by a linear program."""

from __future__ import annotations

from dataclasses import replace
from math import frexp, inf, ldexp
from typing import TYPE_CHECKING, Any, NamedTuple

from mahavishnu.errors import UnknownName, nearest_name
from mahavishnu.planning.terms import MOST, Bound, Give, Impossible, Offer, Plan, Problem, Worth, sound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_NUDGE = 1e-4
"""How far, as a share, a bound is moved to see what lies to either side of it: far above the solver's tolerance."""

_NOTHING = 1e-6
_NOUGHT = 1e-9
_INFEASIBLE = 2


def solve(problem: Problem) -> Plan | Impossible:
    """The shares that bring the most successes within all bounds: every expected task is done by somebody.

    maximise   Σ volume[t] · success[t,j] · x[t,j]
    subject to Σ_j x[t,j] = 1 and x ≥ 0
               Σ volume[t] · cost[t,j] · x[t,j] ≤ dollars      for each spending, over what it covers
               Σ_t volume[t] · x[t,j] ≤ runs                   for each capacity
               Σ_j success[t,j] · x[t,j] ≥ rate                for each promised rate

    in numbers that can be planned with (`terms.sound`), by HiGHS (Q. Huangfu and J. A. J. Hall, Math. Prog. Comp. 10,
    2018). Its dual is the price of each bound: what one unit more of it would bring, as long as the same targets are
    mixed (D. Bertsimas and J. Tsitsiklis, Introduction to Linear Optimization, 1997, §5.2).

    >>> from mahavishnu.planning.terms import Spending
    >>> offers = [Offer(task_type="t", target=n, success=s, cost_usd=c) for n, s, c in (("a", .6, .01), ("b", .9, .1))]
    >>> plan = solve(Problem(offers=offers, volumes={"t": 100}, spendings=[Spending(name="total", usd=5.5)]))
    >>> plan.shares, plan.successes, round(plan.prices["total"], 3)  # 0.3 more success for $0.09 more
    ({'t': {'a': 0.5, 'b': 0.5}}, 75.0, 3.333)
    """
    problem = sound(problem)
    offers, barred = _allowed(problem)
    missing = _missing(problem, problem.offers)
    if missing or _missing(problem, offers):
        return Impossible(
            binding=tuple(give.bound.name for give in barred), gives=tuple(barred), missing=tuple(missing)
        )
    if not offers:
        return Plan(shares={}, successes=0.0, cost_usd=0.0, prices={}, gap=0.0)
    program = _program(problem, offers)
    found = _linprog(program)
    if found.status == _INFEASIBLE:
        return _elastic(program)
    return _plan(program, found)


def worth(problem: Problem, name: str) -> Worth | Impossible:
    """What one step of a bound is worth on either side: the duals where it is moved a little.

    Raises UnknownName for a bound that the program has not: one that covers nothing is left out.
    """
    middle = solve(problem)
    if isinstance(middle, Impossible):
        return middle
    problem = sound(problem)
    offers, _ = _allowed(problem)
    program = _program(problem, offers)
    names = [bound.name for bound in program.bounds]
    if name not in names:
        nearest = nearest_name(name, names)
        raise UnknownName(kind="bound", name=name, nearest=nearest, see="mahavishnu routing plan")
    place = names.index(name)
    bound = program.bounds[place]
    # In the program all bounds are from above: a promised rate stands there with its sign turned.
    looser, tighter = (_dual(program, place, way) for way in (1.0, -1.0))
    return Worth(bound=bound, looser=looser * bound.step, tighter=tighter * bound.step, period=problem.period)


class _Program(NamedTuple):
    """The rows and columns that HiGHS is handed; a column for each offer.

    `sizes` are what the rows, and `size` what the gains, are multiplied by.
    """

    offers: list[Offer]
    bounds: list[Bound]
    volumes: Array
    gains: Array
    size: float
    sizes: Array
    matrix: Any
    limits: Array
    types: Any


def _allowed(problem: Problem) -> tuple[list[Offer], list[Give]]:
    """The offers that no promised latency forbids; and for types that are left with none, what would admit one."""
    slowest = {each.task_type: each.max_latency_ms for each in problem.promises if each.max_latency_ms is not None}

    def too_slow(each: Offer) -> bool:
        return (each.p95_ms or 0.0) > slowest.get(each.task_type, inf)

    wanted = [each for each in problem.offers if problem.volumes.get(each.task_type, 0) > 0]
    allowed = [each for each in wanted if not too_slow(each)]
    served = {each.task_type for each in allowed}
    gives = []
    for task_type in sorted({each.task_type for each in wanted} - served):
        fastest = min(each.p95_ms or 0.0 for each in wanted if each.task_type == task_type)
        bound = Bound(name=f"max_latency_ms of {task_type}", value=slowest[task_type], unit="ms")
        gives.append(Give(bound=bound, needed=fastest))
    return allowed, gives


def _missing(problem: Problem, offers: Any) -> list[str]:
    served = {each.task_type for each in offers}
    return sorted(task_type for task_type, volume in problem.volumes.items() if volume > 0 and task_type not in served)


def _program(problem: Problem, offers: list[Offer]) -> _Program:
    import numpy as np
    from scipy.sparse import csr_array

    volumes = np.array([problem.volumes[each.task_type] for each in offers], dtype=float)
    success = np.array([each.success for each in offers])
    costs = volumes * np.array([each.cost_usd for each in offers])
    gains = volumes * success
    size = _handy(gains)
    bounds, rows, limits, sizes = [], [], [], []

    def add(bound: Bound, places: list[int], worth: Array, limit: float) -> None:
        if places:
            sizes.append(_handy(worth[places]))
            bounds.append(bound)
            rows.append((places, worth[places] * sizes[-1]))
            limits.append(min(max(limit * sizes[-1], -MOST), MOST))

    for spending in problem.spendings:
        covered = [place for place, each in enumerate(offers) if spending.covers(each)]
        add(Bound(name=spending.name, value=spending.usd, unit="dollar"), covered, costs, spending.usd)
    for capacity in problem.capacities:
        runs = [place for place, each in enumerate(offers) if each.target == capacity.target]
        add(Bound(name=f"runs of {capacity.target}", value=capacity.runs, unit="run"), runs, volumes, capacity.runs)
    for promise in problem.promises:
        rate = promise.min_success_rate
        if rate is not None:
            of_type = [place for place, each in enumerate(offers) if each.task_type == promise.task_type]
            name = f"min_success_rate of {promise.task_type}"
            add(Bound(name=name, value=rate, unit="point", step=0.01), of_type, -success, -rate)
    numbers = {task_type: number for number, task_type in enumerate(dict.fromkeys(each.task_type for each in offers))}
    kinds = np.array([numbers[each.task_type] for each in offers])
    ones = (np.ones(len(offers)), (kinds, np.arange(len(offers))))
    ends = np.cumsum([0, *(len(places) for places, _ in rows)])
    columns = np.concatenate([places for places, _ in rows]) if rows else np.zeros(0, dtype=int)
    values = np.concatenate([worth for _, worth in rows]) if rows else np.zeros(0)
    return _Program(
        offers=offers,
        bounds=bounds,
        volumes=volumes,
        gains=gains * size,
        size=size,
        sizes=np.array(sizes, dtype=float),
        matrix=csr_array((values, columns, ends), shape=(len(rows), len(offers))),
        limits=np.array(limits, dtype=float),
        types=csr_array(ones, shape=(len(numbers), len(offers))),
    )


def _handy(row: Array) -> float:
    """What to multiply a row by, so that HiGHS takes it for what it is; 1 for most.

    It drops coefficients below 1e-9, refuses those from 1e15 on, and keeps a bound to 1e-7. A power of 2 changes no
    digit.
    """
    largest = float(abs(row).max(initial=0.0))
    return 1.0 if 1e-3 <= largest <= 1e9 or largest < 1e-60 else ldexp(1.0, -frexp(largest)[1])


def _linprog(program: _Program) -> Any:
    import numpy as np
    from scipy.optimize import linprog

    found = linprog(
        -program.gains,
        A_ub=program.matrix if program.bounds else None,
        b_ub=program.limits if program.bounds else None,
        A_eq=program.types,
        b_eq=np.ones(program.types.shape[0]),
        bounds=(0, None),
        method="highs",
    )
    if found.status not in (0, _INFEASIBLE):
        raise ArithmeticError(f"The plan was not found: {found.message}")
    return found


def _plan(program: _Program, found: Any) -> Plan:
    shares: dict[str, dict[str, float]] = {}
    for each, share in zip(program.offers, found.x.tolist(), strict=True):
        if share > _NOTHING:
            shares.setdefault(each.task_type, {})[each.target] = round(share, 9)
    duals = found.ineqlin.marginals
    dual = float(duals @ program.limits) + float(found.eqlin.marginals.sum())
    costs = program.volumes * [each.cost_usd for each in program.offers]
    return Plan(
        shares=shares,
        successes=-found.fun / program.size,
        cost_usd=float(costs @ found.x),
        prices={
            bound.name: max(-float(price), 0.0)
            for bound, price in zip(program.bounds, duals * program.sizes / program.size, strict=True)
        },
        gap=abs(found.fun - dual) / max(1.0, abs(found.fun)),
    )


def _dual(program: _Program, place: int, way: float) -> float:
    """What a unit of one bound is worth a little way off; infinite where there is no plan."""
    limits: Any = program.limits.copy()
    size = abs(limits[place]) or float(abs(program.matrix[[place], :]).max())
    limits[place] += way * _NUDGE * size
    found = _linprog(program._replace(limits=limits))
    if found.status == _INFEASIBLE:
        return inf
    return max(-float(found.ineqlin.marginals[place] * program.sizes[place] / program.size), 0.0)


def _elastic(program: _Program) -> Impossible:
    """The least that would have to give way: every bound may, for a price of the share by which it does.

    J. W. Chinneck, Feasibility and Infeasibility in Optimization, 2008, ch. 6. Whichever bounds have a price in this
    program contradict each other.
    """
    import numpy as np
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, hstack

    columns, rows = len(program.offers), len(program.bounds)
    scale = np.where(np.abs(program.limits) < _NOUGHT, 1.0, np.abs(program.limits))
    slack: list[Any] = [program.matrix, -eye_array(rows)]
    none: list[Any] = [program.types, np.zeros((program.types.shape[0], rows))]
    found: Any = linprog(
        np.concatenate([np.zeros(columns), 1 / scale]),
        A_ub=hstack(slack, format="csr"),
        b_ub=program.limits,
        A_eq=hstack(none, format="csr"),
        b_eq=np.ones(program.types.shape[0]),
        bounds=(0, None),
        method="highs",
    )
    if found.status != 0:
        # Numbers of sizes too different to be weighed against each other: then any of the bounds may be the one.
        return Impossible(binding=tuple(bound.name for bound in program.bounds))
    given, prices = found.x[columns:], found.ineqlin.marginals
    gives = []
    amounts = (given / program.sizes).tolist()
    for bound, given_, more, size in zip(program.bounds, given.tolist(), amounts, scale.tolist(), strict=True):
        if given_ > _NOTHING * size:
            needed = bound.value - more if bound.unit == "point" else bound.value + more
            gives.append(Give(bound=bound, needed=needed))
    pressing = np.abs(prices) * scale > _NOTHING
    binding = tuple(bound.name for bound, presses in zip(program.bounds, pressing, strict=True) if presses)
    return Impossible(binding=binding, gives=tuple(gives))


def relaxed(problem: Problem, why: Impossible) -> Problem:
    """The problem with everything that has to give way given way, by a hair more."""
    needed = {give.bound.name: give.needed for give in why.gives}
    hair = 1 + 1e-6
    return replace(
        problem,
        spendings=[replace(each, usd=needed.get(each.name, each.usd) * hair) for each in problem.spendings],
        capacities=[
            replace(each, runs=needed.get(f"runs of {each.target}", each.runs) * hair) for each in problem.capacities
        ],
        promises=[_relaxed_promise(each, needed, hair) for each in problem.promises],
    )


def _relaxed_promise(each: Any, needed: dict[str, float], hair: float) -> Any:
    rate, slowest = each.min_success_rate, each.max_latency_ms
    if rate is not None:
        rate = needed.get(f"min_success_rate of {each.task_type}", rate) / hair
    if slowest is not None:
        slowest = needed.get(f"max_latency_ms of {each.task_type}", slowest)
    return replace(each, min_success_rate=rate, max_latency_ms=slowest)
