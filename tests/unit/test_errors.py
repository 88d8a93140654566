"""Every error is a sentence, has a code of its own, and survives a trip to another process."""

import copy
import pickle

import pytest

from mahavishnu import errors

SAMPLES = [
    errors.InvalidTask(field="text", problem="is empty"),
    errors.InvalidTarget(target="a", field="cost", problem="is negative"),
    errors.InvalidCostModel(field="per_run_usd", problem="is negative: -1; give dollars from 0 to 1000000000"),
    errors.InvalidOutcome(problem="says nothing"),
    errors.UnknownName(kind="target", name="a", nearest="b"),
    errors.TargetExists(target="a", where="the store"),
    errors.TargetIsConfigured(target="a", where="config/mahavishnu.toml"),
    errors.TargetIsEditedInFile(target="a", where="config/mahavishnu.toml"),
    errors.TargetChanged(target="a"),
    errors.KeyReused(key="k", decision_id="D"),
    errors.SettingsError(where="config", problem="is odd"),
    errors.PluginMissing(plugin="agno", module="agno", extra="agno"),
    errors.PluginBroken(plugin="agno", problem="SyntaxError"),
    errors.PolicyFailed(policy="mine", problem="ValueError: no"),
    errors.InvalidBudget(budget="b", problem="it has no limit"),
    errors.InvalidExperiment(experiment="e", problem="its share must lie above 0"),
    errors.ExperimentExists(experiment="e", status="running"),
    errors.ExperimentMoved(experiment="e", status="promoted", wanted="running"),
    errors.BudgetExhausted(budget="b", decision_id="D", why_not=["a: $1 of $0.50"], until="tomorrow"),
    errors.TaskQueued(budget="b", decision_id="D", queued_id="Q", why_not=["a: $1 of $0.50"], until="tomorrow"),
    errors.NothingEligible(task_type="etl", why_not={"a": "disabled"}, waited_ms=1500),
    errors.TaskFailed(decision_id="D", attempts=["a failed (boom)"]),
    errors.TaskCancelled(decision_id="D"),
    errors.StoreUnavailable(url="sqlite:///x.db", problem="it is a folder"),
    errors.StoreSilent(url="sqlite:///x.db", problem="it has not answered within 1 s", patience_over=False),
    errors.NotWritten(url="sqlite:///x.db", problem="hand it plain JSON values"),
    errors.NotDurable(url="sqlite:///x.db", problem="the disk is full", execution_id="E"),
    errors.TakenOver(process_id="P"),
    errors.JobTakenOver(job="fold"),
    errors.RecordUnreadable(what='budget "b"', problem="it is not JSON", mend="set it anew"),
    errors.StoreOutdated(url="sqlite:///x.db", found="1", wanted="2"),
    errors.SnapshotConflict(version=3),
    errors.BackupRefused(file="x.backup", problem="it exists already"),
    errors.BackupFailed(file="x.backup", problem="the disk is full"),
    errors.BackupUnusable(file="x.backup", problem="it is damaged"),
    errors.RestoreRefused(url="sqlite:///x.db", problem="it is not empty"),
    errors.RestoreFailed(url="sqlite:///x.db", problem="the disk is full"),
    errors.AdapterError("broke"),
    errors.Transient("busy", retry_after_s=2.0),
    errors.Throttled("slow down"),
    errors.Refused("too long"),
    errors.Unsuitable("longer than its context"),
    errors.TimedOut("late"),
    errors.Misconfigured("no such flow"),
    errors.AuthenticationError("wrong key"),
    errors.AuthorizationError("not yours"),
    errors.Cancelled("somebody stopped it"),
    errors.Crashed("ValueError: no"),
]


def leaves(kind):
    """The errors that are documented; a plugin may tell its own apart by classes that nobody outside it sees."""
    below = [each for each in kind.__subclasses__() if each.__module__.startswith(f"{errors.__name__}.")]
    return [kind] + [leaf for each in below for leaf in leaves(each)]


def test_there_is_a_sample_of_every_error_that_can_be_raised():
    abstract = {errors.MahavishnuError, errors.InputError, errors.WorkflowError, errors.RepositoryError}
    assert {type(each) for each in SAMPLES} == set(leaves(errors.MahavishnuError)) - abstract


@pytest.mark.parametrize("error", SAMPLES, ids=lambda e: type(e).__name__)
def test_it_survives_pickling_and_copying(error):
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error) != ""
        assert vars(twin) == vars(error)


def test_codes_are_unique():
    codes = [kind.code for kind in leaves(errors.MahavishnuError)]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", SAMPLES[:16], ids=lambda e: type(e).__name__)
def test_it_is_a_sentence(error):
    words = str(error)
    assert words[0].isupper() or words.startswith(('"', "config"))
    assert "\n" not in words
