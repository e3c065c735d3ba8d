"""The wheel, built and unpacked: one package, which runs beside strangers of the same names."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
from foreign_studies import CLEAN, write_csv
from made_up_predictions import write_examples
from packaging.requirements import Requirement

import transfer_study
from hatch_build import NAMESPACE, PACKAGES, module_name, moved
from orchestrator import called, extras
from transfer_study.__main__ import commands

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "tests/results/stored/2026-11-28"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
STRANGERS = (*PACKAGES, "ray", "torch", "torchvision")
OWN_FAMILY = """
from {prefix}search_spaces.spaces import from_scratch
from {prefix}search_spaces.baseline import BASELINE
from {prefix}trainables.family import Family

FAMILY = Family(name="mine", build=lambda config: None, search_space=from_scratch(),
                baseline=BASELINE, question="Mine?")
"""
LOADED = "from {prefix}trainables.registry import load_family; print(load_family('mine').question)"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, unpacked."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", place],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (file,) = place.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(place / "unpacked")
    return place / "unpacked"


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    """A folder with packages of somebody else, or of a size that reading does without."""
    folder = tmp_path / "strangers"
    for name in STRANGERS:
        (folder / name).mkdir(parents=True)
        for file in ("__init__.py", "__main__.py"):
            (folder / name / file).write_text(f"raise SystemExit('{name} was imported')\n")
    return folder


def run(
    *arguments: str, path: tuple[Path, ...], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs Python in the first folder of its path, of which this checkout is none."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=path[0],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "COLUMNS": "80",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def hide(folder: Path, *modules: str) -> None:
    """Lets nobody find modules whose path has the folder, as if they were not installed."""
    (folder / "sitecustomize.py").write_text(
        "import sys\nfrom importlib.machinery import PathFinder\n"
        "class Hiding(PathFinder):\n"
        "    @staticmethod\n    def find_spec(name, path=None, target=None):\n"
        f"        hidden = name in {modules}\n"
        "        return None if hidden else PathFinder.find_spec(name, path, target)\n"
        "sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding\n"
    )


def imported(source: str) -> Iterator[str]:
    """The modules that code imports, and those that its strings name."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=module):
                yield str(module)
            case ast.Constant(value=str(text)):
                yield from (word.strip("`'\"(") for word in text.replace(":", " ").split())


def test_nothing_is_installed_at_the_top_but_the_package_and_its_metadata(wheel: Path) -> None:
    version = transfer_study.__version__
    assert {path.name for path in wheel.iterdir()} == {
        NAMESPACE,
        f"{NAMESPACE}-{version}.dist-info",
    }


def test_no_module_of_it_names_one_of_a_checkout(wheel: Path) -> None:
    modules = {
        module_name(path.relative_to(ROOT))
        for top in PACKAGES
        for path in (ROOT / top).rglob("*.py")
    }
    files = list((wheel / NAMESPACE).rglob("*.py"))
    assert len(files) > len(modules)
    for file in files:
        if file != wheel / NAMESPACE / "__init__.py":  # which says what a checkout has
            named = set(imported(file.read_text(encoding="utf-8")))
            assert not {name for name in named if name.split(".")[0] in PACKAGES and "." in name}, (
                file
            )


def test_it_has_every_file_and_no_line_has_moved(wheel: Path) -> None:
    for top in PACKAGES:
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                own, inside = path.read_bytes(), wheel / NAMESPACE / path.relative_to(ROOT)
                assert inside.read_bytes().count(b"\n") == own.count(b"\n")
                assert path.suffix == ".py" or inside.read_bytes() == own
    for package in ("", *PACKAGES):
        assert (wheel / NAMESPACE / package / "py.typed").exists()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b, os", "import n.a.b, os"),
        ("import a.b as c", "import n.a.b as c"),
        ("from a import b", "from n.a import b"),
        ("from a.b import (\n    c,\n)", "from n.a.b import (\n    c,\n)"),
        ("from x.a import b", "from x.a import b"),
        ("from . import a", "from . import a"),
        ("if x:\n    from a.b import c", "if x:\n    from n.a.b import c"),
        ("import a.b\nprint('é', a.b.c, x.a.b)", "import n.a.b\nprint('é', n.a.b.c, x.a.b)"),
        ("import a.b\nf'{a.b.c}/{a.b}'", "import n.a.b\nf'{n.a.b.c}/{n.a.b}'"),
        ("load('a.b:C')", "load('n.a.b:C')"),
        ("load(f'a.b.{x}')", "load(f'n.a.b.{x}')"),
        ("'x/a.b', 'a.txt', 'a/b.py', 'xa.b'", "'x/a.b', 'a.txt', 'a/b.py', 'xa.b'"),
        ("def f(a):\n    return a.b", "def f(a):\n    return a.b"),
    ],
)
def test_names_are_moved_and_nothing_else(source: str, expected: str) -> None:
    long = {"a": "trainables", "n": NAMESPACE}

    def spelled(text: str) -> str:
        words = (long.get(word, word) for word in _words(text))
        return "".join(words)

    assert moved(spelled(source), {"trainables", "trainables.b"}) == spelled(expected)


