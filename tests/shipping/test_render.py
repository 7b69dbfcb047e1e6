"""The Blueprint for Render says what Render's reference of its fields admits, and what the gateway can use.

Render publishes no schema in a package; these are its rules as far as the file has to do with them.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import yaml

from server.bootstrap.serve import LAST_WORDS_SECONDS
from server.config.settings import SETTINGS, load
from tests.shipping.place import ROOT

GENERATED = b64encode(bytes(range(32))).decode()  # as Render makes them: 256 bits

BLUEPRINT: dict[str, Any] = yaml.safe_load((ROOT / "render.yaml").read_text())
(SERVICE,) = BLUEPRINT["services"]
# Of a web service: name -> what its value is.
FIELDS = {
    "type": str, "name": str, "runtime": str, "plan": str, "buildCommand": str, "startCommand": str,
    "healthCheckPath": str, "maxShutdownDelaySeconds": int, "numInstances": int, "disk": dict, "envVars": list,
}  # fmt: skip
SOURCES = {"value", "generateValue", "sync"}


def values() -> dict[str, Any]:
    """What each variable is made of: its source, and the value of that."""
    return {each["key"]: next((name, each[name]) for name in each if name != "key") for each in SERVICE["envVars"]}


def test_it_has_no_field_that_render_does_not_know() -> None:
    assert set(BLUEPRINT) == {"services"}
    assert {name: type(value) for name, value in SERVICE.items()} == FIELDS
    assert set(SERVICE["disk"]) == {"name", "mountPath", "sizeGB"}
    for variable in SERVICE["envVars"]:
        assert set(variable) - {"key"} <= SOURCES
        assert len(variable) == 2, "a variable has one source"


def test_values_are_within_renders_bounds() -> None:
    assert SERVICE["type"] == "web"
    assert SERVICE["runtime"] == "python"
    assert SERVICE["plan"] != "free", "a disk has to be paid for"
    assert 1 <= SERVICE["maxShutdownDelaySeconds"] <= 300
    assert SERVICE["numInstances"] == 1, "a service with a disk has one instance"
    assert all(isinstance(value, str) for source, value in values().values() if source == "value")
    assert all(value is True for source, value in values().values() if source == "generateValue")


def test_no_secret_stands_in_it() -> None:
    secret = {row.name for row in SETTINGS if row.secret} - {"STORE_URL"}
    for name, (source, value) in values().items():
        assert name not in secret or source == "generateValue" or (source, value) == ("sync", False)


def test_every_variable_is_a_setting_and_its_value_is_understood() -> None:
    given = {name: value for name, (source, value) in values().items() if source == "value"}
    generated = {name: GENERATED for name, (source, _) in values().items() if source == "generateValue"}
    load(environ={**given, **generated}, dotenv=None)
    assert set(values()) <= {row.name for row in SETTINGS} | {"PYTHON_VERSION"}


def test_the_drain_ends_before_render_kills() -> None:
    settings = load(environ={"DRAIN_SECONDS": values()["DRAIN_SECONDS"][1]}, dotenv=None)
    assert settings.drain_seconds + LAST_WORDS_SECONDS < SERVICE["maxShutdownDelaySeconds"]


def test_what_has_to_stay_lies_on_the_disk() -> None:
    settings = load(environ={"STORE_URL": values()["STORE_URL"][1]}, dotenv=None)
    assert settings.store_url.startswith(f"sqlite:///{SERVICE['disk']['mountPath']}/")
    assert str(settings.journal_folder).startswith(SERVICE["disk"]["mountPath"])


def test_it_is_started_as_the_procfile_says() -> None:
    assert (ROOT / "Procfile").read_text() == f"web: {SERVICE['startCommand']}\n"


# With MongoDB Atlas: several instances and no disk

WITH_ATLAS: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "render-atlas.yaml").read_text())


def test_with_atlas_it_differs_by_the_store_the_plan_and_the_number_of_instances_alone() -> None:
    (service,) = WITH_ATLAS["services"]
    assert set(SERVICE) - set(service) == {"disk"}
    assert {name for name in service if service[name] != SERVICE[name]} == {"plan", "numInstances", "envVars"}
    assert service["numInstances"] > 1
    store = {"key": "STORE_URL", "sync": False}
    others = [each for each in SERVICE["envVars"] if each["key"] != "STORE_URL"]
    assert [each for each in service["envVars"] if each != store] == others
    assert store in service["envVars"]
