"""The same model in two studies on the same test images: what changed, tested as within a study."""

import numpy as np

SMALLEST = float(np.nextafter(np.float32(0), np.float32(1)))
METRICS = ("accuracy", "precision", "recall", "loss")
