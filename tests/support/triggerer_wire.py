"""A trigger's way to the triggerer, and its event's way back, as Airflow 3.3 sends and stores them."""

import json
from types import SimpleNamespace

import msgspec
from airflow.jobs.triggerer_job_runner import TriggerEventEntry, TriggerRunnerSupervisor, messages
from airflow.models.trigger import Trigger
from airflow.sdk.execution_time.comms import DeferTask, DeleteXCom, GetXCom, SetXCom, XComResult, _RequestFrame
from airflow.sdk.serde import deserialize, serialize
from airflow.serialization.decoders import smart_decode_trigger_kwargs
from airflow.triggers.base import TaskSuccessEvent

from flora_provider.runs.event import RunEvent
from flora_provider.triggers.flora import FloraRunTrigger
from tests.support.triggers import first_event, run_within


def framed(message):
    """A message after its way over a socket: id and body."""
    return msgspec.msgpack.decode(bytes(_RequestFrame(id=1, body=message.model_dump()).as_bytes())[4:])


def in_triggerer(trigger, **task):
    """The trigger that the triggerer makes of what a worker sent and the metadata database kept."""
    path, kwargs = trigger.serialize()
    sent = DeferTask(classpath=path, trigger_kwargs=serialize(kwargs), next_method="execute_complete", next_kwargs={})
    arrived = framed(sent)
    row = storable_json(arrived[1]["trigger_kwargs"])
    stored = Trigger._decrypt_kwargs(row)  # noqa: SLF001 - Airflow's
    revived = FloraRunTrigger(**{name: smart_decode_trigger_kwargs(value) for name, value in stored.items()})
    revived.trigger_id = 1
    instance = {"dag_id": "dag", "run_id": "manual__1", "task_id": "finished", "map_index": -1, "try_number": 1}
    revived._task_instance = SimpleNamespace(**{**instance, **task})  # noqa: SLF001 - the setter wants a whole DAG
    return revived


def storable_json(value):
    """JSON as PostgreSQL takes it into JSONB and text."""
    text = json.dumps(value, allow_nan=False)
    assert "\\u0000" not in text.replace("\\\\", "")  # an escaped backslash before u0000 is no escape of NUL
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return text


def delivered(event):
    """What the task is resumed with: the event as the trigger's process sends it, and the database keeps it."""
    message = messages.TriggerStateChanges(events=[TriggerEventEntry(trigger_id=1, event=event, persist_seq=None)])
    (entry,) = TriggerRunnerSupervisor.decoder.validate_python(framed(message)[1]).events
    row = storable_json(serialize({"event": entry.event.payload}))
    assert str(event)
    return deserialize(json.loads(row))["event"]


def event_of(trigger):
    """How the trigger ended, as its task is resumed with it."""
    return RunEvent.from_payload(delivered(run_within(first_event(trigger))))


def succeeds_in_triggerer(trigger):
    """Whether the trigger ends its task as succeeded, without a worker."""
    return isinstance(run_within(first_event(trigger)), TaskSuccessEvent)


class Supervisor:
    """Answers a trigger's questions as Airflow's does, over the same frames, and keeps the XComs."""

    def __init__(self):
        self.xcoms = {}
        self.xcom_errors = []  # what to raise, one each time it is asked for an XCom
        self.deleted = []
        self.answer = None  # an event, without which nothing that is pushed is answered

    def send(self, message):
        json.dumps(framed(message), allow_nan=False)
        if isinstance(message, GetXCom | SetXCom | DeleteXCom) and self.xcom_errors:
            raise self.xcom_errors.pop(0)
        if isinstance(message, SetXCom) and self.answer:
            self.answer.wait(10)
        if isinstance(message, SetXCom):
            self.xcoms[message.task_id, message.key] = json.loads(storable_json(message.value))
        elif isinstance(message, DeleteXCom):
            self.deleted.append(message.key)
            self.xcoms.pop((message.task_id, message.key), None)
        elif isinstance(message, GetXCom):
            return XComResult(key=message.key, value=self.xcoms.get((message.task_id, message.key)))
        return None

    async def asend(self, message):
        return self.send(message)
