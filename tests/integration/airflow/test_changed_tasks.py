"""What a task's author, its clock or its store change between two tries: nothing is paid twice, nothing is mixed up."""

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from flora_provider.links.flora import FloraRunLink
from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.runs.errors import LedgerUnreadable
from tests.support.airflow_tasks import ENDLESS

TEMPLATE = "A fern at {{ macros.datetime.now() }}"


class Prompts:
    """Several executions of operators of ours in one task, as a loop in a `@task` makes them."""

    def __init__(self, one_task, generate, **options):
        self.generate, self.options = generate, options
        self.task = one_task(generate(**options))

    def execute(self, prompts):
        return [self.generate(prompt=prompt, **self.options).execute(self.task.context) for prompt in prompts]

    def retry(self, prompts):
        self.task.ti.try_number += 1
        return self.execute(prompts)


def prompts(flora):
    return [run.request.prompt for run in flora.runs]


def test_task_that_executes_three_operators_has_three_runs_and_finds_each_again(flora, generate, one_task):
    loop = Prompts(one_task, generate)
    runs = loop.execute(["a fern", "a moss", "a fern"])
    assert len(set(runs)) == flora.billed == 3
    assert loop.retry(["a fern", "a moss", "a fern"]) == runs
    assert loop.retry(["a moss", "a fern", "a fern", "an ivy"])[:1] == runs[1:2]
    assert flora.billed == 4


def test_subclass_that_executes_twice_has_two_runs(flora, one_task):
    class Pair(FloraGenerateOperator):
        def execute(self, context):
            found = []
            for prompt in ("a fern", "a moss"):
                self.prompt = prompt
                found.append(super().execute(context))
            return found

    task = one_task(Pair(task_id="pair", type="text", prompt="first"))

    runs = task.run()

    assert prompts(flora) == ["a fern", "a moss"]
    assert task.retry() == runs


@pytest.fixture
def timed_out(flora, generate, one_task):
    """A task whose wait has timed out, and whose run has completed since."""

    def make(**options):
        waiting = {"wait_for_completion": True, "deferrable": False, "timeout": 0.2}
        slow = {"seconds": 1.0, "no_estimate": True}
        task = one_task(generate(behavior=slow, **waiting, **options))
        task.fails(match="larger timeout")
        flora.sandbox.clock.advance(10)
        return task

    return make


EDITS = {"prompt": "a moss", "model": "t2i-flux-2-pro", "model_params": {"seed": 7}, "flora_conn_id": "other"}


@pytest.mark.parametrize("name", EDITS)
def test_edited_task_fails_for_good_and_names_run_change_and_remedy(flora, timed_out, name):
    flora.connect("other")
    task = timed_out()
    setattr(task.operator, name, EDITS[name])

    error = task.retry_fails(AirflowFailException, match=r"has changed since an earlier try.*was .*, is .*")

    assert flora.runs[0].run_id in str(error)
    assert "on_changed_request" in str(error)
    assert flora.started == 1


@pytest.mark.parametrize("member", ["project_id", "workspace_id"])
def test_edited_connection_is_an_edited_request(flora, timed_out, member):
    task = timed_out()
    flora.connect(extra={member: f"{'prj' if member == 'project_id' else 'ws'}_other"})
    task.retry_fails(AirflowFailException, match=rf"{member} was '.*', is '.*_other'")
    assert flora.started == 1


def test_edited_task_adopts_the_earlier_run_if_its_author_says_so(flora, timed_out, caplog):
    task = timed_out(on_changed_request="adopt")
    task.operator.prompt = "a moss"
    assert task.retry()["run_id"] == flora.runs[0].run_id
    assert "prompt was 'a fern', is 'a moss'" in caplog.text
    assert flora.started == 1
    assert "prompt" not in task.xcoms["request"], "it is not what the run was asked for"


def test_edited_task_starts_another_run_if_its_author_says_so(flora, timed_out):
    task = timed_out(on_changed_request="submit_again")
    task.operator.prompt = "a moss"
    task.operator.timeout = None
    assert task.retry()["run_id"] == flora.runs[1].run_id
    assert task.retry()["run_id"] == flora.runs[1].run_id
    assert prompts(flora) == ["a fern", "a moss"]


