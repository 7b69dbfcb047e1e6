"""Several gateways on Kubernetes: right by its own schemas, shut in, and never all away at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.bootstrap.serve import LAST_WORDS_SECONDS
from server.config.settings import SETTINGS, load
from tests.shipping.place import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
KINDS: dict[str, Any] = {
    found["kind"]: found
    for found in (yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml")))
    if found["kind"] != "Kustomization"
}
POD: dict[str, Any] = KINDS["Deployment"]["spec"]["template"]["spec"]
(GATEWAY,) = POD["containers"]
PEPPER = "a pepper for tests, of 32 letters or more"


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_all_of_it_is_right_by_the_schemas_of_kubernetes(tmp_path: Path) -> None:
    """The package `kubernetes-validate` carries them. It has 80 MB, so this is for the long run."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(tmp_path)]
    subprocess.run([*pip, "kubernetes-validate>=1.37"], check=True, capture_output=True)
    files = [str(path) for path in sorted(FOLDER.glob("*.yaml")) if path.name != "kustomization.yaml"]
    check = [sys.executable, "-m", "kubernetes_validate", "--strict", *files]
    found = subprocess.run(check, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_list_of_files_is_whole() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in FOLDER.glob("*.yaml"))


def test_its_settings_are_settings_and_understood() -> None:
    environ = {**KINDS["ConfigMap"]["data"], **KINDS["Secret"]["stringData"], "TOKEN_PEPPER": PEPPER}
    assert set(environ) <= {row.name for row in SETTINGS}
    settings = load(environ=environ, dotenv=None)
    assert settings.store_url.startswith("mongodb+srv://"), "a file would be another one for each gateway"
    assert {row.name for row in SETTINGS if row.secret} & set(KINDS["ConfigMap"]["data"]) == set()
    refs = [next(iter(each.values()))["name"] for each in GATEWAY["envFrom"]]
    assert refs == [KINDS["ConfigMap"]["metadata"]["name"], KINDS["Secret"]["metadata"]["name"]]


def test_it_drains_before_it_is_killed() -> None:
    drain = float(KINDS["ConfigMap"]["data"]["DRAIN_SECONDS"])
    pause = GATEWAY["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] > pause + drain + LAST_WORDS_SECONDS


def test_it_may_write_to_two_folders_and_is_no_root() -> None:
    within = GATEWAY["securityContext"]
    assert within["readOnlyRootFilesystem"]
    assert not within["allowPrivilegeEscalation"]
    assert within["capabilities"] == {"drop": ["ALL"]}
    assert POD["securityContext"]["runAsNonRoot"]
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not POD["automountServiceAccountToken"]
    mounted = {each["mountPath"] for each in GATEWAY["volumeMounts"]}
    assert mounted == {"/data", "/tmp"}
    assert KINDS["ConfigMap"]["data"]["JOURNAL"].startswith("/data/")


def test_what_is_alive_is_restarted_for_no_fault_of_the_store_and_what_is_not_ready_gets_no_request() -> None:
    assert GATEWAY["livenessProbe"]["httpGet"]["path"] == GATEWAY["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert GATEWAY["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_all_parts_mean_the_same_pods_and_their_number_is_the_autoscalers() -> None:
    labels = KINDS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert KINDS["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert KINDS["Service"]["spec"]["selector"] == labels
    assert KINDS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    target = KINDS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", KINDS["Deployment"]["metadata"]["name"])
    assert "replicas" not in KINDS["Deployment"]["spec"]


def test_never_is_more_than_one_away_and_the_waiting_time_counts() -> None:
    spec = KINDS["HorizontalPodAutoscaler"]["spec"]
    assert 2 <= spec["minReplicas"] <= spec["maxReplicas"]
    assert KINDS["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert KINDS["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    named = [each["object"]["metric"]["name"] for each in spec["metrics"] if each["type"] == "Object"]
    assert named == ["fairgate_queue_wait_seconds"]
    assert f"as: {named[0]}" in (ROOT / "docs" / "many-gateways.md").read_text(), "the rule that makes it"
