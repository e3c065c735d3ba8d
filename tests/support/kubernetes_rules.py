"""What must hold of the files for Kubernetes, which neither KubeRay nor Docker would say.

A rule is a sentence and a function of the file's content; `test_kubernetes_files.py` breaks each.
KubeRay's own schema is in no package, so that SCHEMA says the part of it that is used here.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dockerfile
import jsonschema
from deploy_rules import ROOT, SET_UP, Config, Rules, is_bash, read_config
from documented import check_settings

STUDY, CLAIM = "deploy/kubernetes/study.yaml", "deploy/kubernetes/claim.yaml"
DOCKERFILE, IGNORED = "Dockerfile", ".dockerignore"
PACKAGES = ("orchestrator", "search_spaces", "trainables", "transfer_study")
SHARED = "/mnt/study"
INSTRUCTIONS = {"CMD", "COPY", "ENV", "FROM", "RUN", "USER", "WORKDIR"}


def _object(required: tuple[str, ...] = (), **properties: Any) -> Config:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Config) -> Config:
    return {"type": "array", "items": items, "minItems": 1}


TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}
TEXTS = {"type": "object", "additionalProperties": TEXT}
CONTAINER = _object(
    ("name", "image", "resources"),
    name=TEXT,
    image=TEXT,
    command=_list(TEXT),
    ports=_list(_object(("name", "containerPort"), name=TEXT, containerPort=COUNT)),
    env=_list(_object(("name", "value"), name=TEXT, value=TEXT)),
    lifecycle=_object(preStop=_object(exec=_object(command=_list(TEXT)))),
    resources=_object(("limits", "requests"), limits=TEXTS, requests=TEXTS),
    volumeMounts=_list(_object(("name", "mountPath"), name=TEXT, mountPath=TEXT)),
)
POD = _object(
    ("containers",),
    terminationGracePeriodSeconds=COUNT,
    securityContext=_object(runAsNonRoot={"type": "boolean"}, runAsUser=COUNT, fsGroup=COUNT),
    tolerations=_list(
        _object(
            key=TEXT,
            operator={"enum": ["Exists", "Equal"]},
            effect={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
        )
    ),
    initContainers=_list(CONTAINER),
    containers=_list(CONTAINER),
    volumes=_list(
        _object(
            ("name", "persistentVolumeClaim"),
            name=TEXT,
            persistentVolumeClaim=_object(("claimName",), claimName=TEXT),
        )
    ),
)
TEMPLATE = _object(("spec",), spec=POD)
CLUSTER = _object(
    ("headGroupSpec", "rayVersion"),
    rayVersion=TEXT,
    authOptions=_object(mode={"enum": ["token", "disabled"]}),
    enableInTreeAutoscaling={"type": "boolean"},
    autoscalerOptions=_object(version={"enum": ["v1", "v2"]}, idleTimeoutSeconds=COUNT),
    headGroupSpec=_object(
        ("template",),
        serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
        rayStartParams=TEXTS,
        template=TEMPLATE,
    ),
    workerGroupSpecs=_list(
        _object(
            ("groupName", "template"),
            groupName=TEXT,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            rayStartParams=TEXTS,
            template=TEMPLATE,
        )
    ),
)
SCHEMA = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=_object(("name",), name={"type": "string", "pattern": "^[a-z][-a-z0-9]{0,46}$"}),
    spec=_object(
        entrypoint=TEXT,
        jobId=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"]},
        submitterConfig=_object(backoffLimit=COUNT),
        backoffLimit=COUNT,
        shutdownAfterJobFinishes={"type": "boolean"},
        ttlSecondsAfterFinished=COUNT,
        rayClusterSpec=CLUSTER,
    ),
)
CLAIM_SCHEMA = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "v1"},
    kind={"const": "PersistentVolumeClaim"},
    metadata=_object(("name",), name=TEXT),
    spec=_object(
        ("accessModes", "resources"),
        accessModes=_list(TEXT),
        storageClassName=TEXT,
        resources=_object(requests=_object(storage=TEXT)),
    ),
)


def fits(config: Config, schema: Config) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(config)


def locked(package: str) -> str:
    """The version of a package in the lock."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found = re.search(rf"^{package}==(\S+)", text, re.MULTILINE)
    assert found is not None
    return found[1]


