"""cluster.yaml on moto, a stand-in for AWS: what `ray up` and the autoscaler make of it there."""

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import moto
import pytest
import yaml
from botocore.client import BaseClient
from deploy_rules import AWS, ROOT, Config

HEAD, SPOT, ON_DEMAND = "head", "gpu_spot", "gpu_on_demand"
IAM = ROOT / "deploy" / "iam"
REGION = "us-west-2"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@dataclass
class Account:
    """An empty AWS account after steps 1 to 5 of docs/CLUSTER.md.

    Attributes:
        config: The file, filled in.
        asked: What has been asked of AWS since `forget`, as `ec2:RunInstances`.
    """

    config: Config
    ec2: Any
    asked: list[str] = field(default_factory=list)

    def bootstrapped(self, change: Callable[[Config], None] = lambda _: None) -> Config:
        """What `ray up` makes of the file, changed first."""
        from ray.autoscaler._private.commands import _bootstrap_config

        config = yaml.safe_load(yaml.safe_dump(self.config))
        change(config)
        self.asked.clear()
        prepared: Config = _bootstrap_config(config, no_config_cache=True)
        return prepared

    def machines(self) -> list[Config]:
        pages = self.ec2.describe_instances()["Reservations"]
        return [machine for page in pages for machine in page["Instances"]]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Moto, with a home of its own for the SSH key that Ray writes."""
    with pytest.MonkeyPatch.context() as monkeypatch, moto.mock_aws():
        _in_a_home_of_its_own(tmp_path_factory.mktemp("home"), monkeypatch)
        yield _prepared_account(monkeypatch)


@pytest.fixture(scope="module")
def config(account: Account) -> Config:
    """The file as `ray up` prepares it on an empty account."""
    return account.bootstrapped()


def _in_a_home_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.ec2.models.instance_types import InstanceTypeBackend
    from ray.autoscaler._private.aws import config as aws_config
    from ray.autoscaler._private.aws import utils as aws_utils

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name in ("HOME", "TMPDIR", "RAY_TMPDIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    monkeypatch.setattr(aws_config, "time", SimpleNamespace(sleep=lambda _: None))
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("made-up", encoding="utf-8")
    # All of AWS's machines make pages that take 10 s to read.
    machines = InstanceTypeBackend.instance_types
    few = [m for m in machines if m["InstanceType"] in {"g6.xlarge", "m6i.xlarge"}]
    monkeypatch.setattr(InstanceTypeBackend, "instance_types", few)
    for cached in (aws_utils.resource_cache, aws_utils.client_cache):
        cached.cache_clear()


def _prepared_account(monkeypatch: pytest.MonkeyPatch) -> Account:
    ec2, iam = boto3.client("ec2"), boto3.client("iam")
    group = ec2.create_security_group(GroupName="transfer-study", Description="made up")["GroupId"]
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    own = [{"CidrIp": "198.51.100.7/32"}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**ssh, "IpRanges": own}])
    image = ec2.describe_images()["Images"][0]["ImageId"]
    name = "transfer-study-head"
    trust = (IAM / "trust.json").read_text(encoding="utf-8")
    rights = (IAM / "head.json").read_text(encoding="utf-8")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=rights)
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    text = (ROOT / AWS).read_text(encoding="utf-8")
    text = text.replace("ami-FILL_IN", image).replace("sg-FILL_IN", group)
    account = Account(config=yaml.safe_load(text), ec2=ec2)
    ask = BaseClient._make_api_call

    def noted(client: Any, operation: str, arguments: Any) -> Any:
        account.asked.append(f"{client.meta.service_model.service_name}:{operation}")
        return ask(client, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return account


def tags(node_type: str) -> dict[str, str]:
    kind = "head" if node_type == HEAD else "worker"
    names = {"ray-node-type": kind, "ray-user-node-type": node_type, "ray-node-name": node_type}
    return {**names, "ray-launch-config": "made-up"}


def test_ray_up_makes_one_key_and_nothing_else(account: Account, config: Config) -> None:
    types = config["available_node_types"]
    made = [asked for asked in account.asked if ":Describe" not in asked]
    assert made == ["ec2:CreateKeyPair"]
    assert types[HEAD]["resources"] == {"CPU": 0}
    for worker in (SPOT, ON_DEMAND):
        found = types[worker]["resources"]
        assert (found["CPU"], found["GPU"], found["accelerator_type:L4"]) == (4, 1, 1)


@pytest.mark.usefixtures("config")
def test_only_port_22_is_open_and_to_one_address(account: Account) -> None:
    groups = account.ec2.describe_security_groups()["SecurityGroups"]
    assert sorted(group["GroupName"] for group in groups) == ["default", "transfer-study"]
    (group,) = [group for group in groups if group["GroupName"] == "transfer-study"]
    (rule,) = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"]) == (22, 22)
    assert [address["CidrIp"] for address in rule["IpRanges"]] == ["198.51.100.7/32"]


def test_the_head_starts_and_ends_workers_with_just_the_rights_of_its_role(
    account: Account, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.autoscaler._private.aws import node_provider

    monkeypatch.setattr(node_provider, "TAG_BATCH_DELAY", 0)
    types = config["available_node_types"]
    laptop = node_provider.AWSNodeProvider(config["provider"], config["cluster_name"])
    laptop.create_node(types[HEAD]["node_config"], tags(HEAD), 1)
    account.asked.clear()
    head = node_provider.AWSNodeProvider(config["provider"], config["cluster_name"])
    for worker in (SPOT, ON_DEMAND):
        head.create_node(types[worker]["node_config"], tags(worker), 1)
    workers = head.non_terminated_nodes({"ray-node-type": "worker"})
    machines = {m["InstanceType"] + m.get("InstanceLifecycle", ""): m for m in account.machines()}
    assert sorted(machines) == ["g6.xlarge", "g6.xlargespot", "m6i.xlarge"]
    assert ["IamInstanceProfile" in machines[m] for m in sorted(machines)] == [False, False, True]
    assert {m["MetadataOptions"]["HttpTokens"] for m in machines.values()} == {"required"}
    head.set_node_tags(workers[0], {"ray-node-status": "setting-up"})
    head.terminate_nodes(workers)
    assert head.non_terminated_nodes({"ray-node-type": "worker"}) == []
    rights = json.loads((IAM / "head.json").read_text(encoding="utf-8"))["Statement"]
    assert set(account.asked) == {statement["Action"] for statement in rights}


def test_the_rights_of_the_head_are_for_this_file_alone() -> None:
    config = yaml.safe_load((ROOT / AWS).read_text(encoding="utf-8"))
    text = (IAM / "head.json").read_text(encoding="utf-8")
    statements = {s["Sid"]: s for s in json.loads(text)["Statement"]}
    start = statements["StartWorkersOfThisCluster"]["Condition"]["StringEquals"]
    workers = [t for name, t in config["available_node_types"].items() if name != HEAD]
    assert set(start["ec2:InstanceType"]) == {t["node_config"]["InstanceType"] for t in workers}
    assert start["aws:RequestTag/ray-cluster-name"] == config["cluster_name"]
    for name in ("TagThemLater", "EndMachinesOfThisCluster"):
        only = statements[name]["Condition"]["StringEquals"]
        assert only == {"aws:ResourceTag/ray-cluster-name": config["cluster_name"]}
    wide = [sid for sid, s in statements.items() if s["Resource"] == "*"]
    assert wide == ["SeeMachines"]
    region = config["provider"]["region"]
    assert text.count("arn:aws:ec2:") == text.count(f"arn:aws:ec2:{region}:") > 0
    assert "*" not in json.dumps([s["Action"] for s in statements.values()])


def test_without_the_named_group_ray_would_open_ssh_to_the_world(account: Account) -> None:
    def forget_the_group(config: Config) -> None:
        for node_type in config["available_node_types"].values():
            del node_type["node_config"]["SecurityGroupIds"]

    account.bootstrapped(forget_the_group)
    groups = account.ec2.describe_security_groups()["SecurityGroups"]
    opened = [
        rule["FromPort"]
        for group in groups
        for rule in group["IpPermissions"]
        if {"CidrIp": "0.0.0.0/0"} in rule["IpRanges"]
    ]
    assert opened == [22]