def _words(text: str) -> list[str]:
    """Words of letters, and what is between them."""
    return re.findall(r"\w+|\W", text)


@pytest.mark.parametrize(
    "source", ["trainables = 1", "def f(trainables): ...", "print(f'{trainables.__name__}')"]
)
def test_a_name_that_cannot_be_moved_ends_the_build(source: str) -> None:
    with pytest.raises(ValueError, match="trainables must not"):
        moved(f"import trainables.family\n{source}\n", {"trainables", "trainables.family"})


def test_help_lists_every_command_beside_strangers(wheel: Path, strangers: Path) -> None:
    ended = run("-m", NAMESPACE, "--help", path=(strangers, wheel))
    assert ended.returncode == 0, ended.stderr
    listed = ended.stdout.partition("commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines() if line[2] != " "] == [*commands()]
    assert max(map(len, ended.stdout.splitlines())) <= 80
    version = run("-m", NAMESPACE, "--version", path=(strangers, wheel))
    assert version.stdout == f"{transfer_study.__version__}\n"
    checkout = run("-m", "orchestrator", "--help", path=(ROOT,))
    assert checkout.stdout == ended.stdout


def test_a_wrong_command_is_answered_in_one_line(wheel: Path, strangers: Path) -> None:
    ended = run("-m", NAMESPACE, "reprot", path=(strangers, wheel))
    assert ended.returncode == 2
    assert ended.stderr.startswith("transfer-study: argument COMMAND: invalid choice: 'reprot'")
    assert ended.stderr.count("\n") == 1


def test_reading_does_without_torch_and_ray_and_hints_name_the_console_command(
    wheel: Path, strangers: Path
) -> None:
    study = strangers / "results" / "NAME"
    study.mkdir(parents=True)
    for file in STORED.iterdir():
        if file.is_file():
            (study / file.name).write_bytes(file.read_bytes())
    for command in ("status", "compare", "report"):
        ended = run("-m", NAMESPACE, command, str(study), path=(strangers, wheel))
        assert ended.returncode == 0, ended.stderr
    page = (study / "report.html").read_text(encoding="utf-8")
    assert "transfer-study study --families" in page
    assert "python -m" not in page


def test_verdicts_and_audits_need_nothing_that_only_studies_need(
    wheel: Path, tmp_path: Path
) -> None:
    hide(tmp_path, "matplotlib", *extras.MODULES["run"])
    write_examples(tmp_path)
    write_csv(CLEAN["one model"](np.random.default_rng(0)), tmp_path / "trials.csv")
    files = [str(tmp_path / name) for name in ("baseline.csv", "candidate.csv")]
    page = ("--output", str(tmp_path / "verdict.html"))
    for words in (
        ("verdict", *files, *page),
        ("verdict", str(STORED), *page),
        ("audit", str(tmp_path / "trials.csv")),
        ("verify", "--help"),
    ):
        ended = run("-m", NAMESPACE, *words, path=(tmp_path, wheel))
        assert ended.returncode == 0, ended.stderr


def test_a_missing_extra_is_answered_in_one_line(wheel: Path, tmp_path: Path) -> None:
    hide(tmp_path, "ray", "s3fs", "torch")
    study = ("-m", NAMESPACE, "study", "--families", "all", "--preset", "demo")
    for words, missing in ((study, "ray, torch, which are"), ((*study, "--help"), None)):
        ended = run(*words, path=(tmp_path, wheel))
        assert ended.returncode == (2 if missing else 0)
        expected = f"study: this needs {missing} not installed: pip install 'transfer-study[run]'\n"
        assert ended.stderr == (expected if missing else "")
    ended = run("-m", NAMESPACE, "status", "s3://bucket/NAME", path=(tmp_path, wheel))
    assert ended.returncode == 2
    expected = "this needs s3fs, which is not installed: pip install 'transfer-study[s3]'"
    assert ended.stderr == f"status: {expected}\n"
    predict = ("-m", NAMESPACE, "predict", str(STORED), "photo.png")
    ended = run(*predict, path=(tmp_path, wheel))
    assert ended.returncode == 2
    expected = "this needs torch, which is not installed: pip install 'transfer-study[run]'"
    assert ended.stderr == f"transfer-study: {expected}\n"


def test_one_file_of_a_users_works_with_the_wheel_and_with_a_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(OWN_FAMILY.format(prefix="transfer_study."))
    own = {"STUDY_FAMILY_PATH": str(tmp_path)}
    for prefix, place in (("transfer_study.", wheel), ("", ROOT), ("transfer_study.", ROOT)):
        ended = run("-c", LOADED.format(prefix=prefix), path=(place,), environment=own)
        assert ended.stdout == "Mine?\n", ended.stderr
    (tmp_path / "mine.py").write_text(OWN_FAMILY.format(prefix=""))
    hide(tmp_path, *PACKAGES)
    loaded = LOADED.format(prefix="transfer_study.")
    ended = run("-c", loaded, path=(tmp_path, wheel), environment=own)
    assert "it is transfer_study.search_spaces)" in ended.stderr


def test_of_a_wheel_its_version_is_recorded_and_never_the_users_commit(wheel: Path) -> None:
    for words in (("init", "--quiet"), ("add", ".")):
        subprocess.run(["git", *words], cwd=wheel, check=True)
    program = (
        "from transfer_study.orchestrator.results import code_version as of; "
        "print(of.git_commit(), of.package_version(), len(of.code_sha256(['cnn'], 'digits')))"
    )
    assert run("-c", program, path=(wheel,)).stdout.split() == [
        *("None", transfer_study.__version__, "64")
    ]


def test_modules_beside_the_package_have_one_name_more_and_stay_themselves() -> None:
    from transfer_study.trainables.family import Family

    import trainables.family

    assert Family is trainables.family.Family
    assert trainables.family.__spec__.name == "trainables.family"
    with pytest.raises(ModuleNotFoundError, match=r"transfer_study\.trainables\.nothing"):
        __import__("transfer_study.trainables.nothing")


@pytest.mark.parametrize(
    ("called_as", "expected"),
    [
        ("/usr/bin/transfer-study", ["transfer-study", "status"]),
        ("checkout/orchestrator/report/__main__.py", ["python", "-m", "orchestrator.status"]),
    ],
)
def test_hints_name_the_command_that_was_used(
    called_as: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [called_as])
    assert called.words_of("status") == expected


def test_no_text_but_a_docstring_names_a_command_as_a_checkout_calls_it() -> None:
    for path in (ROOT / "orchestrator").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            if id(node) not in bare
        ]
        assert not [text for text in texts if "python -m orchestrator" in text], path
        assert not [text for text in texts if re.match(r"orchestrator\.\w+$", text)], path


