"""Hook modules from their files: what is found in one, and what is told of a broken one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.hooks import IGatewayHooks
from gateway.hooks.loader import MODULE_NAME, NAMES, HookError, HookModule, load


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test writes its module."""
    monkeypatch.delitem(sys.modules, MODULE_NAME, raising=False)
    return tmp_path / "hooks.py"


def problem(path: Path, source: str) -> str:
    """What is told of a module, after the name of its file."""
    path.write_text(source)
    with pytest.raises(HookError) as caught:
        load(path)
    file, _, rest = str(caught.value).partition(":")
    assert file == str(path)
    return rest


def test_the_interface_and_the_loader_know_the_same_hooks() -> None:
    assert set(NAMES) == set(IGatewayHooks)


def test_hooks_are_functions_of_the_module_and_all_are_optional(path: Path) -> None:
    """D11: what else is in it is the operator's own."""
    path.write_text(
        "import json\n"
        "from urllib import request as _request\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Budget:\n"
        "    left: 'int' = 1\n"
        "def request_header(name): ...\n"
        "def _requests(): ...\n"
        "def request(head, more=None): ...\n"
        "async def settled(*rows): ...\n"
    )
    module = load(path)
    assert (module.response, module.event) == (None, None)
    assert module.request is not None
    assert module.settled is not None
    assert module.request.__module__ == MODULE_NAME


def test_a_hook_may_be_the_method_of_an_object(path: Path) -> None:
    """D11: for those that keep something."""
    path.write_text(
        "class Counter:\n    def request(self, head): ...\nrequest = Counter().request\n"
    )
    assert load(path).request is not None


def test_nothing_is_written_beside_the_file(path: Path) -> None:
    path.write_text("def request(head): ...\n")
    load(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["hooks.py"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", "1: there is no hook in it, write a function request, response, event or settled"),
        ("\ndef request(): ...", "2: request() takes other arguments, write def request(head)"),
        ("def response(a, b): ...", "1: response(a, b) takes other arguments, write"),
        ("def event(*, block): ...", "1: event(*, block) takes other arguments, write"),
        ("settled = 1", "1: settled is no function, write def settled(row)"),
        ("async def event(block): ...", "1: event is async, but nothing can wait for it, write"),
        ("async def response(head): ...", "1: response is async, but nothing can wait"),
        ("def request(head): yield", "1: request is a generator, which nobody runs, write"),
        ("def settled(row): ...\ndef requst(head): ...", "2: requst is no hook, did you mean re"),
        (
            "def on_request(head): ...",
            "1: on_request is no hook, did you mean request? If it is to be none, name it "
            "_on_request",
        ),
        ("import os\n\nclass request: ...", "3: request is a class, write def request(head)"),
        (
            "import os\nfrom json import loads as x, dump as request",
            "2: request(obj, fp, *, skipkeys=False",
        ),
        (
            "def f(): import request\nfrom urllib import request",
            "2: request is no function; it is imported from urllib, import it as _request",
        ),
        (
            "import xml.sax as settled\nif True:\n    import event.x\n",
            "3: ModuleNotFoundError: No module named 'event'",
        ),
    ],
)
def test_a_module_that_would_do_something_else_than_meant_is_told_of(
    path: Path, source: str, told: str
) -> None:
    """D11, O1: with the line, and with what would be right."""
    assert problem(path, source).startswith(told)


def test_everything_that_is_wrong_is_told_at_once(path: Path) -> None:
    """D11, O1: in the order of lines."""
    path.write_text(
        "def settled(): ...\n"
        "from json import dump as request\n"
        "def on_request(head): ...\n"
        "def response(head): ...\n"
        "event = lambda: (settled := 1)\n"
    )
    with pytest.raises(HookError) as caught:
        load(path)
    told = [problem.removeprefix(f"{path}:").partition("(")[0] for problem in caught.value.problems]
    assert told == [
        "1: settled",
        "2: request",
        "3: on_request is no hook, did you mean request? If it is to be none, name it _on_request",
        "5: event",
    ]
    assert caught.value.problems[1].endswith("; it is imported from json, import it as _request")


def test_a_hook_may_be_imported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D11: from a package of the operator's own."""
    monkeypatch.syspath_prepend(path.parent)
    (path.parent / "policy_of_ours.py").write_text("def request(head): ...\n")
    path.write_text("from policy_of_ours import request\nfrom json import loads as event\n")
    assert load(path).names == ("request", "event")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import os\n\nos.environ['NO_SUCH_NAME']\n", "3: KeyError: 'NO_SUCH_NAME'"),
        ("import json\n\n\njson.loads('{')\n", "4: json.decoder.JSONDecodeError: "),
        ("def request(head:\n    ...\n", "1: SyntaxError: '(' was never closed"),
        ("import no_such_module_at_all\n", "1: ModuleNotFoundError: No module named "),
        ("import sys\nsys.exit(3)\n", "2: SystemExit: 3"),
        ("raise ValueError('two\\nlines')\n", "1: "),
    ],
)
def test_an_exception_at_import_is_told_with_its_line(path: Path, source: str, told: str) -> None:
    """D11, O1: and nothing of the module stays."""
    text = problem(path, source)
    assert text.startswith(told)
    assert "\n" not in text
    assert MODULE_NAME not in sys.modules


def test_a_module_that_is_broken_leaves_the_one_before_in_its_place(path: Path) -> None:
    path.write_text("def request(head): ...\n")
    load(path)
    before = sys.modules[MODULE_NAME]
    problem(path, "1 / 0\n")
    assert sys.modules[MODULE_NAME] is before


def test_a_file_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(HookError, match="No such file"):
        load(path)


def test_the_example_is_a_module_that_can_be_used() -> None:
    """D11: as it stands in the source tree."""
    example = Path(__file__).parents[2] / "conf" / "hooks_example.py"
    module = load(example)
    assert isinstance(module, HookModule)
    assert module.request is not None
    assert module.settled is not None
