"""P1-P4 and P8: what others take for the work of decide.py and recording.py, measured beside them.

LiteLLM's Router chooses among N deployments: at random, by lowest latency, and by its adaptive router where the
installed version has one. Its latency handler records one success, at its caller's cost. mabwiser draws from N arms by
Thompson sampling. Whatever of it cannot be measured gets a line that says why.

LiteLLM wants other versions of libraries than this project does, so all this lives in a venv of its own, which
`make bench` makes; nothing of mahavishnu is imported, and the network is not used. CPU time of the thread, because the
machine may be shared; the lowest of several rounds.
"""

import gc
import importlib.util
import json
import os
import sys
import time
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from random import Random

SIZES = (10, 100, 1_000)
BARS = {10: "P4", 100: "P1", 1_000: "P2"}
RANKING_BARS = {10: "P4", 100: "P3", 1_000: "P3"}
ROUNDS = 15
TARGETS_RECORDED = 8
MESSAGES = [{"role": "user", "content": "x"}]
OFFLINE = {
    "LITELLM_MODE": "PRODUCTION",  # otherwise it reads a .env file
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
}


def us(work, budget_s=0.02):
    """Microseconds a call: the lowest of several rounds of so many calls as fit the budget, as in decide.py."""
    work()
    began = time.thread_time()
    work()
    calls = max(1, min(2000, int(budget_s / max(time.thread_time() - began, 1e-6))))
    best = float("inf")
    gc.disable()
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(calls):
            work()
        best = min(best, (time.thread_time() - began) / calls)
    gc.enable()
    return best * 1e6


def line(bar, subject, count, taken):
    print(json.dumps({"bar": bar, "subject": subject, "candidates": count, "us": round(taken, 1)}), flush=True)


def at_once(begun):
    """The result of a coroutine that never waits, without an event loop's share of the time."""
    try:
        begun.send(None)
    except StopIteration as finished:
        return finished.value
    raise AssertionError("it waits")


def names(count):
    return [f"t{number:05}" for number in range(count)]


def deployment(group, name, **params):
    params = {"model": "openai/bench", "api_key": "none"} | params
    return {"model_name": group, "litellm_params": params, "model_info": {"id": name}}


def router(count, strategy):
    from litellm import Router

    return Router([deployment("bench", name) for name in names(count)], routing_strategy=strategy)


def success(name, rng):
    """What the Router hands its handlers when a call has succeeded."""
    from litellm import ModelResponse, Usage

    usage = Usage(prompt_tokens=10, completion_tokens=100, total_tokens=110)
    started = datetime.now()  # noqa: DTZ005
    params = {"metadata": {"model_group": "bench"}, "model_info": {"id": name}}
    ended = started + timedelta(milliseconds=rng.uniform(50, 5000))
    return {"litellm_params": params}, ModelResponse(usage=usage), started, ended


def simple_shuffle(count):
    chooses = router(count, "simple-shuffle")
    taken = us(lambda: chooses.get_available_deployment("bench", messages=MESSAGES, request_kwargs={}))
    line(BARS[count], f"LiteLLM {version('litellm')}, simple-shuffle", count, taken)


def latency_based(count):
    """Every deployment has latencies to be ranked by."""
    rng, chooses = Random(1), router(count, "latency-based-routing")
    for name in names(count):
        chooses.lowestlatency_logger.log_success_event(*success(name, rng))
    taken = us(lambda: chooses.get_available_deployment("bench", messages=MESSAGES, request_kwargs={}))
    line(RANKING_BARS[count], f"LiteLLM {version('litellm')}, latency-based", count, taken)


def adaptive(count):
    """Its draw alone, and the whole Router around it; it routes among model groups, here of one deployment each."""
    from litellm import Router
    from litellm.types.router import RequestType

    rng, groups = Random(1), names(count)
    models = [deployment(name, name, input_cost_per_token=rng.uniform(1e-7, 1e-4)) for name in groups]
    params = {"model": "auto_router/adaptive_router", "adaptive_router_config": {"available_models": groups}}
    chooses = Router([*models, deployment("bench", "adaptive", **params)])
    bandit = chooses.adaptive_routers["bench"][0].strategy
    subject = f"LiteLLM {version('litellm')}, adaptive"
    taken = us(lambda: at_once(bandit.pick_model(RequestType.GENERAL)))
    line(BARS[count], f"{subject}, the draw alone", count, taken)
    taken = us(lambda: at_once(chooses.async_get_available_deployment("bench", {}, messages=MESSAGES)))
    line(BARS[count], f"{subject}, the whole Router", count, taken)


def latency_handler(count):
    from litellm.caching.caching import DualCache
    from litellm.router_strategy.lowest_latency import LowestLatencyLoggingHandler

    rng, cache = Random(1), DualCache()
    handler = LowestLatencyLoggingHandler(cache)
    given = [success(name, rng) for name in names(count)]
    for each in given * 10:
        handler.log_success_event(*each)
    kept = cache.get_cache("bench_map") or {}
    if [len(kept.get(name, {}).get("latency", ())) for name in names(count)] != [10] * count:
        raise AssertionError("the handler recorded nothing")  # it logs its errors and goes on
    taken = us(lambda: handler.log_success_event(*given[0]))
    line("P8", f"LiteLLM {version('litellm')}, latency handler, one success", count, taken)


def mabwiser(count):
    from mabwiser.mab import MAB, LearningPolicy

    rng, arms = Random(1), names(count)
    bandit = MAB(arms, LearningPolicy.ThompsonSampling())
    tried = [name for name in arms for _ in range(20)]
    bandit.fit(tried, [int(rng.random() < 0.9) for _ in tried])
    line(BARS[count], f"mabwiser {version('mabwiser')}, Thompson sampling, predict", count, us(bandit.predict))


def attempt(measures, count, bar):
    """A peer of another version may have moved what is measured: that is no reason to stop."""
    try:
        measures(count)
    except Exception as error:
        note = f"not measured: {type(error).__name__}: {error}"
        print(json.dumps({"bar": bar, "subject": measures.__name__, "candidates": count, "note": note}), flush=True)


def measure_litellm():
    import litellm

    litellm.telemetry = False  # older versions have it
    has_adaptive = importlib.util.find_spec("litellm.router_strategy.adaptive_router") is not None
    for count in SIZES:
        attempt(simple_shuffle, count, BARS[count])
        attempt(latency_based, count, RANKING_BARS[count])
        if has_adaptive:
            attempt(adaptive, count, BARS[count])
    attempt(latency_handler, TARGETS_RECORDED, "P8")


def measure_mabwiser():
    for count in SIZES:
        attempt(mabwiser, count, BARS[count])


def main():
    here = Path(__file__).resolve().parent
    sys.path[:] = [each for each in sys.path if Path(each).resolve() != here]  # its statistics.py is not the library's
    os.environ.update(OFFLINE)
    for peer, measure in (("litellm", measure_litellm), ("mabwiser", measure_mabwiser)):
        if importlib.util.find_spec(peer) is None:
            print(json.dumps({"bar": "P1", "subject": peer, "note": "not installed, so not measured"}), flush=True)
        else:
            measure()


if __name__ == "__main__":
    main()
