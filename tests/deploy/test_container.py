"""The Dockerfile and the compose file, as far as they can be checked without Docker."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from tests.docs.reference import find_command

from gnomon_collector.settings import CONFIG_FILE_VARIABLE, Settings, environment_variable
from gnomon_collector.store.engine import Store
from gnomon_collector.store.remote import parse_address
from gnomon_schemas.otlp import batch_settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
COMPOSE = ROOT / "deploy" / "docker-compose.yml"
PORTS = {name: field.default for name, field in Settings.model_fields.items() if name.endswith("_port")}
OUR_VARIABLES = {environment_variable(name) for name in Settings.model_fields} | {CONFIG_FILE_VARIABLE}


def check_command(words: list[str]) -> None:
    """Parse a command line with the real command; it does not run."""
    assert words[0].rpartition("/")[2] == "gnomon"
    command = find_command(words[:2])
    command.make_context(words[1], words[2:], parent=click.Context(find_command(["gnomon"])))


def instructions() -> list[tuple[str, str]]:
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def said(instruction: str) -> list[str]:
    return [arguments for name, arguments in instructions() if name == instruction]


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"][name]
    return found


SERVICES = list(yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"])


def test_what_the_image_copies_from_the_tree_is_there() -> None:
    sources = [path for line in said("COPY") if not line.startswith("--from") for path in line.split()[:-1]]
    assert sources
    assert [path for path in sources if not (ROOT / path).exists()] == []


def test_the_image_has_every_package_of_the_distribution() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    roots = {path.partition("/")[0] for path in packages["wheel"]["packages"]}
    copied = {word for line in said("COPY") for word in line.split()}
    assert roots <= copied


def test_the_image_installs_with_the_constraints_and_extras_that_exist() -> None:
    (install,) = [line for line in said("RUN") if "pip install" in line]
    assert "--constraint constraints.txt" in install
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = re.search(r"'\.\[([\w,]+)\]'", install)
    assert asked is not None and set(asked[1].split(",")) <= set(extras)


def test_the_image_does_not_run_as_root() -> None:
    names = [name for name, _ in instructions()]
    assert said("USER") == ["gnomon"]
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_the_image_starts_a_command_that_exists() -> None:
    check_command(json.loads(said("ENTRYPOINT")[0]) + json.loads(said("CMD")[0]))


def test_the_image_sets_variables_that_exist_and_exposes_the_ports() -> None:
    variables = {pair.partition("=")[0] for line in said("ENV") for pair in line.split()}
    assert {name for name in variables if name.startswith("GNOMON_")} <= OUR_VARIABLES
    assert sorted(map(int, said("EXPOSE")[0].split())) == sorted(PORTS.values())


def test_the_health_check_asks_the_collector() -> None:
    (check,) = said("HEALTHCHECK")
    program = json.loads(check[check.index("[") :])
    compile(program[2], "HEALTHCHECK", "exec")
    assert f"127.0.0.1:{PORTS['otlp_http_port']}/healthz" in program[2]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_says_how_healthy_it_is_and_keeps_its_data(name: str) -> None:
    declared = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"]
    # The collector's health check is the image's.
    assert "healthcheck" in service(name) or name == "collector"
    assert [volume.partition(":")[0] for volume in service(name)["volumes"]] == [name]
    assert name in declared
    assert set(service(name).get("depends_on", {})) <= set(SERVICES)


@pytest.mark.parametrize("name", ["collector", "dashboard"])
def test_our_services_run_commands_with_variables_that_exist(name: str) -> None:
    check_command(["gnomon", *service(name)["command"]])
    variables = set(service(name)["environment"])
    assert variables <= OUR_VARIABLES
    assert (COMPOSE.parent / service(name)["build"]["context"]).resolve() == ROOT


def test_the_password_comes_from_the_environment_and_fits_both_sides() -> None:
    wanted = "${CLICKHOUSE_PASSWORD:?set CLICKHOUSE_PASSWORD}"
    database = service("clickhouse")["environment"]
    assert database["CLICKHOUSE_PASSWORD"] == wanted
    url = service("collector")["environment"]["GNOMON_STORE"]
    assert wanted in url
    address = parse_address(url.replace(wanted, "f00d"))
    assert (address.host, address.port, address.username) == ("clickhouse", 8123, database["CLICKHOUSE_USER"])
    assert url.endswith(f"/{database['CLICKHOUSE_DB']}")
    assert service("dashboard")["environment"]["GNOMON_STORE"] == url


def test_ports_are_open_on_this_machine_alone() -> None:
    published = [port for name in SERVICES for port in service(name).get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert sorted(int(port.rpartition(":")[2]) for port in published) == sorted(PORTS.values())


def test_the_health_check_of_the_dashboard_compiles_and_asks_its_port() -> None:
    program = service("dashboard")["healthcheck"]["test"][3]
    compile(program, "healthcheck", "exec")
    assert f"127.0.0.1:{PORTS['ui_port']}/login" in program


def test_the_clickhouse_of_the_compose_file_is_new_enough(store: Store) -> None:
    used = [*batch_settings(), "enable_lightweight_update"]
    rows = store.query(
        "SELECT version FROM system.settings_changes WHERE hasAny(changes.1, {names:Array(String)})",
        {"names": used},
    ).rows
    oldest = max(tuple(map(int, str(version).split("."))) for (version,) in rows)
    image, _, version = service("clickhouse")["image"].partition(":")
    assert image == "clickhouse/clickhouse-server"
    assert tuple(map(int, version.split("."))) >= oldest


def test_the_shell_commands_of_the_guide_name_files_that_exist() -> None:
    text = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^(docker .+|sudo .+)$", text, re.MULTILINE):
        words = [word.removeprefix("/opt/gnomon/") for word in shlex.split(line)]
        named = [word for word in words if word.startswith("deploy/")]
        assert [path for path in named if not (ROOT / path).exists()] == [], line
