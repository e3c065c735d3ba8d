"""Whether data and weights, where they are stored, are those that a study recorded."""

from collections.abc import Iterator

from orchestrator.config.settings import Settings
from orchestrator.config.sources import from_json
from orchestrator.plan import pretrained_weights
from orchestrator.plan.inputs import divide, named_data_set
from orchestrator.plan.memory import with_room
from orchestrator.plan.provenance import check_own_validation, other_files, other_split
from orchestrator.verify.tables import Tables
from trainables import registry
from trainables.data.dataset import OpenedDataSet
from trainables.data.files import open_place
from trainables.data.offline import not_fetched, offline
from trainables.weights import loading, pretraining
from trainables.weights.names import by_family
from trainables.weights.sources import DEMO, DOWNLOADS


class NotAtHandError(Exception):
    """What a study was made from is not on this machine."""


def check_data(tables: Tables) -> Iterator[str]:
    """Files, classes and split are what `study.json` says."""
    settings, recorded = from_json(tables.study.raw["settings"]), tables.study.dataset
    dataset = None
    try:
        dataset = _opened(settings)
        check_own_validation(tables.study, dataset)
    except ValueError as error:
        if dataset is not None and recorded.own_validation is None:  # older than their use
            raise NotAtHandError(str(error)) from error
        yield f"the data must be what they were, but are not: {error}"
        return
    wrong = list(other_files(tables.study, dataset))
    yield from wrong
    if list(dataset.classes) != recorded.classes:
        yield f"the classes must be {recorded.classes}, but are {list(dataset.classes)}"
    if wrong:  # other files are split in another way, and may not even be decoded
        return
    labels = with_room(dataset).read_training().labels
    yield from other_split(tables.study, divide(settings, dataset, labels))


def check_weights(tables: Tables) -> Iterator[str]:
    """Pre-trained weights are what `study.json` says."""
    recorded, settings = tables.study.weights, from_json(tables.study.raw["settings"])
    if recorded is None:
        return
    families = recorded.families or dict.fromkeys(by_family(settings.weights) or [""], recorded)
    texts = {family: pretrained_weights.named_for(family, settings) for family in families}
    wrong = {
        (texts[family], weights.sha256, found)
        for family, weights in families.items()
        if (found := _weights_sha256(texts[family], family)) != weights.sha256
    }
    for text, expected, found in sorted(wrong):
        yield f"weights {text} must have SHA-256 {expected} as recorded, but have {found}"


def _opened(settings: Settings) -> OpenedDataSet:
    """The data set, if its files are on this machine.

    Raises:
        NotAtHandError: They do not.
        ValueError: They do, but are not what they must be.
    """
    if settings.data_dir is not None:
        try:
            folder, file = open_place(settings.data_dir)
            if file is None and not any(folder.list()):
                raise NotAtHandError(f"{settings.data_dir} is empty")
        except ValueError as error:
            raise NotAtHandError(str(error)) from error
    with offline():
        try:
            return named_data_set(settings).open(settings.data_dir, settings.edge)
        except ValueError as error:
            if not_fetched(error):
                raise NotAtHandError(str(error)) from error
            raise


def _weights_sha256(text: str, family: str) -> str:
    """SHA-256 of the weights that a study names for a family, or for all.

    torchvision's ResNet50s are known by their names.
    """
    if text == DEMO:
        text = str(pretraining.cached_weights_path())
    try:
        own = registry.load_family(family).own_weights if family else None
        if text == pretrained_weights.USUAL and own is not None:
            with offline():
                return own().sha256
        return DOWNLOADS[text][1] if text in DOWNLOADS else loading.locate(text).sha256
    except (ValueError, ImportError) as error:
        raise NotAtHandError(str(error)) from error
