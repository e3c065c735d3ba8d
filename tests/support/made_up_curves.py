"""Made-up learning curves over training images, and the final runs that have them."""

import numpy as np
from made_up_rows import final_run, predicted_run, table

from orchestrator.stats.sample_efficiency import Point

IMAGES = 200
LARGEST = 10_000


def curve(accuracies):
    """A curve from training images to accuracy."""
    return [
        Point(images=images, accuracy=value, low=0, high=1, seeds=1)
        for images, value in accuracies.items()
    ]


def made_up(models):
    """Final rows and runs of models whose accuracies are {(family, role): {images: [seeds]}}."""
    rows, runs = [], []
    for (family, role), sizes in models.items():
        for images, accuracies in sizes.items():
            for seed, accuracy in enumerate(accuracies):
                run = {"family": family, "role": role, "seed": seed, "fraction": images / LARGEST}
                predicted = (np.arange(IMAGES) >= round(accuracy * IMAGES)).astype(np.int64)
                rows.append(final_run(**run, train_images=images, test_accuracy=accuracy))
                labels = np.zeros(IMAGES, dtype=np.int64)
                runs.append(predicted_run(labels, np.eye(2)[predicted], **run))
    return table("final", rows), runs
