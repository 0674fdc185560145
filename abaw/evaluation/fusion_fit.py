"""Weights of the members of a fusion, fitted to annotated frames: each >= 0, and together 1.

Expression and action units: the likelihood of the annotated labels is made as high as possible. Every class (of a unit:
on and off) counts alike, as in macro F1. The mean of several models is less sure than each of them, which does not
change what is most probable: a power of the weighted mean, fitted with the weights, corrects for it.
Valence and arousal: the mean concordance (CCC) of the weighted mean is made as high as possible.
Shapes: M members, T time, N kept rows, K outcomes (the classes, or off and on), U action units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from abaw.evaluation.metrics import Floats
from abaw.evaluation.multitask import ccc_of
from abaw.evaluation.sample import FrameSample
from abaw.protocol.classes import NUM_ACTION_UNITS, NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.labels import FrameLabels
from abaw.stores.predictions import Predictions

MAX_ROWS = 1 << 17
_TINY = 1e-4
"""The lowest probability: a member that is sure and wrong on a few frames is not excluded by them."""
_MAX_POWER = 10.0


class FusionEvidence:
    """What the fit keeps of the frames that all members predict: samples of bounded size, and sums per video.

    tasks: to fit; num_members: M.
    """

    def __init__(self, tasks: Sequence[str], num_members: int) -> None:
        self._tasks, self._num_members = tasks, num_members
        self._samples = {task: FrameSample(MAX_ROWS) for task in tasks if task in _ROWS}
        self._grams: list[Floats] = []
        self._folds: list[int] = []

    @property
    def stride(self) -> int:
        """One row in `stride` of the largest sample is used."""
        return max((sample.stride for sample in self._samples.values()), default=1)

    def add(self, members: Sequence[Predictions], labels: FrameLabels, fold: int) -> None:
        """Add a video. members: M of equal length; labels: for as many frames."""
        shared = np.logical_and.reduce([each.predicted for each in members])
        values = {task: np.stack([each.by_task[task][shared] for each in members], axis=1) for task in self._tasks}
        for task, sample in self._samples.items():
            rows, kinds = _ROWS[task].of(values[task], _labels_of(labels, task)[shared])
            sample.add(rows, kinds, fold)
        if "valence_arousal" in values:
            self._grams.append(gram_of(labels.valence_arousal[shared], values["valence_arousal"]))
            self._folds.append(fold)

    def fit(self, without_fold: int | None = None) -> dict[str, tuple[float, ...]]:
        """The weights of each task, from the videos outside a fold, or from all; equal where no frame is annotated."""
        return {task: tuple(self._fit(task, without_fold).tolist()) for task in self._tasks}

    def _fit(self, task: str, without_fold: int | None) -> Floats:
        if task == "valence_arousal":
            outside = np.array([fold != without_fold for fold in self._folds])
            return fit_concordance(np.stack(self._grams)[outside].sum(axis=0))
        rows, kinds, folds = self._samples[task].arrays()
        outside = folds != without_fold
        return fit_mixture(_ROWS[task].probs(rows[outside], self._num_members), kinds[outside])


def _labels_of(labels: FrameLabels, task: str) -> NDArray[np.int8]:
    return labels.expression if task == "expression" else labels.action_units


class _ExpressionRows:
    """A row per frame with all probabilities; its kind is its class."""

    def of(self, values: NDArray[np.float32], labels: NDArray[np.int8]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        """values: (T, M, C); labels: (T,)."""
        return values.reshape(len(values), -1), labels

    def probs(self, rows: NDArray[np.float16], num_members: int) -> NDArray[np.float32]:
        return rows.reshape(len(rows), num_members, NUM_EXPRESSIONS).astype(np.float32)


class _UnitRows:
    """A row per unit and frame with the probabilities of on; its kind is 2u (off) or 2u + 1 (on).

    Unit by unit, so that a sample of every n-th row has all units.
    """

    def of(self, values: NDArray[np.float32], labels: NDArray[np.int8]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        """values: (T, M, U); labels: (T, U)."""
        kinds = np.where(labels > UNLABELLED, 2 * np.arange(NUM_ACTION_UNITS) + labels, UNLABELLED)
        return values.transpose(2, 0, 1).reshape(-1, values.shape[1]), kinds.T.ravel().astype(np.int8)

    def probs(self, rows: NDArray[np.float16], num_members: int) -> NDArray[np.float32]:
        on = rows.astype(np.float32)
        return np.stack([1 - on, on], axis=-1)


_ROWS: Mapping[str, _ExpressionRows | _UnitRows] = {"expression": _ExpressionRows(), "action_units": _UnitRows()}


def fit_mixture(probs: NDArray[np.floating], kinds: NDArray[np.integer]) -> Floats:
    """Weights (M,) with the highest mean log-likelihood of the outcomes, where every kind of row counts alike.

    probs: (N, M, K), of each outcome according to each member; kinds: (N,), the outcome modulo K.
    """
    num_members, num_outcomes = probs.shape[1:]
    if not len(kinds):
        return np.full(num_members, 1 / num_members)
    counts = np.bincount(kinds)
    mixture = _Mixture(
        np.maximum(probs, _TINY).astype(np.float32),
        kinds.astype(np.int64) % num_outcomes,
        1 / (counts[kinds] * np.count_nonzero(counts)),
    )
    return _on_simplex(mixture.loss, num_members, further=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Mixture:
    """probs: (N, M, K); outcomes: (N,); shares: (N,) of each row in the mean."""

    probs: NDArray[np.float32]
    outcomes: NDArray[np.int64]
    shares: Floats

    def loss(self, parameters: Floats) -> tuple[float, Floats]:
        """Minus the mean log-likelihood, and its gradient. parameters: (M + 1,), the weights and the log of the power.

        The probability of outcome k is proportional to (mean of the members' k) ** power.
        """
        power = np.exp(parameters[-1])
        mixed = np.einsum("nmk,m->nk", self.probs, parameters[:-1].astype(np.float32)).astype(np.float64)
        mixed = np.maximum(mixed, np.finfo(np.float32).tiny)
        logs = np.log(mixed)
        normal = power * logs - logsumexp(power * logs, axis=1, keepdims=True)
        rows = np.arange(len(mixed))
        # The derivative by power * logs: model minus truth.
        error = np.exp(normal)
        error[rows, self.outcomes] -= 1
        error *= self.shares[:, None]
        of_weights = np.einsum("nk,nmk->m", (error * power / mixed).astype(np.float32), self.probs)
        of_power = float((error * logs).sum() * power)
        return -float(self.shares @ normal[rows, self.outcomes]), np.append(of_weights.astype(np.float64), of_power)


def gram_of(labels: NDArray[np.floating], predicted: NDArray[np.floating]) -> Floats:
    """Sums of products of 1, the label and the M predictions over annotated frames, (K, M + 2, M + 2), for K values.

    labels: (T, K), NaN for none; predicted: (T, M, K).
    """
    known = np.isfinite(labels)
    columns = [np.ones(labels.shape), np.where(known, labels, 0), *predicted.swapaxes(0, 1)]
    rows = np.stack(columns).astype(np.float64) * known
    sums: Floats = np.einsum("itk,jtk->kij", rows, rows)
    return sums


def fit_concordance(gram: Floats) -> Floats:
    """Weights (M,) with the highest mean CCC. gram: (K, M + 2, M + 2), from `gram_of`."""
    num_members = gram.shape[-1] - 2
    if not gram[:, 0, 0].any():
        return np.full(num_members, 1 / num_members)

    def loss(weights: Floats) -> tuple[float, Floats]:
        # The gradient by central differences: M is small, and the sums are all that an evaluation reads.
        steps = 1e-6 * np.eye(num_members)
        slopes = (_mean_ccc(gram, weights + steps) - _mean_ccc(gram, weights - steps)) / 2e-6
        return -float(_mean_ccc(gram, weights[None])[0]), -slopes

    return _on_simplex(loss, num_members)


def _mean_ccc(gram: Floats, weights: Floats) -> Floats:
    """(W,), for W rows of weights, (W, M)."""
    n, x, xx = gram[:, 0, 0], gram[:, 0, 1], gram[:, 1, 1]
    y, xy = weights @ gram[:, 0, 2:].T, weights @ gram[:, 1, 2:].T
    yy = np.einsum("wi,kij,wj->wk", weights, gram[:, 2:, 2:], weights)
    moments = np.stack([*np.broadcast_arrays(n, x, y, xx, yy, xy)], axis=-1)
    means: Floats = ccc_of(moments).mean(axis=-1)
    return means


def _on_simplex(loss: Callable[[Floats], tuple[float, Floats]], num_members: int, further: int = 0) -> Floats:
    """The weights with the lowest loss, from equal ones. loss: of the weights, with its gradient.

    further: number of parameters after the weights, from 0, each within the logarithm of the highest power.
    """
    end = float(np.log(_MAX_POWER))
    slope = np.array([1.0] * num_members + [0.0] * further)
    search: Any = minimize  # its type stubs do not know a loss that returns its gradient
    found = search(
        loss,
        np.array([1 / num_members] * num_members + [0.0] * further),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * num_members + [(-end, end)] * further,
        constraints={"type": "eq", "fun": lambda values: values @ slope - 1, "jac": lambda values: slope},
        options={"ftol": 1e-9, "maxiter": 200},
    )
    weights: Floats = np.round(np.clip(found.x[:num_members], 0, None), 6)
    total: float = weights.sum()
    return weights / total
