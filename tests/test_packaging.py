"""What is shipped around the code: the plugin, the commands, the documents and the unit."""

from __future__ import annotations

import configparser
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

import gateway
from gateway.config import load
from gateway.config.model import Gateway
from tests.demo.client import Client

ROOT = Path(gateway.__file__).parents[1]
UNIT = ROOT / "systemd" / "gateway.service"


def literal_block(after: str) -> str:
    """The README's literal block that follows the text `after`, without its indentation."""
    readme = (ROOT / "README.rst").read_text(encoding="utf-8")
    block = readme.partition(after)[2].partition("::\n\n")[2]
    lines = re.match(r"(?:    .*\n|\n)+", block)
    assert lines, f"no literal block after {after!r}"
    return re.sub(r"^    ", "", lines[0], flags=re.MULTILINE).strip()


def make(*arguments: str) -> str:
    """What make says."""
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def twistd(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """What twistd says, and on its standard error whether it imported the gateway's service."""
    program = """
import atexit, sys
from twisted.scripts.twistd import run
atexit.register(lambda: print("imported:", "gateway.tap" in sys.modules, file=sys.stderr))
run()
"""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def unit() -> configparser.SectionProxy:
    """The service's settings; of those that come more than once, the last."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return parser["Service"]


def test_twistd_knows_the_plugin_and_only_once() -> None:
    plugins = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "gateway"]
    assert len(plugins) == 1


def test_twistd_lists_the_gateway_without_importing_it() -> None:
    run = twistd("--help")
    assert re.search(r"^ +gateway +a streaming gateway for LLM traffic$", run.stdout, re.MULTILINE)
    assert "imported: False" in run.stderr


def test_the_plugins_folder_stays_twisteds() -> None:
    assert list((ROOT / "twisted").rglob("__init__.py")) == []


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "gateway").rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_the_extra_all_is_all_that_is_not_for_testing() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = dict(setup["options.extras_require"])
    everything = re.findall(r"txgateway\[(\w+)\]", extras.pop("all"))
    assert sorted(everything) == sorted(set(extras) - {"bench", "test"})


def test_make_alone_names_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    assert sorted(re.findall(r"^make (\w+)", make(), re.MULTILINE)) == sorted(
        set(targets[1].split()) - {"help"}
    )


def test_make_run_prints_the_readmes_first_request() -> None:
    # What is up to date is not made, so nothing is installed: the command is only looked at.
    assert literal_block("No key is needed") in make("--dry-run", "run")


def test_the_readme_shows_what_its_first_request_is_answered() -> None:
    """Of the shown answer every ``…`` stands for something left out, and nothing is made up."""
    request = shlex.split(literal_block("No key is needed"))
    client = Client()
    client.ask("/v1/chat/completions", json.loads(request[-1]))
    client.wait(5)
    told = client.answer().body.decode().strip()
    shown = re.escape(literal_block("It speaks for two seconds"))
    assert re.fullmatch(shown.replace("…", ".*?"), told, re.DOTALL)


def test_the_readmes_configuration_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "my.ini"
    file.write_text(literal_block("a small one is enough"), encoding="utf-8")
    assert load(file).routes[0].name == "chat"


@pytest.mark.parametrize("path", [ROOT / "README.rst", *ROOT.glob("docs/*.rst")], ids=str)
def test_a_document_is_well_formed(path: Path) -> None:
    strictly = {"halt_level": 2, "report_level": 5}
    core = importlib.import_module("docutils.core")
    tree = core.publish_doctree(path.read_text(encoding="utf-8"), settings_overrides=strictly)
    assert tree.children, "the document is empty"


def test_every_newsfragment_is_named_after_its_kind() -> None:
    fragments = {p.name for p in (ROOT / "newsfragments").iterdir()} - {"README.rst"}
    name = re.compile(r"(\d+|\+[a-z0-9-]+)\.(feature|bugfix|removal|doc|misc)\.rst")
    assert [f for f in sorted(fragments) if not name.fullmatch(f)] == []


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What systemd's own examination says, where it is installed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with what ``make install`` lays down, and programs that can be run."""
    programs = tmp_path / "opt" / "bin"
    programs.mkdir(parents=True)
    for name in ("twistd", "gatewayctl"):
        (programs / name).symlink_to(sys.executable)
    make("install", f"DESTDIR={tmp_path / 'root'}", f"BINDIR={programs}")
    return tmp_path / "root"


def units(root: Path) -> list[Path]:
    """The units that are installed under `root`."""
    return sorted((root / "usr/local/lib/systemd/system").iterdir())


def test_make_install_lays_down_units_that_run_what_is_installed(installed: Path) -> None:
    service, socket = units(installed)
    assert (service.name, socket.name) == ("gateway.service", "gateway.socket")
    programs = installed.parent / "opt" / "bin"
    text = service.read_text(encoding="utf-8")
    commands = re.findall(r"^Exec(\w+)=(\S+)", text, re.MULTILINE)
    assert commands == [
        ("Start", f"{programs}/twistd"),
        ("Reload", f"{programs}/gatewayctl"),
        ("Reload", "/bin/kill"),
    ]
    assert str(programs.parents[1]) not in text.replace(str(programs), "")


def test_make_install_says_what_comes_next(tmp_path: Path) -> None:
    said = make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/gw", "SYSCONFDIR=/opt/etc")
    done, _, to_do = said.partition("\nNext:\n")
    assert f"installed {tmp_path}/opt/etc/gateway/gateway.ini" in done
    assert "  /opt/gw/lib/txgateway/bin/pip install '.[all]'" in to_do.splitlines()
    assert "  edit /opt/etc/gateway/gateway.ini" in to_do.splitlines()
    assert "  systemctl enable --now gateway" in to_do.splitlines()
    service = tmp_path / "opt/gw/lib/systemd/system/gateway.service"
    assert "gatewayctl check /opt/etc/gateway/gateway.ini\n" in service.read_text()


def test_make_install_keeps_a_configuration_that_is_there(installed: Path) -> None:
    file = installed / "etc/gateway/gateway.ini"
    assert file.read_bytes() == (ROOT / "conf" / "gateway.ini").read_bytes()
    file.write_text("mine")
    said = make("install", f"DESTDIR={installed}")
    assert file.read_text() == "mine"
    assert f"kept {file}, which was there already" in said


def test_make_uninstall_takes_the_units_away_and_nothing_else(installed: Path) -> None:
    make("uninstall", f"DESTDIR={installed}")
    assert units(installed) == []
    assert (installed / "etc/gateway/gateway.ini").exists()


def test_systemd_finds_nothing_wrong_with_the_units(installed: Path) -> None:
    run = systemd_analyze("verify", *map(str, units(installed)))
    assert [line for line in run.stderr.splitlines() if "gateway." in line] == []
    assert run.returncode == 0


def test_the_service_is_exposed_as_little_as_systemd_can_tell() -> None:
    """The threshold is in tenths: 2.0 of 10."""
    run = systemd_analyze("security", "--offline=true", "--threshold=20", str(UNIT))
    assert run.returncode == 0, run.stdout


def test_the_service_may_do_what_the_gateway_does() -> None:
    """Memory files, workers with sockets to them, threads, limits; none of it needs more."""
    needed = {"memfd_create", "socketpair", "clone", "clone3", "kill", "prlimit64", "execve"}
    for group in ("@privileged", "@resources"):
        calls = systemd_analyze("syscall-filter", group).stdout.split()
        assert "Alter" in calls or "All" in calls, "systemd-analyze lists nothing"
        assert needed.isdisjoint(calls)


def test_the_socket_is_taken_over_by_its_name() -> None:
    """The unit's own comment says how to listen on it."""
    text = (ROOT / "systemd" / "gateway.socket").read_text(encoding="utf-8")
    listen = re.search(r"^#     listen = (\S+)$", text, re.MULTILINE)
    assert listen
    name = re.search(r"^FileDescriptorName=(\S+)$", text, re.MULTILINE)
    assert name
    assert listen[1] == f"systemd:domain=INET:name={name[1]}"


def test_a_reload_checks_the_file_first(tmp_path: Path) -> None:
    """O1: the unit's command fails for a file that is not right, before any signal is sent."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    check, signal = (line.removeprefix("ExecReload=") for line in lines if "ExecReload=" in line)
    assert signal == "/bin/kill -HUP $MAINPID"
    bad = tmp_path / "gateway.ini"
    bad.write_text("[gateway]\nlisten = nowhere\n")
    program, *arguments = check.split()
    assert program.endswith("/gatewayctl")
    assert arguments[-1] == "/etc/gateway/gateway.ini"
    command = "import sys; from gateway.ctl import main; sys.exit(main())"
    for file, code in ((bad, 1), (ROOT / "conf" / "gateway.ini", 0)):
        run = subprocess.run(
            [sys.executable, "-c", command, *arguments[:-1], str(file)],
            cwd=ROOT,
            env={**os.environ, "STATE_DIRECTORY": str(tmp_path)},
            capture_output=True,
            check=False,
        )
        assert run.returncode == code


def test_the_unit_waits_longer_than_a_drain_takes() -> None:
    limit = re.fullmatch(r"(\d+)min", unit()["TimeoutStopSec"])
    assert limit
    assert int(limit[1]) * 60 > Gateway(listen=(), state_dir=Path()).drain_timeout


def test_the_units_command_with_the_shipped_configuration_checks_out(tmp_path: Path) -> None:
    _, *arguments = shlex.split(unit()["ExecStart"])
    path = str(ROOT / "conf" / "gateway.ini")
    arguments = [path if a == "/etc/gateway/gateway.ini" else a for a in arguments]
    run = twistd(*arguments, "--check", STATE_DIRECTORY=str(tmp_path))
    assert (run.returncode, run.stdout) == (0, f"{path}: ok\n"), run.stderr
