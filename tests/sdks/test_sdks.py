"""The vendors' own SDKs, for Python and for Node, raw and helped, through a gateway.

``docs/keepalive.rst`` tells in words what is found here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from gateway.demo.models import TEXT, split
from tests.process.gateway_process import GatewayProcess, eventually
from tests.process.scripted_upstream import ScriptedUpstream
from tests.sdks import situations
from tests.sdks.releases import PYTHONS, RELEASES, Release, ask, ask_all, left_out, pinned
from tests.sdks.situations import BROKEN, SITUATIONS, WHOLE, Situation
from tests.sdks.streams import PROVIDERS_WORDS, RESPONSES
from tests.sdks.ways import Way, in_demo, streams

Releases = Callable[[str], Release]

#: What each SDK raises for an error that a stream tells, in Python and in Node.
RAISES_IN_A_STREAM: Final = {
    "openai": ("APIError", "APIError"),
    "anthropic": ("APIStatusError", "APIError"),
}
#: And for a status.
RAISES_AT_ONCE: Final = {429: "RateLimitError", 500: "InternalServerError"}

#: What the helper in Python says when it is asked for the whole response.
NO_END: Final = "Didn't receive a `response.completed` event."


def raises_of_google(way: Way, situation: Situation) -> str:
    """In Python, Google's SDK chooses by the status that an error tells, wherever it stands."""
    if way.in_node:
        return "ApiError"
    return "ClientError" if situation.status < 500 else "ServerError"


def raises_in_a_stream(way: Way, situation: Situation) -> str:
    """The class of what the SDK raises."""
    if way.family == "gemini":
        return raises_of_google(way, situation)
    return RAISES_IN_A_STREAM[way.sdk][way.in_node]


def cells(situations: Iterable[str], *releases: str) -> pytest.MarkDecorator:
    """Every way of every release, or of these, in every one of the situations."""
    names = list(situations)
    found = [
        (release, way, name)
        for release in releases or RELEASES
        for way in streams(release)
        for name in names
        if way.reads_ids or name != "keepalives after an id"
    ]
    ids = [f"{release}-{way.name}-{name}" for release, way, name in found]
    return pytest.mark.parametrize(("release", "way", "situation"), found, ids=ids)


def each(*releases: str, if_: Callable[[Way], bool] = lambda _: True) -> pytest.MarkDecorator:
    """Every way of every release, or of these."""
    found = [(name, way) for name in releases or RELEASES for way in streams(name) if if_(way)]
    ids = [f"{release}-{way.name}" for release, way in found]
    return pytest.mark.parametrize(("release", "way"), found, ids=ids)


@cells(WHOLE)
def test_a_whole_stream_is_heard_whole_and_raises_nothing(
    releases: Releases, release: str, way: Way, situation: str
) -> None:
    """K7, E9: all text, all usage, no error, with keepalives in any place or with none."""
    asked = releases(release).asked(way, situation)
    assert asked.heard["message"] is None
    assert asked.text == way.endpoint.text
    assert tuple(asked.heard["tokens"]) == way.endpoint.tokens
    if way.in_node and way.helped:
        assert asked.heard["whole"] == way.endpoint.text


@cells(name for name in WHOLE if name.startswith("keepalives"))
def test_keepalives_were_said_where_an_sdk_was_not_disturbed(
    releases: Releases, release: str, way: Way, situation: str
) -> None:
    """K7: two at least; else the test above would show nothing."""
    [row] = releases(release).asked(way, situation).rows
    assert int(row["keepalives"] or 0) >= 2


@cells(BROKEN)
def test_a_broken_stream_raises_the_sdks_own_error(
    releases: Releases, release: str, way: Way, situation: str
) -> None:
    """E9, E2, E3, E4, K3, K8: behind what had come, with the words of the row."""
    check_broken(releases(release), way, situation)