@pytest.mark.parametrize("template", [TEMPLATE, "A fern of try {{ ti.try_number }}"])
def test_prompt_that_renders_differently_at_each_try_is_found_again(flora, generate, one_task, template, logged):
    flora.sandbox.settings.idempotency = "replay"
    flora.inject(route="/generate", delivery="drop", after=True)
    task = one_task(generate(prompt=template))
    task.fails(match="broke")

    found = task.retry()

    assert found == flora.runs[0].run_id == task.retry()
    assert flora.billed == 1
    assert "prompt" not in task.xcoms["request"], "it is not what the run was asked for"
    assert "rendered differently at each try" in logged()


def test_prompt_of_a_clock_takes_its_run_again_after_a_wait_that_timed_out(flora, timed_out):
    assert timed_out(prompt=TEMPLATE).retry()["run_id"] == flora.runs[0].run_id
    assert flora.started == 1


@pytest.mark.parametrize("mode", ["replay", "duplicate_409"])
def test_prompt_of_a_clock_is_not_paid_twice_without_a_store(flora, generate, one_task, mode):
    flora.sandbox.settings.idempotency = mode
    flora.inject(route="/generate", delivery="drop", after=True)
    task = one_task(generate(prompt=TEMPLATE), store=False)
    task.fails(match="broke")
    task.retry_fails(AirflowFailException, match=flora.runs[0].run_id)
    assert flora.billed == 1


def test_signed_address_in_a_request_is_not_stored(flora, generate, one_task):
    address = "https://bucket.example/a.png?signature=secret"
    task = one_task(generate(prompt=f"like {address}"))
    task.run()
    task.operator.prompt = f"like {address}2"
    error = task.retry_fails(AirflowFailException, match="text was not kept")
    assert "secret" not in f"{task.store}{error}"


# ── Clears ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_clear_with_fewer_retries_is_a_new_run(flora, generate, one_task):
    task = one_task(generate(retries=1), max_tries=1)
    task.dag_run.clear_number = 0
    first = task.run()
    task.operator.retries = 0
    task.operator.prompt = "a moss"
    task.dag_run.clear_number = 1

    second = task.retry()

    assert second != first
    assert prompts(flora) == ["a fern", "a moss"]
    assert task.retry() == second


class Killed(BaseException):
    """SIGKILL, as far as the task's own code goes."""


def killed_while_it_waits(task, monkeypatch):
    def kill(*_args, **_options):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("flora_provider.tasks.waiting.WaitsForRun.wait_in_worker", kill)
        task.fails(Killed)


def test_clear_of_a_running_task_is_a_new_run(flora, generate, one_task, monkeypatch):
    task = one_task(generate(retries=2, wait_for_completion=True, deferrable=False))
    task.dag_run.clear_number = 0
    killed_while_it_waits(task, monkeypatch)  # by the clear
    task.dag_run.clear_number = 1
    assert task.retry()["run_id"] != flora.runs[0].run_id
    assert flora.started == 2


def test_clear_of_another_task_is_none_of_one_that_was_killed_before_it_deferred(flora, generate, one_task):
    task = one_task(generate(behavior=ENDLESS, retries=2))
    task.dag_run.clear_number = 0
    first = task.execute()  # and its process is killed before Airflow knows of it
    task.dag_run.clear_number = 1
    assert task.retry() == first
    assert flora.started == 1


def test_clear_of_a_running_loop_is_a_new_run(flora, generate, one_task):
    loop = Prompts(one_task, generate)
    loop.task.dag_run.clear_number = 0
    context = loop.task.context | {"task": type("Loop", (), {"retries": 2})()}
    [first] = [generate(prompt="a fern").execute(context)]
    loop.task.dag_run.clear_number = 1
    loop.task.ti.try_number += 1

    assert generate(prompt="a fern").execute(context) != first


def test_clear_of_another_task_is_no_reason_to_pay_again(flora, timed_out, caplog):
    task = timed_out()
    task.dag_run.clear_number = 1
    assert task.retry()["run_id"] == flora.runs[0].run_id


