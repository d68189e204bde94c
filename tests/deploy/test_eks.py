"""Tests of docs/eks.md and deploy/eks/, as far as possible without an account."""

import json
import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from helm.generate import CHART, ROOT
from tests.deploy import charts, manual, option_sets, schemas
from tests.support import pages

pytestmark = pytest.mark.slow

_PAGE = ROOT / "docs" / "eks.md"
_EKS = ROOT / "deploy" / "eks"
_GPU_TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}


def _yaml(name: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe", pure=True).load_all(_EKS / name))


def _pods() -> dict[str, dict[str, Any]]:
    (values,) = _yaml("values.yaml")
    rendered = charts.render(values)
    return {name: charts.pod(rendered, name) for name in charts.names(rendered, "Deployment")}


def _gpu_group() -> dict[str, Any]:
    (cluster,) = _yaml("cluster.yaml")
    (group,) = (each for each in cluster["managedNodeGroups"] if each["name"] == "gpu")
    return dict(group)


def _gpu_pool() -> dict[str, Any]:
    (pool,) = (each for each in _yaml("karpenter.yaml") if each["metadata"]["name"] == "marquee-gpu")
    return dict(pool["spec"]["template"])


@pytest.mark.parametrize("block", manual.blocks(_PAGE), ids=lambda block: block.split("\n")[0][:40])
def test_shell_accepts_the_block(block: str) -> None:
    """Bash parses each block without errors."""
    pages.check_shell(block)


@pytest.mark.parametrize("command", manual.commands(_PAGE, "kubectl"))
def test_kubectl_accepts_the_command(command: str) -> None:
    """The command's subcommand and flags are known to kubectl, and only a cluster is missing."""
    manual.check_kubectl(command)


def test_named_files_exist() -> None:
    """Commands name only files that exist in the checkout."""
    named = set(re.findall(r"(?:deploy|helm)/[\w./-]+", "\n".join(manual.blocks(_PAGE))))
    missing = {name for name in named if not (ROOT / name).exists()}
    assert missing <= {"deploy/eks/policies/recognizer.json"}  # to be added with the recognizer that needs it
    assert named >= {"deploy/eks/cluster.yaml", "deploy/eks/karpenter.yaml", "deploy/eks/values.yaml", "helm/marquee"}


def test_gpu_nodes_have_the_charts_labels() -> None:
    """The GPU group of eksctl and the pool of Karpenter have the labels that the Keras pod selects."""
    wanted = _pods()["marquee-keras"]["nodeSelector"]
    assert wanted == {"nvidia.com/gpu.present": "true"}
    assert wanted.items() <= _gpu_group()["labels"].items()
    assert wanted.items() <= _gpu_pool()["metadata"]["labels"].items()


def test_images_are_where_the_page_pushes_them() -> None:
    """Marquee's images come from the registry, and TensorFlow Serving, of the chart's version, from Docker Hub."""
    (values,) = _yaml("values.yaml")
    default = option_sets.values(CHART / "values.yaml")
    serving = default["recognizers"]["keras"]["serving"]["image"]
    assert values["recognizers"]["keras"]["serving"]["image"] == {k: f"docker.io/{name}" for k, name in serving.items()}
    (pushed,) = re.findall(r"for name in ([\w ]+); do docker push", _PAGE.read_text("utf-8"))
    mirrored = {f"{values['images']['registry']}/marquee-{name}" for name in pushed.split()}
    images = {each["image"] for pod in _pods().values() for each in charts.containers(pod).values()}
    assert {image.rpartition(":")[0] for image in images} <= mirrored | {"docker.io/tensorflow/serving"}


def test_only_keras_tolerates_the_taint() -> None:
    """GPU nodes are tainted, and only the pod that needs the GPU tolerates the taint."""
    assert _gpu_group()["taints"] == [_GPU_TAINT]
    assert _gpu_pool()["spec"]["taints"] == [_GPU_TAINT]
    tolerant = {
        name
        for name, pod in _pods().items()
        for toleration in pod.get("tolerations", [])
        if toleration["key"] == _GPU_TAINT["key"] and toleration["operator"] == "Exists"
    }
    assert tolerant == {"marquee-keras"}


def test_autoscaler_knows_an_empty_gpu_group() -> None:
    """The group's tags repeat the GPU node's label and taint; without them it would never scale up from zero."""
    group, prefix = _gpu_group(), "k8s.io/cluster-autoscaler/node-template"
    assert group["tags"][f"{prefix}/label/nvidia.com/gpu.present"] == group["labels"]["nvidia.com/gpu.present"]
    assert group["tags"][f"{prefix}/taint/nvidia.com/gpu"] == "true:NoSchedule"
    assert group["minSize"] == 0


def test_eksctl_accepts_the_cluster() -> None:
    """The schema of eksctl has every field of the configuration, and eksctl knows its Kubernetes."""
    (cluster,) = _yaml("cluster.yaml")
    assert schemas.eksctl_faults(cluster) == []
    assert cluster["metadata"]["version"] in schemas.eksctl_versions()
    assert cluster["upgradePolicy"] == {"supportType": "STANDARD"}


def test_every_call_of_aws_has_a_role() -> None:
    """Each role is for a service account of the chart, and has policies that the page makes."""
    (cluster,), (values,) = _yaml("cluster.yaml"), _yaml("values.yaml")
    rendered = charts.render(values)
    own = [each for each in cluster["iam"]["podIdentityAssociations"] if each["namespace"] == "marquee"]
    assert {each["serviceAccountName"] for each in own} == {"marquee-keras", "marquee-rekognition", "marquee-svm"}
    assert {each["serviceAccountName"] for each in own} < set(charts.names(rendered, "ServiceAccount"))
    (made,) = re.findall(r"for name in ([a-z ]+); do aws iam create-policy", _PAGE.read_text())
    attached = {arn.rpartition("/")[2] for each in own for arn in each["permissionPolicyARNs"]}
    assert attached == {f"marquee-{name}" for name in made.split()}


def test_hpas_and_networkpolicies_work() -> None:
    """The cluster has the metrics server that HPAs read, and a network that enforces NetworkPolicies."""
    (cluster,) = _yaml("cluster.yaml")
    addons = {each["name"]: each for each in cluster["addons"]}
    assert json.loads(addons["vpc-cni"]["configurationValues"]) == {"enableNetworkPolicy": "true"}
    assert {"metrics-server", "eks-pod-identity-agent"} < set(addons)


def test_prometheus_reads_the_monitors_and_rules_of_all_charts() -> None:
    """The operator's Prometheus does not look for its own chart's objects alone."""
    (values,) = _yaml("monitoring.yaml")
    for kind in ("serviceMonitor", "podMonitor", "rule"):
        assert values["prometheus"]["prometheusSpec"][f"{kind}SelectorNilUsesHelmValues"] is False


def test_karpenter_has_what_its_pools_name() -> None:
    """The role, the subnets and the groups by which Karpenter starts nodes are those that the page makes and tags."""
    page = _PAGE.read_text()
    (node_class,) = (each["spec"] for each in _yaml("karpenter.yaml") if each["kind"] == "EC2NodeClass")
    assert f':role/{node_class["role"]}" --type EC2_LINUX' in page
    for terms in ("subnetSelectorTerms", "securityGroupSelectorTerms"):
        ((tag, value),) = node_class[terms][0]["tags"].items()
        assert f"--tags Key={tag},Value={value}" in page
    for pool in (each for each in _yaml("karpenter.yaml") if each["kind"] == "NodePool"):
        assert pool["spec"]["limits"]
        assert pool["spec"]["template"]["spec"]["nodeClassRef"]["name"] == "marquee"


@pytest.mark.parametrize("chart", ["aws-load-balancer-controller", "cert-manager", "karpenter"])
def test_charts_of_others_know_their_values(chart: str) -> None:
    """What the page sets of a chart is among the chart's values."""
    (call,) = (each for each in manual.commands(_PAGE, "helm") if f" --install {chart} " in each)
    keys = [key.split("[")[0] for key in re.findall(r"--set \"?([\w.\[\]]+)=", call)]
    assert keys
    for key in keys:
        values: Any = schemas.chart_values(chart)
        for part in key.split("."):
            assert part in values, key
            values = values[part]


def test_charts_of_others_have_a_version() -> None:
    """The page installs the same charts tomorrow as today."""
    calls = [
        each for each in manual.commands(_PAGE, "helm") if "upgrade --install" in each and "helm/marquee" not in each
    ]
    assert len(calls) == 7
    assert [each for each in calls if "--version" not in each] == []


@pytest.mark.parametrize("name", ["models-policy.json", "gallery-policy.json", "library-policy.json"])
def test_policy_names_what_it_allows(name: str) -> None:
    """Policies name buckets and keys through variables that the manual sets."""
    text = (_EKS / name).read_text()
    assert {*re.findall(r"\$\{(\w+)\}", text)} <= {"MODELS", "BUCKET", "PREFIX", "SERVICE", "LIBRARY"}
    assert all("${" in statement["Resource"] for statement in json.loads(text)["Statement"])


@pytest.mark.parametrize("name", ["models-policy.json", "library-policy.json", "policies/recognizer.json"])
def test_whoever_reads_pictures_is_told_of_missing_ones(name: str) -> None:
    """Of the objects that a role may read, it may list the names: S3 says else that a missing one is forbidden."""
    statements = json.loads((_EKS / name).read_text())["Statement"]
    read, listed = (
        [one for one in statements if action in one["Action"] and "${BUCKET}" in one["Resource"]]
        for action in ("s3:GetObject", "s3:ListBucket")
    )
    objects = [f"{one['Resource']}/{one['Condition']['StringLike']['s3:prefix']}" for one in listed]
    assert objects == [one["Resource"] for one in read]


def test_costs_add_up() -> None:
    """Each column of the table adds up to its total."""
    rows = [
        [int(re.sub(r".*→|\*", "", cell)) for cell in line.split("|")[2:5]]
        for line in _PAGE.read_text().splitlines()
        if re.search(r"\d \|$|\*\* \|$", line)
    ]
    assert [sum(column) for column in zip(*rows[:-1], strict=True)] == rows[-1]
