"""What must hold of cluster.yaml for AWS that Ray lets through: money, rights, and who gets in."""

import re
from typing import Any

from deploy_rules import SHARED_RULES, Config, Rules

NODE_CONFIG_KEYS = {
    "InstanceType",
    "ImageId",
    "SecurityGroupIds",
    "SubnetIds",
    "MetadataOptions",
    "BlockDeviceMappings",
    "InstanceMarketOptions",
    "IamInstanceProfile",
    "KeyName",
    "TagSpecifications",
}
PROVIDER_KEYS = {"type", "region", "availability_zone", "cache_stopped_nodes"}


def worker_types(config: Config) -> list[Config]:
    types = config["available_node_types"]
    return [types[name] for name in types if name != config["head_node_type"]]


def node_configs(config: Config) -> list[Config]:
    return [node_type["node_config"] for node_type in config["available_node_types"].values()]


def machine(node_type: Config) -> dict[str, int]:
    """CPUs and GPUs of the machine that a node type names; empty if AWS has no such machine."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES  # imported late: it takes a second

    known: dict[str, Any] = INSTANCE_TYPES.get(node_type["node_config"].get("InstanceType"), {})
    if not known:
        return {}
    gpus = sum(gpu["Count"] for gpu in known.get("GpuInfo", {}).get("Gpus", []))
    return {"CPU": known["VCpuInfo"]["DefaultVCpus"], "GPU": gpus}


def spot_priorities(config: Config, *, spot: bool) -> list[int]:
    return [
        node_type.get("priority", 0)
        for node_type in worker_types(config)
        if ("InstanceMarketOptions" in node_type["node_config"]) is spot
    ]


def spot_goes_first(config: Config) -> bool:
    spot, on_demand = spot_priorities(config, spot=True), spot_priorities(config, spot=False)
    return bool(spot) and bool(on_demand) and min(spot) > max(on_demand)


def is_id(kind: str, *ids: object) -> bool:
    """Whether these are AWS ids of the kind, or the place left for the user to fill in."""
    return all(re.fullmatch(f"{kind}-(FILL_IN|[0-9a-f]{{8,17}})", str(an_id)) for an_id in ids)


def one_named_image(config: Config) -> bool:
    images = {node.get("ImageId") for node in node_configs(config)}
    return len(images) == 1 and is_id("ami", *images)


AWS_RULES: Rules = {
    **SHARED_RULES,
    "the head offers no CPU, so that no trial lands there": lambda c: (
        c["available_node_types"][c["head_node_type"]]["resources"] == {"CPU": 0}
    ),
    "the machine of every node type exists": lambda c: all(
        map(machine, c["available_node_types"].values())
    ),
    "every worker has one GPU, and offers what its machine has": lambda c: all(
        t["resources"].get("GPU") == 1 and machine(t) in ({}, t["resources"])
        for t in worker_types(c)
    ),
    "workers start from none": lambda c: all(t.get("min_workers") == 0 for t in worker_types(c)),
    "the number of workers has a limit": lambda c: (
        c.get("max_workers", 0) >= 1 and all(t.get("max_workers", 0) >= 1 for t in worker_types(c))
    ),
    "idle workers are ended within half an hour": lambda c: (
        0 < c.get("idle_timeout_minutes", 0) <= 30
    ),
    "spot machines are tried before those on demand": spot_goes_first,
    "stopped nodes are not kept": lambda c: c["provider"].get("cache_stopped_nodes") is False,
    "no disk outlives its node": lambda c: all(
        disk["Ebs"].get("DeleteOnTermination") is True
        for n in node_configs(c)
        for disk in n["BlockDeviceMappings"]
    ),
    "the metadata service asks for a token": lambda c: all(
        n.get("MetadataOptions", {}).get("HttpTokens") == "required" for n in node_configs(c)
    ),
    "SSH is opened by a named group, not to the world by Ray": lambda c: all(
        is_id("sg", *(n.get("SecurityGroupIds") or [None])) for n in node_configs(c)
    ),
    "the head has the role of deploy/iam, and workers have none": lambda c: (
        [n["IamInstanceProfile"] for n in node_configs(c) if "IamInstanceProfile" in n]
        == [c["available_node_types"][c["head_node_type"]]["node_config"].get("IamInstanceProfile")]
        == [{"Name": "transfer-study-head"}]
    ),
    "every node names its image, and all the same": one_named_image,
    "no key of a node_config is misspelt": lambda c: all(
        NODE_CONFIG_KEYS.issuperset(n) for n in node_configs(c)
    ),
    "no key of the provider is misspelt, or opens a port": lambda c: (
        set(c["provider"]) == PROVIDER_KEYS
    ),
}
