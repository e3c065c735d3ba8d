"""How many epochs a final trains for: on fewer images for more, where steps are to be equal."""

from orchestrator.config.stored_settings import AnySettings


def final_epochs(settings: AnySettings, train_fraction: float) -> int:
    """The epochs of a final that is neither stopped nor diverges."""
    if not settings.equal_steps:
        return settings.epochs
    return round(settings.epochs * max(settings.train_fractions) / train_fraction)