def ray_cluster(study: Config) -> Config:
    """The RayCluster that KubeRay makes for a RayJob."""
    name = study["metadata"]["name"]
    return {
        "apiVersion": study["apiVersion"],
        "kind": "RayCluster",
        "metadata": {"name": f"{name}-x7k2p", "namespace": "default"},
        "spec": study["spec"]["rayClusterSpec"],
    }


def groups(study: Config) -> list[Config]:
    """The head's group, and those of workers."""
    cluster = study["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster.get("workerGroupSpecs", [])]


def pods(study: Config) -> list[Config]:
    return [group["template"]["spec"] for group in groups(study)]


def containers(study: Config) -> list[Config]:
    return [pod["containers"][0] for pod in pods(study)]


def variables(container: Config) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container.get("env", [])}


def studies(study: Config) -> list[list[str]]:
    """The words behind `python -m orchestrator.study`, of each such command of the driver."""
    (script,) = shlex.split(study["spec"]["entrypoint"])[2:]
    found = re.findall(r"exec python -m orchestrator\.study ([^;]*);", script)
    return [shlex.split(words) for words in found]


def goes_on(study: Config) -> bool:
    """Whether the driver resumes the study that is there, and begins it where there is none."""
    words = shlex.split(study["spec"]["entrypoint"])
    if words[:2] != ["bash", "-c"] or len(words) != 3 or not is_bash(words[2]):
        return False
    settings = [check_settings(each) for each in studies(study) if "--resume" not in each]
    resumed = [each for each in studies(study) if "--resume" in each]
    if len(settings) != 1 or len(resumed) != 1:
        return False
    folder = f"{settings[0].results_dir}/{settings[0].name}"
    name = str(settings[0].name)
    return (
        words[2].startswith(f"if [ -e {folder}/study.json ]; then exec ")
        and "--resume" in words[2].partition("else")[0]
        and resumed[0] == ["--resume", name, "--results-dir", settings[0].results_dir]
    )


def stops_in_order(study: Config) -> bool:
    """Whether a head that is to end stops the job first, and gives its driver the time it takes."""
    head, pod = containers(study)[0], pods(study)[0]
    stop = head.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
    expected = ["ray", "job", "stop", "--address", "http://127.0.0.1:8265"]
    seconds = int(variables(head).get("RAY_JOB_STOP_WAIT_TIME_S", "3"))
    return stop == [*expected, study["spec"].get("jobId")] and 60 <= seconds < pod.get(
        "terminationGracePeriodSeconds", 30
    )


def mounts_the_claim(study: Config) -> bool:
    claim = read_config(CLAIM)["metadata"]["name"]
    return all(
        pod.get("volumes") == [{"name": "study", "persistentVolumeClaim": {"claimName": claim}}]
        and pod["containers"][0].get("volumeMounts") == [{"name": "study", "mountPath": SHARED}]
        for pod in pods(study)
    )


def is_nobody(pod: Config) -> bool:
    context = pod.get("securityContext", {})
    number = str(context.get("runAsUser"))
    return context.get("runAsNonRoot") is True and number == user(read_text())


