"""The vendors' own SDKs, their newest and older releases, raw and helped, through a gateway.

``docs/keepalive.rst`` tells in words what is found here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from gateway.demo.models import TEXT, split
from tests.process.gateway_process import GatewayProcess
from tests.process.scripted_upstream import ScriptedUpstream
from tests.sdks.releases import PYTHONS, Release, ask, left_out, pinned
from tests.sdks.situations import BROKEN, SITUATIONS, WHOLE
from tests.sdks.streams import PROVIDERS_WORDS, RESPONSES
from tests.sdks.ways import IN_DEMO, STREAMS, Way

#: What each SDK raises for an error that a stream tells, and for status 429.
RAISES_IN_A_STREAM = {"openai": "APIError", "anthropic": "APIStatusError"}
RAISES_AT_ONCE = {
    "openai": "RateLimitError",
    "anthropic": "RateLimitError",
    "google-genai": "ClientError",
}
#: Google's SDK chooses by the code that the error tells: our 502, or the provider's 429.
GOOGLE_RAISES = {
    "reset": "ServerError",
    "reset before the head": "ServerError",
    "ended early": "ServerError",
    "refused after the commit": "ClientError",
    "error in the stream": "ClientError",
}

#: What the helper says when it is asked for the whole response.
NO_END = "Didn't receive a `response.completed` event."

ways = pytest.mark.parametrize("way", STREAMS, ids=lambda way: way.name)


def cells(situations: Iterable[str]) -> pytest.MarkDecorator:
    """Every way in every one of the situations."""
    found = [(way, name) for way in STREAMS for name in situations if way.meets(name)]
    ids = [f"{way.name}-{name}" for way, name in found]
    return pytest.mark.parametrize(("way", "situation"), found, ids=ids)


@cells(WHOLE)
def test_a_whole_stream_is_heard_whole_and_raises_nothing(
    release: Release, way: Way, situation: str
) -> None:
    """K7, E9: all text, all usage, no error, with keepalives in any place or with none."""
    asked = release.asked(way, situation)
    assert asked.heard["message"] is None
    assert asked.text == way.endpoint.text
    assert tuple(asked.heard["tokens"]) == way.endpoint.tokens


@cells(name for name in WHOLE if name.startswith("keepalives"))
def test_keepalives_were_said_where_an_sdk_was_not_disturbed(
    release: Release, way: Way, situation: str
) -> None:
    """K7: two at least; else the test above would show nothing."""
    [row] = release.asked(way, situation).rows
    assert int(row["keepalives"] or 0) >= 2


@cells(BROKEN)
def test_a_broken_stream_raises_the_sdks_own_error(
    release: Release, way: Way, situation: str
) -> None:
    """E9, E3, E4, K3: behind what had come, with the words of the row."""
    asked = release.asked(way, situation)
    [row] = asked.rows
    begun = situation in ("reset", "ended early")
    assert asked.text == (way.endpoint.cut_text if begun else "")
    assert asked.heard["sdks_own"]
    assert asked.heard["raised"][0] == RAISES_IN_A_STREAM.get(way.sdk, GOOGLE_RAISES[situation])
    assert str(row["error_detail"]) in asked.heard["message"]


@pytest.mark.parametrize(
    "way", [way for way in STREAMS if way.endpoint is not RESPONSES], ids=lambda way: way.name
)
def test_a_providers_error_in_a_stream_raises_the_sdks_own_error(
    release: Release, way: Way
) -> None:
    """E9, E5: passed on as it came, behind what had come."""
    asked = release.asked(way, "error in the stream")
    assert asked.text == way.endpoint.cut_text
    assert asked.heard["sdks_own"]
    assert asked.heard["raised"][0] == RAISES_IN_A_STREAM.get(way.sdk, "ClientError")
    assert PROVIDERS_WORDS in asked.heard["message"]


@pytest.mark.parametrize(
    "way", [way for way in STREAMS if way.endpoint is RESPONSES], ids=lambda way: way.name
)
def test_openais_sdk_hands_out_the_errors_that_are_documented_for_responses(
    release: Release, way: Way
) -> None:
    """E5: as events among others, after which it tells of no end; it is not ours to change them."""
    asked = release.asked(way, "error in the stream")
    assert asked.text == way.endpoint.cut_text
    assert asked.heard["events"] == way.endpoint.cut_after + way.endpoint.error_events.count(
        b"\n\n"
    )
    assert asked.heard["tokens"] is None
    assert asked.heard["message"] == (NO_END if way.helped else None)


@ways
def test_a_providers_refusal_raises_the_sdks_error_of_its_status(
    release: Release, way: Way
) -> None:
    """E9, K1: before the commit a status is a status."""
    asked = release.asked(way, "refused at once")
    assert asked.text == ""
    assert asked.heard["sdks_own"]
    assert asked.heard["raised"][0] == RAISES_AT_ONCE[way.sdk]
    assert PROVIDERS_WORDS in asked.heard["message"]


@ways
def test_each_request_is_made_once_and_has_one_row(release: Release, way: Way) -> None:
    """E9, A1: in every situation; nobody asks again, and the row tells what happened."""
    for name, situation in SITUATIONS.items():
        if not way.meets(name):
            continue
        asked = release.asked(way, name)
        [row] = asked.rows
        assert asked.requests == 1
        assert (row["outcome"], row["error"]) == situation.row, name
        assert (row["dialect"], row["stream"]) == (way.endpoint.dialect, True)
        if name in WHOLE:
            assert (row["input_tokens"], row["output_tokens"]) == way.endpoint.tokens


@pytest.mark.parametrize("release_name", PYTHONS)
def test_an_sdk_is_told_what_the_row_says(
    stage: tuple[GatewayProcess, ScriptedUpstream], release_name: str
) -> None:
    """A1, E9: by the simulated provider, with a stream and without."""
    gateway, _ = stage
    gateway.forget_rows()
    url = f"{gateway.url}/demo"
    told = ask(release_name, [{"way": way.name, "url": url, "model": "demo"} for way in IN_DEMO])
    for way, heard in zip(IN_DEMO, told["heard"], strict=True):
        assert heard["message"] is None, way
        assert "".join(heard["texts"]) == "".join(split(TEXT)[:5])
    rows = gateway.new_rows(len(IN_DEMO))
    assert Counter(
        (row["dialect"], row["stream"], row["input_tokens"], row["output_tokens"]) for row in rows
    ) == Counter(
        (way.endpoint.dialect, way.stream, *heard["tokens"])
        for way, heard in zip(IN_DEMO, told["heard"], strict=True)
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
