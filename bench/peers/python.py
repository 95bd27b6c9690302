"""Proxies in Python: Starlette with httpx, mitmproxy, LiteLLM and llm-rosetta's gateway."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from ..proxy import Place, Proxy
from ..works import OPENAI
from .install import HERE, pinned, python_packages


def _in(name: str, place: Place, program: str) -> str:
    return str(place.cache / name / "bin" / program)


def _trust(place: Place) -> Mapping[str, str]:
    """Whom Python's HTTP clients trust."""
    return {"SSL_CERT_FILE": str(place.ca), "REQUESTS_CA_BUNDLE": str(place.ca)}


# Starlette, httpx and uvicorn (https://www.uvicorn.org/settings/).


def _starlette_version(_: Path) -> str:
    names = ("starlette", "httpx", "uvicorn", "uvloop")
    return ", ".join(f"{name} {pinned('starlette', name)}" for name in names)


def _starlette_command(place: Place) -> list[str]:
    return [
        *(_in("starlette", place, "uvicorn"), "starlette_app:app"),
        *("--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(place.port)),
        *("--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "warning"),
    ]


def _starlette_environ(place: Place) -> Mapping[str, str]:
    return {**_trust(place), "BENCH_UPSTREAM": place.url}


STARLETTE: Final = Proxy(
    "starlette",
    "Starlette and httpx under uvicorn with uvloop and httptools, "
    "``bench/peers/starlette_app.py``: it keeps answers in passing, to find the usage in them.",
    _starlette_version,
    _starlette_command,
    partial(python_packages, "starlette"),
    environ=_starlette_environ,
    slow=True,
    restless=True,
)


# mitmproxy (https://docs.mitmproxy.org/stable/concepts/modes/#reverse-proxy).


def _mitmproxy_version(_: Path) -> str:
    return f"mitmproxy {pinned('mitmproxy', 'mitmproxy')}"


def _mitmproxy_command(place: Place) -> list[str]:
    options = {
        "confdir": place.folder,
        "flow_detail": 0,
        "termlog_verbosity": "error",
        "http2": "false",
        "ssl_verify_upstream_trusted_ca": place.ca,
    }
    return [
        *(_in("mitmproxy", place, "mitmdump"), "--mode", f"reverse:{place.url}"),
        *("--listen-host", "127.0.0.1", "--listen-port", str(place.port)),
        *("--scripts", str(HERE / "mitmproxy_addon.py")),
        *(text for name, value in options.items() for text in ("--set", f"{name}={value}")),
    ]


MITMPROXY: Final = Proxy(
    "mitmproxy",
    "``mitmdump --mode reverse:``, answers streamed by ``bench/peers/mitmproxy_addon.py``.",
    _mitmproxy_version,
    _mitmproxy_command,
    partial(python_packages, "mitmproxy"),
    slow=True,
    restless=True,
)


# LiteLLM's proxy (https://docs.litellm.ai/docs/proxy/prod).


#: It refuses to start without one that nobody can guess.
_LITELLM_KEY: Final = f"sk-{secrets.token_hex(32)}"


def _litellm_version(_: Path) -> str:
    return f"litellm {pinned('litellm', 'litellm')}"


def _litellm_command(place: Place) -> list[str]:
    model = {"model": "openai/bench", "api_base": f"{place.url}/v1", "api_key": "sk-bench"}
    settings = {"num_retries": 0, "request_timeout": 3600, "ssl_verify": str(place.ca)}
    conf = place.folder / "litellm.yaml"
    # JSON is YAML.
    conf.write_text(
        json.dumps(
            {
                "model_list": [{"model_name": "bench", "litellm_params": model}],
                "litellm_settings": settings,
            }
        )
    )
    return [
        *(_in("litellm", place, "litellm"), "--config", str(conf)),
        *("--host", "127.0.0.1", "--port", str(place.port), "--num_workers", "1"),
    ]


def _litellm_environ(place: Place) -> Mapping[str, str]:
    return {
        **_trust(place),
        "LITELLM_MASTER_KEY": _LITELLM_KEY,
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "NO_PROXY": "127.0.0.1",
    }


def _litellm_header(_: Place) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {_LITELLM_KEY}"}


LITELLM: Final = Proxy(
    "litellm",
    "LiteLLM's proxy with the simulated provider as a model of OpenAI's kind, one worker, "
    "``LITELLM_LOG=ERROR``; it reads answers and writes them anew.",
    _litellm_version,
    _litellm_command,
    partial(python_packages, "litellm"),
    environ=_litellm_environ,
    header=_litellm_header,
    loose=True,
    slow=True,
    restless=True,
    paths=(OPENAI,),
    bodies=False,
)


# llm-rosetta's gateway (https://github.com/Oaklight/llm-rosetta).


def _rosetta_version(_: Path) -> str:
    return f"llm-rosetta {pinned('rosetta', 'llm-rosetta')}"


def _rosetta_command(place: Place) -> list[str]:
    conf = place.folder / "config.jsonc"
    provider = {"api_key": "sk-bench", "base_url": f"{place.url}/v1"}
    conf.write_text(
        json.dumps(
            {
                "providers": {"openai_chat": provider},
                "models": {"bench": "openai_chat"},
                "server": {"host": "127.0.0.1", "port": place.port, "open_on_no_keys": True},
            }
        )
    )
    return [
        *(_in("rosetta", place, "llm-rosetta-gateway"), "--config", str(conf), "--no-banner"),
        *("--data-dir", str(place.folder), "--log-level", "error"),
    ]


ROSETTA: Final = Proxy(
    "rosetta",
    "llm-rosetta's gateway with the simulated provider as ``openai_chat``, ``--log-level error``; "
    "it reads answers and writes them anew.",
    _rosetta_version,
    _rosetta_command,
    partial(python_packages, "rosetta"),
    environ=_trust,
    loose=True,
    slow=True,
    restless=True,
    paths=(OPENAI,),
    bodies=False,
)