def test_key_of_ones_own_counts_clears(flora, generate, one_task):
    task = one_task(generate(idempotency_key="order-{{ ds }}", retries=2))
    first = task.run()
    second = task.clear()
    assert first != second
    assert [run.request.idempotency_key for run in flora.runs] == ["order-2026-01-01", "order-2026-01-01-c1"]
    assert task.retry() == second


# ── Records and the store ─────────────────────────────────────────────────────────────────────────────────────────────


def test_record_of_an_earlier_release_is_read(flora, generate, one_task):
    task = one_task(generate())
    run_id = task.run()
    kept = task.store["flora_run"]
    task.store["flora_run"] = {
        "clears": 2,
        "generation": kept["key_version"],
        **{name: kept[name] for name in ("key", "intended_at", "run_id")},
    }

    assert task.retry() == run_id
    assert task.retry() == run_id
    assert flora.started == 1


@pytest.mark.parametrize("inject", [lambda record: record.pop("key"), lambda record: record.update(version=99)])
def test_record_that_cannot_be_read_pays_nothing_and_says_so(flora, generate, one_task, inject):
    task = one_task(generate())
    task.run()
    inject(task.store["flora_run"])

    error = task.retry_fails(LedgerUnreadable, match="cannot be read")

    assert isinstance(error, AirflowException)
    assert not isinstance(error, AirflowFailException)
    assert flora.started == 1


@pytest.fixture
def failing(monkeypatch):
    """A store that fails as often as is said, from a call on."""

    def make(task, *, after, times):
        calls = {"set": 0}
        real = task.store.set

        def store_set(key, value):
            calls["set"] += 1
            if after < calls["set"] <= after + times:
                raise RuntimeError("API_SERVER_ERROR")
            real(key, value)

        monkeypatch.setattr(task.store, "set", store_set)

    return make


@pytest.mark.parametrize(("after", "times"), [(0, 0), (0, 2), (1, 2)], ids=["never", "intent", "run id"])
def test_store_alone_suffices_although_it_fails_for_a_while(flora, generate, one_task, failing, after, times, caplog):
    flora.sandbox.settings.idempotency = "none"  # a server that ignores keys
    task = one_task(generate())
    failing(task, after=after, times=times)

    assert task.run() == flora.runs[0].run_id
    assert task.retry() == flora.runs[0].run_id
    assert flora.billed == 1
    assert ("is not stored yet: Airflow raised RuntimeError" in caplog.text) == (times > 0)


def test_store_that_stays_away_leaves_the_paid_id_in_log_and_error(
    flora, generate, one_task, failing, monkeypatch, caplog
):
    monkeypatch.setattr("flora_provider.tasks.ledger.RETRY_FOR", 0.1)
    task = one_task(generate())
    failing(task, after=1, times=10**6)

    error = task.fails(match="which is billed, could not be stored")

    run_id = flora.runs[0].run_id
    assert run_id in str(error)
    said = [record.getMessage() for record in caplog.records]
    first = next(number for number, line in enumerate(said) if run_id in line)
    assert first < next(number for number, line in enumerate(said) if "is not stored yet" in line)


@pytest.mark.parametrize("key", ["flora_url", "quoted_cost_usd", "charged_cost_usd"])
def test_xcom_that_cannot_be_pushed_costs_no_try(flora, generate, one_task, monkeypatch, key):
    task = one_task(generate(wait_for_completion=True))
    real = task.ti.xcom_push

    def fail_for_that_key(**pushed):
        if pushed["key"] == key:
            raise RuntimeError("API_SERVER_ERROR")
        real(**pushed)

    monkeypatch.setattr(task.ti, "xcom_push", fail_for_that_key)

    assert task.run()["run_id"] == flora.runs[0].run_id == task.xcoms["run_id"]


# ── The link ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_link_of_a_task_that_failed_early_asks_airflow_for_nothing(flora, generate, one_task):
    task = generate(prompt="{{ ti.xcoms.absent }}").prepare_for_execution()
    assert FloraRunLink().get_link(task, ti_key=one_task(task).ti) == ""