def check_broken(release: Release, way: Way, name: str) -> None:
    """What had come is heard, and then the gateway's own error."""
    asked, situation = release.asked(way, name), SITUATIONS[name]
    [row] = asked.rows
    assert asked.text == (way.endpoint.cut_text if situation.begun else "")
    assert asked.heard["sdks_own"]
    assert asked.heard["raised"][0] == raises_in_a_stream(way, situation)
    assert str(row["error_detail"]) in asked.heard["message"]


@cells(BROKEN, "node")
def test_an_error_in_node_has_what_its_sdk_tells_errors_apart_by(
    releases: Releases, release: str, way: Way, situation: str
) -> None:
    """E9: OpenAI's a code, Anthropic's a type, Google's a status; those of the dialect."""
    asked, status = releases(release).asked(way, situation), SITUATIONS[situation].status
    [row] = asked.rows
    if way.family == "gemini":
        assert asked.heard["status"] == status
    elif way.family == "anthropic":
        # With 429, the provider's own.
        kinds = {429: "overloaded_error", 504: "timeout_error"}
        assert asked.heard["type"] == kinds.get(status, "api_error")
    elif status == 429:
        assert asked.heard["code"] == "rate_limit_exceeded"  # the provider's own
    else:
        gateways = "server_error" if way.endpoint is RESPONSES else row["error"]
        assert asked.heard["code"] == gateways


@each(if_=lambda way: way.in_node or way.endpoint is not RESPONSES)
def test_a_providers_error_in_a_stream_raises_the_sdks_own_error(
    releases: Releases, release: str, way: Way
) -> None:
    """E9, E5: passed on as it came, behind what had come."""
    name = "error in the stream"
    asked = releases(release).asked(way, name)
    assert asked.text == way.endpoint.cut_text
    assert asked.heard["sdks_own"]
    assert asked.heard["raised"][0] == raises_in_a_stream(way, SITUATIONS[name])
    assert PROVIDERS_WORDS in asked.heard["message"]


@each(*PYTHONS, if_=lambda way: way.endpoint is RESPONSES)
def test_openais_sdk_for_python_hands_out_the_errors_that_are_documented_for_responses(
    releases: Releases, release: str, way: Way
) -> None:
    """E5: as events among others, after which it tells of no end; it is not ours to change them."""
    asked = releases(release).asked(way, "error in the stream")
    assert asked.text == way.endpoint.cut_text
    assert asked.heard["events"] == way.endpoint.cut_after + way.endpoint.error_events.count(
        b"\n\n"
    )
    assert asked.heard["tokens"] is None
    assert asked.heard["message"] == (NO_END if way.helped else None)


@each("node", if_=lambda way: not way.reads_ids)
def test_googles_sdk_for_node_hands_out_nothing_of_events_with_an_id(
    releases: Releases, release: str, way: Way
) -> None:
    """K7: and raises nothing; Google sends none, and others' are not ours to change."""
    asked = releases(release).asked(way, "keepalives after an id")
    assert (asked.heard["events"], asked.heard["message"]) == (0, None)


@cells(["refused at once", "failed at once"])
def test_a_providers_refusal_raises_the_sdks_error_of_its_status(
    releases: Releases, release: str, way: Way, situation: str
) -> None:
    """E9, K1: before the commit a status is a status, and its words are the provider's."""
    asked, status = releases(release).asked(way, situation), SITUATIONS[situation].status
    google = way.family == "gemini"
    assert asked.text == ""
    assert asked.heard["sdks_own"]
    assert asked.heard["raised"][0] == (
        raises_of_google(way, SITUATIONS[situation]) if google else RAISES_AT_ONCE[status]
    )
    if situation == "refused at once":
        assert PROVIDERS_WORDS in asked.heard["message"]
    if way.in_node:
        assert asked.heard["status"] == status


