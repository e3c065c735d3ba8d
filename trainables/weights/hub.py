"""Weights from the Hugging Face hub, kept where its own library keeps them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trainables.data.download import ask
from trainables.weights.loading import WeightsFile, file_sha256

FILE: Final = "model.safetensors"


def from_hub(repository: str, *, words: Mapping[str, str]) -> WeightsFile:
    """The weights of a repository: from the cache, or downloaded once.

    Args:
        repository: `owner/name`.
        words: What is known of them; see `WeightsFile`.

    Raises:
        ValueError: They are in no cache here, and nobody answers or has them.
    """
    from huggingface_hub import hf_hub_download, hf_hub_url

    address = hf_hub_url(repository, FILE)
    try:
        try:
            path = hf_hub_download(repository, FILE, local_files_only=True)
        except OSError:
            ask(address)  # its library would try again for half a minute
            path = hf_hub_download(repository, FILE)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"no weights {repository}: getting {address} failed: {reason}") from error
    return WeightsFile(
        name=repository,
        path=Path(path),
        sha256=file_sha256(Path(path)),
        words={"origin": f"the Hugging Face hub, {address}", **words},
    )
