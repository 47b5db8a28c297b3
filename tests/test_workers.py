"""Workers: whatever becomes of them, every task is done, and a run has the same bits."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
from test_seeds import SMALL, left_by

import psro
from psro.errors import SettingsError
from psro.measure.exploiter import Exploiter, exploit_run
from psro.oracles import CONFIGS
from psro.runs import seeds
from psro.runs.config import RunConfig
from psro.runs.entry import Limits, entry_task
from psro.training import pool as pools
from psro.training import processes, worker
from psro.training.executor_settings import ExecutorConfig
from psro.training.pool import Event, Pool, PoolError, Reference, Task, TaskFailed
from psro.training.worker import Performer, Versions, completed, versions

VERSIONS = Versions(host="here", packages={"jax": "1"})
VALUE = "psro.runs.intervals:half_interval"
"""A task without JAX: half an interval of the mean of `values`."""


class Scripted:
    """A crew whose workers do what a script says, and then all that they are told."""

    def __init__(self, size=1, script=(), versions=VERSIONS, duties=()):
        self.size, self.script, self.versions = size, list(script), versions
        self.duties = duties
        self.events, self.sent, self.dismissed, self.hired = [], [], [], 0

    def wanted(self):
        return self.size

    def hire(self):
        self.hired += 1
        self.events.append(Event(worker=self.hired, kind="ready", content=self.versions))
        return self.hired

    def duty(self, worker):
        return self.duties[worker % len(self.duties)] if self.duties else None

    def keep(self, value):
        return value

    def send(self, worker, task, values):
        self.sent.append((worker, task, dict(values)))
        kind = self.script.pop(0) if self.script else "done"
        if kind != "hangs":
            content = "killed" if kind == "dead" else task.arguments.get("answer")
            self.events.append(Event(worker=worker, kind=kind, content=content))

    def forget(self, numbers):
        self.sent.append(("forget", list(numbers)))

    def wait(self, seconds):
        events, self.events = self.events, []
        return events

    def dismiss(self, worker):
        self.dismissed.append(worker)

    def close(self):
        self.size = 0


def task(answer=None, owner=None, duty="training", **arguments):
    return Task(function="f", arguments={"answer": answer, **arguments}, owner=owner, duty=duty)


def test_results_come_in_the_order_of_tasks():
    assert Pool(Scripted(3), VERSIONS).run([task(n) for n in range(10)]) == list(range(10))


@pytest.mark.parametrize("size", [1, 2])
def test_a_dead_workers_task_is_done_by_another(size):
    crew = Scripted(size, ["dead", "done", "dead", "dead"])
    pool = Pool(crew, VERSIONS)
    assert pool.run([task(n) for n in range(4)]) == [0, 1, 2, 3]
    assert (pool.lost, crew.hired) == (3, 3 + size)


def test_a_worker_that_takes_too_long_is_given_up():
    crew = Scripted(1, ["hangs"])
    pool = Pool(crew, VERSIONS, task_limit=0.01)
    assert pool.run([task(5)]) == [5]
    assert crew.dismissed == [1]


def test_a_silent_worker_is_given_up():
    crew = Scripted(1, ["hangs"])
    assert Pool(crew, VERSIONS, silence=0.01).run([task(5)]) == [5]
    assert crew.dismissed == [1]


def test_a_task_on_which_worker_after_worker_dies_is_said():
    with pytest.raises(PoolError, match="died on the same task: killed"):
        Pool(Scripted(2, ["dead"] * 20), VERSIONS).run([task()])


def test_other_versions_are_refused():
    other = Versions(host="there", packages={"jax": "2"})
    with pytest.raises(PoolError, match="there has jax 2, and this process has jax 1"):
        Pool(Scripted(versions=other), VERSIONS).run([task()])
    assert versions().differ(versions()) is None


def test_a_value_travels_to_a_worker_once():
    crew = Scripted(1, ["done", "done", "dead"])
    pool = Pool(crew, VERSIONS)
    value = pool.put("big")
    for _ in range(2):
        pool.run([task(value=value)])
    assert [values for _, _, values in crew.sent] == [{value.number: "big"}, {}]
    pool.run([task(value=value)])
    assert crew.sent[-1] == (2, task(value=value), {value.number: "big"})  # to the next worker
    pool.drop(value)
    assert crew.sent[-1] == ("forget", [value.number])


def test_tasks_of_an_owner_go_to_its_worker():
    crew = Scripted(2)
    pool = Pool(crew, VERSIONS)
    for _ in range(3):
        pool.run([task(owner=owner) for owner in "abcd"])
        pool.run([task(owner=owner) for owner in "dbca"])
    assert len({(worker, done.owner) for worker, done, _ in crew.sent}) == 4
    before = len(crew.sent)
    pool.run([task(owner="a"), task(owner="a")])  # a free worker takes what another is busy for
    assert {worker for worker, *_ in crew.sent[before:]} == {1, 2}


def test_workers_of_one_duty_take_its_tasks_alone():
    crew = Scripted(3, duties=["training", "measuring"])
    duties = ["training"] * 5 + ["measuring"] * 2
    pool = Pool(crew, VERSIONS)
    assert pool.run([task(n, duty=duty) for n, duty in enumerate(duties)]) == list(range(7))
    assert {(worker % 2, done.duty) for worker, done, _ in crew.sent} == {
        (0, "training"),
        (1, "measuring"),
    }


def test_workers_are_renewed():
    crew = Scripted(1)
    assert Pool(crew, VERSIONS, renew=2).run([task(n) for n in range(5)]) == list(range(5))
    assert (crew.hired, crew.dismissed) == (3, [1, 2])


def test_a_worker_goes_on_before_its_result_is_dealt_with():
    crew = Scripted(1)
    pool = Pool(crew, VERSIONS)
    for number in range(2):
        pool.submit(task(number))
    assert pool.finished()[1] == 0 and len(crew.sent) == 2


def test_a_worker_says_what_went_wrong():
    performer = Performer()
    kind, error = performer.perform(Task(function="os:getcwd", arguments={}), {})
    assert kind == "raised" and "not a task of this package" in str(error)
    fails = Task(function=VALUE, arguments={"values": Reference(3)})
    kind, error = performer.perform(fails, {})
    assert isinstance(error, TaskFailed) and "KeyError: 3" in str(error)
    assert performer.perform(fails, {3: np.arange(4.0)})[0] == "done"


# Processes

TASK = Task(function=VALUE, arguments={"values": np.arange(4.0)})


def test_processes_do_tasks_and_may_be_killed(tmp_path, monkeypatch):
    (tmp_path / "psro.py").write_text("raise ImportError('from the working directory')")
    monkeypatch.chdir(tmp_path)
    with ExecutorConfig(executor="processes", workers=1).open() as pool:
        expected = pool.run([TASK])
        (worker,) = pool._crew._workers.values()
        for number in (signal.SIGKILL, signal.SIGTERM):
            os.kill(worker.process.pid, number)
            assert pool.run([TASK]) == expected
            (worker,) = pool._crew._workers.values()
        assert pool.lost == 2
    assert worker.process.poll() is not None  # none outlives the pool


def test_a_stopped_process_is_given_up(monkeypatch):
    often = "from psro.training import processes; processes.ALIVE = 0.2; "
    monkeypatch.setattr(processes, "_MAIN", often + processes._MAIN)
    with Pool(processes.Processes([{}]), versions(), silence=6.0) as pool:
        expected = pool.run([TASK])
        (worker,) = pool._crew._workers.values()
        os.kill(worker.process.pid, signal.SIGSTOP)
        assert pool.run([TASK]) == expected
        assert pool.lost and worker.process.poll() == -signal.SIGKILL


def test_processes_that_cannot_start_say_why(monkeypatch):
    monkeypatch.setattr(pools, "_MOST_TRIES", 2)
    monkeypatch.setattr(processes, "_MAIN", "import no_such_module")
    with (
        Pool(processes.Processes([{}]), versions()) as pool,
        pytest.raises(
            PoolError, match="workers do not start: a worker ended with code 1: .*no_such"
        ),
    ):
        pool.run([TASK])


@pytest.mark.slow
def test_a_worker_ends_with_its_driver():
    driver = (
        "import sys, time; from psro.training.executor_settings import ExecutorConfig as E; "
        "from test_workers import TASK; pool = E(executor='processes', workers=1).open(); "
        "pool.run([TASK]); print(next(iter(pool._crew._workers.values())).process.pid); "
        "sys.stdout.flush(); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", driver],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        pid = int(process.stdout.readline())
        process.kill()
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError(f"worker {pid} lives on")


# Runs

KUHN = RunConfig(iterations=2, hidden_size=8, tolerance=0.0, ppo=CONFIGS["ppo"](**SMALL["ppo"]))
SAMPLED = dataclasses.replace(KUHN, evaluation="sampled", payoff_episodes=128)
TABULAR = RunConfig(oracle="best_response", iterations=4, tolerance=0.0)
CONDITIONAL = dataclasses.replace(
    KUHN, oracle="conditional", expansion="hierarchy", levels=2,
    conditional=CONFIGS["conditional"](**SMALL["conditional"]),
)  # fmt: skip
ON_FORM = dataclasses.replace(KUHN, game="dark_hex(num_rows=2,num_cols=4)")
"""Its plans are so long that the number of threads changes how they are added up."""


FORKS = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
"""Ray starts its own processes by a fork, about which JAX warns; they do not use JAX."""


@pytest.fixture(params=["processes", pytest.param("ray", marks=FORKS)], scope="module")
def workers(request):
    if request.param == "ray":
        pytest.importorskip("ray")
    with ExecutorConfig(executor=request.param, workers=2).open() as pool:
        yield pool


@pytest.mark.slow
@pytest.mark.parametrize("config", [KUHN, SAMPLED, TABULAR, CONDITIONAL, ON_FORM])
def test_a_run_has_the_same_bits_with_workers(config, workers, tmp_path):
    psro.run(config, tmp_path / "local")
    psro.run(config, tmp_path / "spread", pool=workers)
    assert left_by(tmp_path / "spread") == left_by(tmp_path / "local")


@pytest.mark.slow
@pytest.mark.parametrize("config", [KUHN, SAMPLED, TABULAR, CONDITIONAL, ON_FORM])
def test_seeds_have_the_same_bits_with_workers(config, workers, tmp_path):
    seeds.run_many(config, 3, tmp_path / "local")
    short = seeds.run_many(
        dataclasses.replace(config, iterations=1), 3, tmp_path / "spread", pool=workers
    )
    assert (
        short.experiments[0].meta_game.size == psro.load(short.experiments[0].folder).meta_game.size
    )
    again = seeds.reopen_many(tmp_path / "spread", config.iterations)
    assert list(again.train(workers))
    for seed in range(3):
        one, other = (tmp_path / name / f"seed-{seed}" for name in ("local", "spread"))
        assert kept_of(one) == kept_of(other)


def kept_of(folder):
    """What a run leaves without the vectors of a form, which can be computed again: workers that do
    whole iterations have them in memory."""
    left = left_by(folder)
    return left | {"files": [name for name in left["files"] if not name.startswith("exact")]}


@pytest.mark.slow
def test_exploiters_are_the_same_with_workers(workers, tmp_path):
    run = psro.run(SAMPLED, tmp_path / "run")
    exploiter = Exploiter(settings=KUHN.ppo, restarts=2, hidden_size=8, episodes=256)
    alone, spread = exploit_run(run, exploiter), exploit_run(run, exploiter, workers)
    assert alone.restart == spread.restart and alone.decisions == spread.decisions
    assert np.array_equal(alone.value.mean, spread.value.mean)


@pytest.mark.slow
def test_a_game_from_a_file_reaches_workers(workers, tmp_path):
    (tmp_path / "pennies.csv").write_text("1,-1\n-1,1\n")
    config = dataclasses.replace(KUHN, game=str(tmp_path / "pennies.csv"))
    seeds.run_many(config, 1, tmp_path / "local")
    seeds.run_many(config, 1, tmp_path / "spread", pool=workers)
    assert left_by(tmp_path / "local" / "seed-0") == left_by(tmp_path / "spread" / "seed-0")


@pytest.mark.slow
def test_a_worker_has_the_devices_of_its_driver(tmp_path):
    """With another number of devices, this run has other bits in one process already."""
    config = ["--game", "phantom_ttt", "--evaluation", "sampled", "--iterations", "1"]
    config += ["--ppo.decisions", "16384", "--payoff-error", "1"]
    for name, more in (("local", []), ("spread", ["--executor", "processes", "--workers", "2"])):
        out = ["--out", str(tmp_path / name)]
        subprocess.run(
            [sys.executable, "-m", "psro", "run", *config, *out, *more],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert left_by(tmp_path / "spread") == left_by(tmp_path / "local")


# Whole runs as tasks


def test_an_entry_is_its_run(tmp_path):
    run = psro.run(TABULAR, tmp_path / "run")
    unlucky = dataclasses.replace(TABULAR, game="no_such_game")
    tasks = [entry_task(TABULAR), entry_task(TABULAR, Limits(cpu_seconds=1e-9, uncounted=2))]
    (whole, cut, refused) = (
        entry for _, entry in completed([*tasks, entry_task(unlucky)], pool=None)
    )
    strip = [dataclasses.replace(record, seconds={}) for record in whole.records]
    assert strip == [dataclasses.replace(record, seconds={}) for record in run.records]
    assert len(cut.records) == 3  # the third is the first that counts
    assert 0 <= cut.population_exploitability <= cut.records[-1].exploitability + 1e-9
    assert refused.records == [] and "no_such_game" in refused.error


@pytest.mark.slow
def test_entries_are_the_same_with_workers(workers):
    tasks = [entry_task(dataclasses.replace(config, seed=7)) for config in (KUHN, TABULAR)]
    local, spread = dict(completed(tasks, None)), dict(completed(tasks, workers))
    for place, entry in local.items():
        assert [record.exploitability for record in entry.records] == [
            record.exploitability for record in spread[place].records
        ]
        assert entry.population_exploitability == spread[place].population_exploitability


# Settings


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"executor": "threads"}, "unknown executor 'threads'; known: local, processes, ray"),
        ({"workers": 2}, "workers is for --executor processes or ray"),
        ({"executor": "processes", "workers": 0}, "executor.workers = 0 must be above 0"),
        ({"executor": "processes", "ray_address": "auto"}, "ray_address is for --executor ray"),
        ({"executor": "processes", "gpu_share": 1.5}, "gpu_share = 1.5 must be between 0 and 1"),
    ],
)
def test_settings_that_cannot_be(settings, says):
    with pytest.raises(SettingsError, match=says):
        ExecutorConfig(**settings)


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PoolError, match="pip install 'psro"):
        ExecutorConfig(executor="ray")


def test_workers_have_as_many_devices_as_this_process(monkeypatch):
    config = types.SimpleNamespace(jax_num_cpu_devices=6, jax_compilation_cache_dir=None)
    monkeypatch.setitem(sys.modules, "jax", types.SimpleNamespace(config=config))
    many = ExecutorConfig(executor="processes", workers=3)._environments()
    assert [worker["JAX_NUM_CPU_DEVICES"] for worker in many] == ["6"] * 3


@pytest.mark.parametrize("name", ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"])
def test_workers_have_as_many_threads_as_this_process(monkeypatch, name):
    for number in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(number, raising=False)
    processes = ExecutorConfig(executor="processes", workers=1)
    (alike,) = processes._environments()
    assert alike["OPENBLAS_NUM_THREADS"] == str(len(os.sched_getaffinity(0)))
    monkeypatch.setenv(name, "3")
    assert processes._environments()[0]["OPENBLAS_NUM_THREADS"] == "3"


def test_two_workers_on_a_card_do_not_take_it_whole(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("JAX_PLATFORMS", "cuda,cpu")
    half = ExecutorConfig(executor="processes", gpu_share=0.5)._environments()
    assert [worker["CUDA_VISIBLE_DEVICES"] for worker in half] == ["0", "1", "0", "1"]
    shares = [float(worker["XLA_PYTHON_CLIENT_MEM_FRACTION"]) for worker in half]
    assert shares[0] + shares[2] < 0.75  # a part is left to this process
    none = ExecutorConfig(executor="processes", gpu_share=0.0, workers=1)._environments()
    assert none[0]["JAX_PLATFORMS"] == "cpu"
    beside = ExecutorConfig(executor="processes", measuring_workers=3)
    assert len(beside._environments()) == 2  # one a card
    (measuring,) = {tuple(sorted(e.items())) for e in beside._measuring_environments()}
    assert {("CUDA_VISIBLE_DEVICES", ""), ("JAX_PLATFORMS", "cpu")} <= set(measuring)
    with beside.open() as pool:
        assert pool.size == 5 and pool.whole_requests


def test_versions_of_what_is_not_installed():
    # This package runs from a checkout alone, too: it is then not installed.
    assert worker.installed(("numpy", "no_such_package")) == {
        "numpy": np.__version__, "no_such_package": "none",
    }  # fmt: skip