@each("node")
def test_a_client_in_node_that_aborts_hears_no_more_and_its_upstream_is_dropped(
    releases: Releases, release: str, way: Way
) -> None:
    """A2, E9: the row says so; an SDK says nothing, or that it was aborted."""
    asked = releases(release).asked(way, "left")
    helped = "APIUserAbortError" if way.helped else None
    raised = asked.heard["raised"]
    assert way.endpoint.cut_text.startswith(asked.text)
    assert (raised and raised[0]) == ("DOMException" if way.family == "gemini" else helped)
    [row] = asked.rows
    assert (row["outcome"], row["error"]) == ("client_gone", None)


@each()
def test_each_request_is_made_once_and_has_one_row(
    releases: Releases, release: str, way: Way
) -> None:
    """E9, A1: in every situation; nobody asks again, and the row tells what happened."""
    for name in situations.met(way):
        asked = releases(release).asked(way, name)
        [row] = asked.rows
        assert asked.requests == 1
        assert (row["outcome"], row["error"]) == SITUATIONS[name].row, name
        assert (row["dialect"], row["stream"]) == (way.endpoint.dialect, True)
        if name in WHOLE:
            assert (row["input_tokens"], row["output_tokens"]) == way.endpoint.tokens


def test_no_error_in_node_is_one_that_a_program_cannot_catch(releases: Releases) -> None:
    """E9: helpers raise in several places at once; one that nobody awaits would end a program."""
    assert releases("node").unhandled == []


@pytest.mark.parametrize("release", RELEASES)
def test_a_stream_that_the_gateways_stopping_ends_raises_the_sdks_own_error(
    tmp_path: Path, release: str
) -> None:
    """E9, O4: behind what had come, with the words of the row."""
    upstream = ScriptedUpstream()
    upstream.play(situations.play)
    asks = [(way, "stopped") for way in streams(release)]
    sections = situations.sections(upstream.port)
    with (
        GatewayProcess(tmp_path, sections, "drain_timeout = 300ms") as gateway,
        ThreadPoolExecutor(1) as pool,
    ):
        asking = pool.submit(ask_all, release, gateway, upstream, asks)

        def begun() -> bool:
            """All have asked, and what each is to hear is on its way to the gateway."""
            sent = [peer.sent for peer in upstream.peers]
            return len(upstream.requests) == len(asks) and all(sent)

        eventually(lambda: asking.done() or begun(), "all streams have begun")
        gateway.terminate()
        found = asking.result()
    upstream.close()
    for way in streams(release):
        check_broken(found, way, "stopped")
        [row] = found.asked(way, "stopped").rows
        assert (row["outcome"], row["error"]) == SITUATIONS["stopped"].row


@pytest.mark.parametrize("release", RELEASES)
def test_an_sdk_is_told_what_the_row_says(
    stage: tuple[GatewayProcess, ScriptedUpstream], release: str
) -> None:
    """A1, E9: by the simulated provider, with a stream and without."""
    gateway, _ = stage
    gateway.forget_rows()
    url, ways = f"{gateway.url}/demo", in_demo(release)
    told = ask(release, [{"way": way.name, "url": url, "model": "demo"} for way in ways])
    for way, heard in zip(ways, told["heard"], strict=True):
        assert heard["message"] is None, way
        assert "".join(heard["texts"]) == "".join(split(TEXT)[:5])
    rows = gateway.new_rows(len(ways))
    assert Counter(
        (row["dialect"], row["stream"], row["input_tokens"], row["output_tokens"]) for row in rows
    ) == Counter(
        (way.endpoint.dialect, way.stream, *heard["tokens"])
        for way, heard in zip(ways, told["heard"], strict=True)
    )
    assert {row["outcome"] for row in rows} == {"finished"}


def test_the_older_releases_are_those_that_are_pinned() -> None:
    """K7: and not what a virtual environment of last month has."""
    assert ask("older", [])["versions"] == pinned()


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_what_is_missing_is_told_of_and_fails_only_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=r"not tested: the older .*; there is no .* \(make test"):
        left_out("the older releases of the SDKs", "there is no python")