CUDA_WORKS = ["python", "-c", 'import torch; torch.zeros(1, device="cuda")']
STUDY_RULES: Rules = {
    "every key and value is one that KubeRay takes": lambda c: fits(c, SCHEMA),
    "Ray's version is that of the image": lambda c: (
        c["spec"]["rayClusterSpec"]["rayVersion"] == locked("ray")
    ),
    "all nodes have one image": lambda c: len({each["image"] for each in containers(c)}) == 1,
    "the image has a place of one's own and a version": lambda c: all(
        re.fullmatch(r"FILL_IN_REGISTRY/transfer-study:\d+\.\d+\.\d+", each["image"])
        for each in containers(c)
    ),
    "token authentication is on": lambda c: (
        c["spec"]["rayClusterSpec"].get("authOptions") == {"mode": "token"}
    ),
    "the dashboard is not open to the world": lambda c: (
        groups(c)[0].get("serviceType") == "ClusterIP"
    ),
    "the head's service has two ports": lambda c: (
        [each["containerPort"] for each in containers(c)[0].get("ports", [])] == [6379, 8265]
    ),
    "no trial is placed on the head": lambda c: (
        groups(c)[0].get("rayStartParams") == {"num-cpus": "0"}
        and not any("gpu" in name for name in containers(c)[0]["resources"]["limits"])
    ),
    "autoscaler v2 is on": lambda c: (
        c["spec"]["rayClusterSpec"].get("enableInTreeAutoscaling") is True
        and c["spec"]["rayClusterSpec"].get("autoscalerOptions", {}).get("version") == "v2"
    ),
    "idle workers are ended": lambda c: (
        60 <= c["spec"]["rayClusterSpec"]["autoscalerOptions"].get("idleTimeoutSeconds", 0) <= 1800
    ),
    "workers start from none, and their number has a limit": lambda c: all(
        group.get("replicas") == group.get("minReplicas") == 0
        and 0 < group.get("maxReplicas", 0) < 1000
        for group in groups(c)[1:]
    ),
    "every worker has one GPU": lambda c: all(
        each["resources"]["limits"].get("nvidia.com/gpu") == "1" for each in containers(c)[1:]
    ),
    "a worker whose CUDA does not work does not join": lambda c: all(
        [
            (each["image"], each.get("command"), each["resources"])
            for each in pod.get("initContainers", [])
        ]
        == [(pod["containers"][0]["image"], CUDA_WORKS, pod["containers"][0]["resources"])]
        for pod in pods(c)[1:]
    ),
    "a node gets what it asks for": lambda c: all(
        each["resources"]["limits"] == each["resources"]["requests"] for each in containers(c)
    ),
    "trials run at normal niceness": lambda c: all(
        variables(each).get("RAY_worker_niceness") == "0" for each in containers(c)
    ),
    "all pods mount the claim at one path": mounts_the_claim,
    "what is downloaded outlives the head": lambda c: (
        variables(containers(c)[0]).get("XDG_CACHE_HOME", "").startswith(f"{SHARED}/")
    ),
    "no pod runs as root": lambda c: all(map(is_nobody, pods(c))),
    "a driver that is started again goes on": goes_on,
    "what is restarted has a limit": lambda c: (
        0 < c["spec"].get("backoffLimit", 0) <= 3
        and c["spec"].get("submitterConfig", {}).get("backoffLimit", 0) > 2
    ),
    "a head that is to end stops the driver in order": stops_in_order,
    "the cluster ends after the study": lambda c: (
        c["spec"].get("shutdownAfterJobFinishes") is True
        and 0 < c["spec"].get("ttlSecondsAfterFinished", 0) <= 3600
    ),
}
CLAIM_RULES: Rules = {
    "every key is one that Kubernetes takes": lambda c: fits(c, CLAIM_SCHEMA),
    "many machines write": lambda c: c["spec"].get("accessModes") == ["ReadWriteMany"],
    "the kind of storage is named": lambda c: (
        c["spec"].get("storageClassName") == "FILL_IN_STORAGE_CLASS"
    ),
}


# The Dockerfile, as BuildKit's own parser takes it apart.


def read_text(name: str = DOCKERFILE) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def instructions(text: str) -> list[dockerfile.Command]:
    return list(dockerfile.parse_string(text))


def final_stage(text: str) -> list[dockerfile.Command]:
    found = instructions(text)
    (*_, start) = [n for n, each in enumerate(found) if each.cmd == "FROM"]
    return found[start:]


