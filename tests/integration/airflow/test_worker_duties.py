"""What a worker of the installed Airflow does around a task, and what becomes of it where the triggerer does it alone.

Where a task ends in the triggerer, nobody does these things unless we do. So a new Airflow whose worker reads another
attribute of a task, or sends another message, fails here, and somebody looks at it: it is either done by the trigger,
or the worker is kept (`tasks/triggerer.py`), or it is no loss.
"""

import ast
import inspect

from tests.support.airflow_features import TRIGGERER_ENDS_TASKS

KEPT = "a task that has it keeps its worker"
DONE = "the trigger does it"
BEFORE = "done by the worker that deferred; a task that starts in the triggerer keeps its worker if it has it"
FAILED = "about failures, which are ended by workers"
NOTHING = "no loss"

# Attributes of a task that a worker reads from the start of a try to its end.
ATTRIBUTES = {
    "_post_execute_hook": KEPT,
    "_pre_execute_hook": BEFORE,
    "dag": NOTHING,  # for Jinja
    "do_xcom_push": DONE,
    "email": FAILED,
    "email_on_failure": FAILED,
    "email_on_retry": FAILED,
    "execute": BEFORE,
    "execution_timeout": BEFORE,
    "inlets": BEFORE,
    "iter_mapped_dependants": KEPT,
    "multiple_outputs": KEPT,
    "on_kill": FAILED,
    "operator_extra_links": KEPT,  # but ours, whose XCom the deferring worker pushes
    "outlets": KEPT,
    "overwrite_rtif_after_execution": KEPT,
    "post_execute": KEPT,
    "pre_execute": BEFORE,
    "prepare_for_execution": KEPT,
    "resume_execution": KEPT,
    "returns_dag_result": KEPT,
    "template_fields": NOTHING,  # read with overwrite_rtif_after_execution
}
# What a worker sends, calls or counts for a task that succeeds.
EFFECTS = {
    "RescheduleTask": NOTHING,  # a deferred task is not rescheduled
    "SetRenderedFields": NOTHING,  # what the page of a task shows under "Rendered Templates"
    "SetRenderedMapIndex": KEPT,  # as map_index_template
    "SkipDownstreamTasks": NOTHING,  # none of our tasks branches
    "SucceedTask": DONE,  # by Airflow, on TaskSuccessEvent
    "TaskState": FAILED,
    "ValidateInletsAndOutlets": KEPT,
    "XCom.delete": DONE,  # what an earlier try has pushed
    "XCom.set": DONE,
    "_await_input_task": NOTHING,  # none of our tasks asks a person
    "_clear_backend_only": KEPT,  # as clear_on_success
    "_defer_task": DONE,
    "_handle_current_task_failed": FAILED,
    "_handle_handler_failure": FAILED,
    "_handle_trigger_dag_run": NOTHING,  # none of our tasks starts DAG runs
    "_send_error_email_notification": FAILED,
    "_serialize_outlet_events": KEPT,  # as outlets
    "_xcom_push_to_db": KEPT,  # as operator_extra_links
    "before_stopping": NOTHING,  # a listener's word for a process that ends; none has started
    "clear_on_success": KEPT,
    "on_execute_callback": BEFORE,
    "on_failure_callback": FAILED,
    "on_retry_callback": FAILED,
    "on_skipped_callback": FAILED,
    "on_success_callback": KEPT,
    "on_task_instance_failed": FAILED,
    "on_task_instance_running": KEPT,  # where a plugin listens
    "on_task_instance_skipped": FAILED,
    "on_task_instance_success": KEPT,
    "stats.incr": NOTHING,  # metrics of workers; the triggerer has its own
    "stats.timing": NOTHING,
}
FUNCTIONS = """
    _prepare _validate_task_inlets_and_outlets _run_task_and_map_outcome _execute_task _run_execute_callable
    _render_map_index _push_xcom_if_needed _xcom_push _handle_current_task_success run finalize
"""
CALLED_OTHERWISE = {"XCom.delete", "XCom.set", "stats.incr", "stats.timing", "_clear_backend_only"}


def sources():
    from airflow.sdk.execution_time import task_runner

    for name in FUNCTIONS.split():
        yield from ast.walk(ast.parse(inspect.getsource(inspect.unwrap(getattr(task_runner, name)))))


def read_of_tasks(nodes):
    """Attributes of `task` or `ti.task`, plain or by `getattr`."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("task", "ti.task"):
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            holder, name = node.args[:2]
            if ast.unparse(holder) in ("task", "ti.task") and isinstance(name, ast.Constant):
                yield name.value


def effects_of(nodes):
    """Messages to the supervisor, hooks of listeners, kinds of callbacks, settings, and functions of the same file."""
    from airflow.sdk.execution_time import comms, task_runner
    from pydantic import BaseModel

    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.startswith("on_") or node.value == "clear_on_success":
                yield node.value
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.rpartition(".")[2]
            own = getattr(task_runner, name, None)
            message = getattr(comms, name, None)
            is_message = inspect.isclass(message) and issubclass(message, BaseModel)
            is_step = name.startswith("_") and inspect.isfunction(own) and name not in FUNCTIONS.split()
            if is_message or is_step or ".hook." in name or last in EFFECTS or name in CALLED_OTHERWISE:
                yield last if ".hook." in name or last in EFFECTS else name


HELPERS = {
    "_build_asset_profiles",  # of outlets
    "_get_worker_state_store_backend",  # with clear_on_success
    "_run_task_state_change_callbacks",  # which callbacks, is what they are called with
    "_serialize_rendered_fields",  # into SetRenderedFields
}


def test_worker_does_nothing_around_a_task_that_we_do_not_know_of():
    if not TRIGGERER_ENDS_TASKS:
        from flora_provider.operators.flora import FloraGenerateOperator
        from flora_provider.tasks.triggerer import can_end_in_triggerer

        assert not can_end_in_triggerer(FloraGenerateOperator(task_id="a", type="text", prompt="a fern"))
        return
    nodes = list(sources())

    assert set(read_of_tasks(nodes)) - {"__class__"} == set(ATTRIBUTES)
    assert set(effects_of(nodes)) - HELPERS == set(EFFECTS)
