"""Models of torchvision and timm by their names: what they are, and what is refused and how."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import timm
import torch
import torchvision

from search_spaces.dimension import distributions, outside
from trainables import registry
from trainables.names import check_family, check_trial
from trainables.training.last_layer import last_layer, set_dropout
from trainables.training.stochastic_depth import RATES
from trainables.weights import loading

NAMES = (
    "torchvision/efficientnet_b0",
    "torchvision/vit_b_16@scratch",
    "timm/convnext_tiny",
    "timm/convnext_tiny.in12k_ft_in1k",
    "timm/vit_small_patch14_dinov2.lvd142m@frozen",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_models_name_is_that_of_a_folder_and_of_trials(name: str) -> None:
    family = registry.load_family(name)
    assert family.name == name.replace("/", ".")
    assert registry.load_family(family.name).name == family.name
    assert check_family(family.name) == Path(family.name).name
    assert check_trial(f"{family.name}-003")
    assert check_trial(f"{family.name}-f0.1-003")
    assert check_trial(f"{family.name}-tuned-s0-f0.1")
    assert outside(distributions(family.search_space), family.baseline) == []
    assert registry.summary(name).endswith("?")
    assert registry.family_file(name).parent.name == "libraries"


def test_no_model_of_a_library_is_among_all() -> None:
    assert all("." not in family.name for family in registry.load_families("all"))


def test_a_family_of_a_library_is_known_without_the_library_or_torch() -> None:
    code = (
        "import sys; from trainables.registry import load_families;"
        "load_families('timm/resnet18,torchvision/vgg11@scratch');"
        "sys.exit(any(name in sys.modules for name in ('torch', 'torchvision', 'timm')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/../../etc", "a family must have a name like cnn, but got 'timm.......etc'"),
        ("timm/resnet18@fine", r"a model's name must end in @scratch, in @frozen, or in neither"),
        ("keras/vgg", r"unknown family 'keras/vgg'; choose from .*timm/MODEL, torchvision/MODEL"),
    ],
)
def test_a_name_that_can_be_no_models_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        registry.load_family(name)


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("torchvision/convnext_tony", "convnext_tiny"),
        ("timm/convnext_tony", "convnext_tiny"),
        ("timm/convnext_tiny.in99k", r"convnext_tiny\.in12k"),
    ],
)
def test_a_model_that_a_library_lacks_is_answered_with_those_like_it(name: str, like: str) -> None:
    check = registry.load_family(name).check
    assert check is not None
    with pytest.raises(ValueError, match=f"unknown model {name}; of .* most like it are .*{like}"):
        check((), 3, None)


def test_images_that_a_network_cannot_be_given_are_refused_in_a_line() -> None:
    check = registry.load_family("torchvision/alexnet").check
    assert check is not None
    check((64, 96), 3, None)
    with pytest.raises(ValueError, match=r"but of 32x32 pixels: .*too small") as caught:
        check((64, 32), 3, None)
    assert "space.torchvision.alexnet.input_size" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_without_a_layer_for_the_classes_is_refused() -> None:
    check = registry.load_family("timm/gemma4_vit_570m_enc@scratch").check
    assert check is not None
    with pytest.raises(ValueError, match="a network must end in a layer with 10 outputs"):
        check((48,), 10, None)


@pytest.mark.parametrize("name", ["torchvision/mobilenet_v3_small", "timm/test_vit"])
def test_weights_of_another_network_are_refused_before_any_memory_is_taken(name: str) -> None:
    family = registry.load_family(name)
    assert family.check is not None
    other = {"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}
    with pytest.raises(ValueError, match="weights must match the network in names and shapes"):
        family.check((48,), 3, other)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("timm/test_convnext@scratch", {"drop_path_rate": 0.4}),
        ("torchvision/convnext_tiny@scratch", {"stochastic_depth_prob": 0.4}),
    ],
)
def test_stochastic_depth_is_what_the_library_makes_of_it(
    name: str, made: dict[str, float]
) -> None:
    family = registry.load_family(name)
    config = {**family.baseline, "num_classes": 3, "input_size": 32, "weights": None}
    library, _, model = name.removesuffix("@scratch").partition("/")
    create = timm.create_model if library == "timm" else torchvision.models.get_model
    with torch.device("meta"):
        asked = family.build({**config, "stochastic_depth": 0.4})
        unnamed = family.build(config)
        none = family.build({**config, "stochastic_depth": 0.0})
    assert rates(asked) == pytest.approx(rates(create(model, **made)))
    assert rates(unnamed) == rates(create(model))
    assert set(rates(none)) == {0.0}


def rates(network: torch.nn.Module) -> list[float]:
    layers = [each for each in network.modules() if type(each).__name__ in RATES]
    return [getattr(each, RATES[type(each).__name__]) for each in layers]


@pytest.mark.parametrize("name", ["timm/vgg11@scratch", "torchvision/resnet18@scratch"])
def test_stochastic_depth_of_a_network_without_such_layers_is_refused(name: str) -> None:
    check = registry.load_family(name).check
    assert check is not None
    check((32,), 3, None, {})
    with pytest.raises(
        ValueError,
        match=r"^space\.t.+@scratch\.stochastic_depth must be of a network that has such",
    ):
        check((32,), 3, None, {"stochastic_depth": 0.0})


def test_a_vits_positions_are_fitted_to_the_size_of_the_images() -> None:
    family = registry.load_family("timm/test_vit")
    config = {**family.baseline, "num_classes": 3}
    (network,) = family.standalone
    torch.manual_seed(0)
    large = network({**family.fixed, "num_classes": 7, "input_size": 160}).state_dict()
    weights = {name: each.numpy() for name, each in large.items()}
    same = family.build({**config, "input_size": 160, "weights": weights}).state_dict()
    smaller = family.build({**config, "input_size": 48, "weights": weights}).state_dict()
    assert same["pos_embed"].equal(large["pos_embed"])
    assert smaller["pos_embed"].shape != large["pos_embed"].shape
    assert smaller["blocks.0.attn.qkv.weight"].equal(large["blocks.0.attn.qkv.weight"])


@pytest.mark.parametrize("size", [160, 96])
def test_timms_weights_are_read_as_timm_reads_them(size: int) -> None:
    torch.manual_seed(0)
    state = timm.create_model("test_vit", num_classes=7).state_dict()
    family = registry.load_family("timm/test_vit")
    given = {**family.baseline, "normalization": "zero_one", "num_classes": 3, "input_size": size}
    weights = {name: each.numpy() for name, each in state.items()}
    ours = family.build({**given, "weights": weights}).eval()
    theirs = timm.create_model(
        "test_vit",
        pretrained=True,
        num_classes=3,
        img_size=size,
        pretrained_cfg_overlay={"state_dict": {name: each.clone() for name, each in state.items()}},
    ).eval()
    images = torch.rand(2, 3, size, size)
    with torch.no_grad():
        assert ours.forward_features(images).equal(theirs.forward_features(images))


def test_a_network_normalises_images_as_its_weights_want_it_where_that_is_searched() -> None:
    family = registry.load_family("timm/vit_tiny_patch16_224@frozen")
    config = {**family.baseline, "num_classes": 3, "input_size": 32, "weights": None}
    torch.manual_seed(0)
    own = family.build(config).eval()
    torch.manual_seed(0)
    plain = family.build({**config, "normalization": "zero_one"}).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert own(images).equal(plain((images - 0.5) / 0.5))  # timm's for this network
    assert own.state_dict().keys() == plain.state_dict().keys()


def test_the_last_layer_is_found_and_dropout_comes_before_it() -> None:
    plain = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Linear(5, 3))
    assert last_layer(plain, 3) == "1"
    set_dropout(plain, "1", 1.0)
    assert plain.train()(torch.ones(2, 4)).equal(plain[1].bias.expand(2, 3))
    assert not plain.eval()(torch.ones(2, 4)).equal(plain[1].bias.expand(2, 3))
    having = torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.Linear(4, 3))
    set_dropout(having, "1", 0.7)
    assert having[0].p == 0.7
    with pytest.raises(ValueError, match="must end in a layer with 9 outputs"):
        last_layer(plain, 9)


@pytest.fixture
def hub() -> Iterator[str]:
    """A server that answers for one file as the Hugging Face hub does."""
    content = b"weights"

    class Hub(BaseHTTPRequestHandler):
        def answer(self) -> None:
            known = self.path == "/timm/resnet18.a1_in1k/resolve/main/model.safetensors"
            self.send_response(200 if known else 404)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "1" * 40)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_weights_come_from_the_hub_once_and_then_from_its_cache(hub: str, tmp_path: Path) -> None:
    code = (
        "from trainables.weights.hub import from_hub\n"
        "for name in ('timm/resnet18.a1_in1k', 'timm/none', 'timm/resnet18.a1_in1k'):\n"
        "    try:\n"
        "        file = from_hub(name, words={'licence': 'x'})\n"
        "        print(file.name, file.sha256, sorted(file.words), file.path.read_text())\n"
        "    except ValueError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(  # its own: the hub's library reads its address when it is imported
        [sys.executable, "-c", code],
        env={"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    first, refused, again = done.stdout.splitlines()
    sha256 = hashlib.sha256(b"weights").hexdigest()
    assert first == f"timm/resnet18.a1_in1k {sha256} ['licence', 'origin'] weights"
    assert refused.startswith(f"no weights timm/none: getting {hub}/timm/none/resolve/main/")
    assert again == first


def test_torchvisions_weights_are_known_by_the_digits_in_their_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    digits = hashlib.sha256(b"whole").hexdigest()[:8]
    cached = tmp_path / "hub" / "checkpoints" / f"net-{digits}.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"whole")
    url = f"http://127.0.0.1:1/{cached.name}"
    assert loading.fetch(url, name="net", words={}).path == cached
    cached.write_bytes(b"half")
    with pytest.raises(ValueError, match="is not there, and getting"):
        loading.fetch(url, name="net", words={})