def user(text: str) -> str:
    """Who runs the image; empty where nobody is named."""
    named = [" ".join(each.value) for each in final_stage(text) if each.cmd == "USER"]
    return named[-1] if named else ""


def environment(text: str) -> dict[str, str]:
    found = [each.value for each in final_stage(text) if each.cmd == "ENV"]
    return {
        name: value for each in found for name, value in zip(each[::2], each[1::2], strict=True)
    }


def runs(commands: list[dockerfile.Command]) -> Iterator[str]:
    for each in commands:
        if each.cmd == "RUN":
            yield " ".join(each.value)


def copied(text: str) -> list[str]:
    """What is copied from the folder, not from another stage."""
    found = [each for each in instructions(text) if each.cmd in {"COPY", "ADD"}]
    return [
        source
        for each in found
        if not any(flag.startswith("--from") for flag in each.flags)
        for source in each.value[:-1]
    ]


def base_images(text: str) -> list[str]:
    return [each.value[0] for each in instructions(text) if each.cmd == "FROM"]


def node_python() -> str:
    found = re.search(r"^python=(\S+)$", SET_UP.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def installs_from_the_lock(text: str) -> bool:
    installs = [run for run in runs(instructions(text)) if " install " in run]
    return len(installs) == 1 and all(
        part in installs[0]
        for part in (
            "--only-binary :all:",
            "--require-hashes --requirement /requirements.lock",
            "--no-cache-dir",
        )
    )


def leaves_no_tools(text: str) -> bool:
    made = " ".join(runs(instructions(text)))
    return "venv --without-pip /opt/study-env" in made and not re.search(
        r"\b(install|apt-get|curl|wget)\b", " ".join(runs(final_stage(text)))
    )


DOCKERFILE_RULES: dict[str, Any] = {
    "every instruction is one of Docker's": lambda t: (
        {each.cmd for each in instructions(t)} <= INSTRUCTIONS
    ),
    "every instruction says something": lambda t: all(
        each.value and all(each.value) for each in instructions(t)
    ),
    "the base image has a fixed Python, that of other nodes": lambda t: (
        set(base_images(t)) == {f"python:{node_python()}-slim-bookworm"}
    ),
    "every command is valid bash": lambda t: all(map(is_bash, runs(instructions(t)))),
    "packages come from the lock, with hashes": installs_from_the_lock,
    "no tool that installs is left": leaves_no_tools,
    "all that is copied exists": lambda t: all((ROOT / name).exists() for name in copied(t)),
    "only what runs is copied": lambda t: (
        sorted(copied(t)) == sorted((*PACKAGES, "requirements.lock"))
    ),
    "all packages are found": lambda t: (
        environment(t).get("PYTHONPATH") == "/opt/study"
        and all(f"COPY {name} /opt/study/{name}\n" in t for name in PACKAGES)
    ),
    "ray and python are on the path": lambda t: (
        environment(t).get("PATH") == "/opt/study-env/bin:$PATH"
        and "COPY --from=packages /opt/study-env /opt/study-env\n" in t
    ),
    "byte code is there before nobody can write it": lambda t: (
        "python -m compileall -q /opt/study" in runs(final_stage(t))
        and "PYTHONDONTWRITEBYTECODE" not in t
    ),
    "it does not run as root": lambda t: re.fullmatch(r"[1-9]\d*", user(t)) is not None,
    "it is given the driver, and no GPU that was not asked for": lambda t: (
        environment(t).get("NVIDIA_DRIVER_CAPABILITIES") == "compute,utility"
        and "NVIDIA_VISIBLE_DEVICES" not in environment(t)
    ),
}


def sent(text: str) -> Iterator[Path]:
    """What a `.dockerignore` of exceptions alone lets through to the build."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*", lines
    return (ROOT / line[1:] for line in lines[1:] if line.startswith("!"))
