"""Writes networks, images and their logits for native/tools/check.cc: ``python tests/contracts/engine_cases.py FILE``.

The cases are the known answers of tests/vectors, every layer of the engines' contract, and shapes that are hard for
kernels of 16 windows. The logits are the reference executor's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from holdfast.engine.native import encode
from holdfast.intnet import IntegerNetwork

sys.path.append(str(Path(__file__).parents[1] / "cases"))

from engine_programs import LAYERS, extreme_images, pool_of_extremes
from known_networks import known_answers
from tile_programs import NETWORKS, TILES


def cases() -> Iterator[tuple[IntegerNetwork, NDArray[np.int16]]]:
    """Networks and images."""
    for file in ("layers", "networks"):
        for case in known_answers(file):
            yield case.network, case.images.astype(np.int16)
    random = np.random.default_rng(1)
    for layer in (*LAYERS.values(), *TILES.values()):
        network = layer.network()
        yield network, random.integers(-300, 556, (2, *network.shape)).astype(np.int16)
    pool = pool_of_extremes()
    yield pool, extreme_images(pool)
    for network in NETWORKS.values():
        yield network, random.integers(-300, 556, (19, *network.shape)).astype(np.int16)


def write(file: BinaryIO) -> None:
    """All cases, one after the other."""
    for network, images in cases():
        words, weights = encode(network)
        logits = network.logits(images)
        sizes = (len(words), len(weights), len(images), images[0].size, network.num_classes, 0)
        file.write(np.array(sizes, "<i4").tobytes())
        for part in (words, images, logits, weights):
            file.write(part.tobytes())


if __name__ == "__main__":
    with Path(sys.argv[1]).open("wb") as target:
        write(target)
