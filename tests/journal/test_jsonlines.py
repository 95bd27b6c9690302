"""``log = json``: an object a line."""

from __future__ import annotations

import io
import json
from typing import Any

from msgspec.structs import replace
from twisted.python.failure import Failure

from gateway.journal import JsonObserver, Kind
from tests.journal.fakes import FINISHED, INTENT, SECRET, settle, through


def objects(stream: io.StringIO) -> list[dict[str, Any]]:
    """What was written, a line at a time."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_request_is_one_object_with_its_row() -> None:
    """O6: the columns as ``gatewayctl --json`` names them, without what is not known."""
    stream = io.StringIO()
    settle(JsonObserver(stream), FINISHED)
    (found,) = objects(stream)
    assert found.pop("time").endswith("Z")
    assert found.pop("level") == "info"
    assert found.pop("kind") == "request"
    assert found.pop("message").startswith("finished 200 POST ")
    assert found == {name: v for name, v in FINISHED.as_row().items() if v is not None}


def test_an_error_has_its_traceback_in_a_field_of_its_own() -> None:
    """O6: and where it came from, in three."""
    stream = io.StringIO()
    try:
        raise ZeroDivisionError("on purpose")
    except ZeroDivisionError:
        through(JsonObserver(stream)).failure("it broke", id="id-7", kind=Kind.HOOK_FAILED)
    (found,) = objects(stream)
    assert found["message"] == "it broke"
    assert found["level"] == "critical"
    assert found["kind"] == "hook_failed"
    assert found["id"] == "id-7"
    assert found["traceback"].splitlines()[-1] == "builtins.ZeroDivisionError: on purpose"
    assert found["code_file"] == __file__
    assert found["code_func"] == "test_an_error_has_its_traceback_in_a_field_of_its_own"
    assert isinstance(found["code_line"], int)


def test_whatever_stands_in_it_a_record_is_one_line_of_ascii() -> None:
    nasty = "x\n{}\u2028\x1b[2J\ud800"
    stream = io.StringIO()
    settle(JsonObserver(stream), replace(FINISHED, intent=replace(INTENT, model_requested=nasty)))
    assert stream.getvalue().isascii()
    assert stream.getvalue().strip().isprintable()
    assert objects(stream)[0]["model_requested"] == nasty


def test_no_field_holds_a_key() -> None:
    """H8: wherever in a record the key turns up."""
    stream = io.StringIO()
    observer = JsonObserver(stream)
    settle(observer, replace(FINISHED, intent=replace(INTENT, path=f"/{SECRET}"), tags=SECRET))
    through(observer).failure("{what}", Failure(ValueError(SECRET)), what=SECRET, id=SECRET)
    assert len(objects(stream)) == 2
    assert SECRET not in stream.getvalue()


def test_what_others_call_by_the_same_names_is_none_of_it() -> None:
    """A server's ``code=404`` is no place in a file."""
    stream = io.StringIO()
    log = through(JsonObserver(stream))
    log.info("answered {code}", code=404, kind="page", record="r", traceback="t")
    (found,) = objects(stream)
    assert found.keys() == {"time", "level", "message"}
    assert found["message"] == "answered 404"


def test_a_worker_is_in_each_of_its_records() -> None:
    stream = io.StringIO()
    through(JsonObserver(stream, {"worker": "2", "generation": 3})).info("hello")
    (found,) = objects(stream)
    assert (found["worker"], found["generation"], found["message"]) == ("2", 3, "hello")