def test_every_module_of_an_extra_comes_with_it() -> None:
    distributions = packages_distributions()
    for extra, modules in extras.MODULES.items():
        asked = {Requirement(text).name for text in PROJECT["optional-dependencies"][extra]}
        for module in modules:
            known = {name.lower() for name in distributions.get(module, [module])}
            assert known & asked, f"{extra}: {module}"


def test_every_place_that_has_the_version_has_the_one_of_the_package() -> None:
    places = {
        "CITATION.cff": r"^version: (\S+)$",
        "CHANGELOG.md": r"\A# Changelog\n\n## (\S+)",
        "Dockerfile": r"transfer-study:(\S+)",
        "deploy/kubernetes/study.yaml": r"transfer-study:(\S+)",
        "docs/KUBERNETES.md": r"/transfer-study:(\d\S+)",
        "docs/INSTALL.md": r"transfer_study-(\S+?)-py3",
        "docs/RELEASING.md": r"transfer_study-(\S+?)-py3",
    }
    for name, pattern in places.items():
        found = re.findall(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        assert set(found) == {transfer_study.__version__}, name


def test_what_reading_needs_has_neither_torch_nor_ray() -> None:
    asked = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert not asked & {"ray", "torch", "torchvision"}
    assert PROJECT["optional-dependencies"]["read"] == []
