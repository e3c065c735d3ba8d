"""What is wrong with the families that settings name, and with what they say of any."""

from collections.abc import Iterator, Mapping

from search_spaces.narrowing import narrow, parse_value
from trainables import registry

Texts = Mapping[str, Mapping[str, str]]
"""Family to dimension to what is said of it."""


def wrong_families(selection: str, space: Texts, baseline: Texts) -> Iterator[str]:
    """A sentence for each unknown family, unknown dimension, and value outside its dimension."""
    try:
        registry.load_families(selection)
    except ValueError as error:
        yield str(error)
    for field, texts, parse in (("space", space, narrow), ("baseline", baseline, parse_value)):
        for name, own in texts.items():
            try:
                family = registry.load_family(name)
            except ValueError as error:
                yield str(error)
                continue
            optional = {each: dimension for each, (dimension, _) in family.optional.items()}
            known = {**family.search_space, **optional}
            for dimension, text in own.items():
                full_name = f"{field}.{name}.{dimension}"
                if dimension not in known:
                    yield f"unknown dimension {full_name}; choose from {', '.join(known)}"
                    continue
                try:
                    parse(full_name, known[dimension].allowed, text)
                except ValueError as error:
                    yield str(error)
