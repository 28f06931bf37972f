"""BRISQUE (Mittal, Moorthy & Bovik, 'No-reference image quality assessment in the spatial domain', 2012).

Natural pictures have locally normalised brightness of a known shape; how far a picture departs from it is described by 36 numbers,
which a support vector regression, trained on opinions of the LIVE database, turns into a score: 0 is best, 100 worst.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reelbench.errors import WeightsError

Numbers = NDArray[np.float64]
_SIGMA, _WINDOW = 7 / 6, (7, 7)
_SHAPES = np.arange(0.2, 10.0, 0.001)


class Brisque:
    """``model`` is a libSVM text file (epsilon-SVR, RBF kernel), ``ranges`` a pickle of two lists of floats, 'min_' and 'max_', that
    features are scaled to. Raises WeightsError for a file that is neither."""

    def __init__(self, model: Path, ranges: Path) -> None:
        self._weights, self._vectors, self._gamma, self._rho = _support(model)
        self._low, self._high = _ranges(ranges)
        from scipy.special import gamma

        self._ratios = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))

    def score(self, grey: NDArray[np.float32]) -> float:
        """Of a grey picture, H×W, 0…255; about 0 (best) to 100."""
        features = self.features(grey)
        scaled = -1 + 2 * (features - self._low) / (self._high - self._low)
        distances = ((self._vectors - scaled) ** 2).sum(axis=1)
        return float(self._weights @ np.exp(-self._gamma * distances) - self._rho)

    def features(self, grey: NDArray[np.float32]) -> Numbers:
        """The 36 features: 18 at full and 18 at half size."""
        import cv2

        whole = grey.astype(np.float32) / 255
        half: NDArray[np.float32] = cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_CUBIC)
        return np.array([value for picture in (whole, half) for value in self._of_scale(picture)])

    def _of_scale(self, picture: NDArray[Any]) -> Iterator[float]:
        import cv2

        mean = cv2.GaussianBlur(picture, _WINDOW, _SIGMA, borderType=cv2.BORDER_CONSTANT)
        square = cv2.GaussianBlur(picture * picture, _WINDOW, _SIGMA, borderType=cv2.BORDER_CONSTANT)
        normal = (picture - mean) / (np.sqrt(np.abs(square - mean * mean)) + 1 / 255)
        shape, _, left, right = self._fit(normal)
        yield from (shape, (left + right) / 2)
        for product in (
            normal[:, :-1] * normal[:, 1:],
            normal[:-1] * normal[1:],
            normal[:-1, :-1] * normal[1:, 1:],
            normal[1:, :-1] * normal[:-1, 1:],
        ):
            yield from self._fit(product)

    def _fit(self, values: NDArray[np.float32]) -> tuple[float, float, float, float]:
        """Shape, mean, left and right variance of the asymmetric generalised Gaussian, by moments (Lasmar et al. 2009)."""
        from scipy.special import gamma

        flat = values.ravel()
        below = flat[flat < 0]
        above = flat[flat >= 0]
        left, right = (float(np.mean(side**2)) if len(side) else 1e-12 for side in (below, above))
        skew = np.sqrt(left / max(right, 1e-12))
        ratio = float(np.abs(flat).mean() ** 2 / max(float((flat**2).mean()), 1e-12))
        wanted = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
        shape = float(_SHAPES[int(np.argmin(np.abs(self._ratios - wanted)))])
        mean = (np.sqrt(right) - np.sqrt(left)) * gamma(2 / shape) / np.sqrt(gamma(1 / shape) * gamma(3 / shape))
        return shape, float(mean), left, right


def _support(model: Path) -> tuple[Numbers, Numbers, float, float]:
    """(weights, support vectors n×36, gamma, rho) of a libSVM text model."""
    try:
        head, _, body = model.read_text().partition("SV\n")
        settings = dict(line.split(" ", 1) for line in head.splitlines() if " " in line)
        if (settings["svm_type"], settings["kernel_type"]) != ("epsilon_svr", "rbf"):
            raise ValueError("not an epsilon-SVR with an RBF kernel")
        rows = [line.split() for line in body.splitlines() if line.strip()]
        vectors = np.array([[float(cell.partition(":")[2]) for cell in row[1:]] for row in rows])
        if vectors.shape != (len(rows), 36):
            raise ValueError("its vectors have not 36 numbers each")
        return np.array([float(row[0]) for row in rows]), vectors, float(settings["gamma"]), float(settings["rho"])
    except (ValueError, KeyError, UnicodeDecodeError) as error:
        raise WeightsError(
            f"{model.name}: not BRISQUE's support vectors: {error}", "reelbench models verify"
        ) from error


class _NumbersOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it wants {module}.{name}")


def _ranges(path: Path) -> tuple[Numbers, Numbers]:
    """Unpickled without a single class: lists of numbers, or nothing."""
    try:
        found = _NumbersOnly(io.BytesIO(path.read_bytes())).load()
        low, high = (np.array([float(value) for value in found[key]]) for key in ("min_", "max_"))
        if low.shape != (36,) or high.shape != (36,):
            raise ValueError("not 36 ranges")
    except (pickle.UnpicklingError, ValueError, KeyError, TypeError, EOFError) as error:
        raise WeightsError(f"{path.name}: not BRISQUE's ranges: {error}", "reelbench models verify") from error
    return low, high
