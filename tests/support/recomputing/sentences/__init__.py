"""What each sentence of a study's report must say."""

from recomputing.sentences import (  # noqa: F401 (each registers its rules)
    answer,
    classes,
    hyperparameters,
    images,
    running,
    search,
    stopping,
    tests,
)
