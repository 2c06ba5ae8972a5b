"""Selection of diverse batches in float64 numpy, the slow obvious way, to the bit."""

from __future__ import annotations

import numpy as np


def normalised(rows):
    """Scale rows to length 1 unless they are 0: by a power of 2, then by 1 / norm, each operation rounded."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled = rows * np.ldexp(1.0, 1 - np.frexp(np.where(largest > 0, largest, 1))[1])
    padded = np.pad(scaled, ((0, 0), (0, -rows.shape[1] % 8)))
    norm = np.sqrt(tree(np.cumsum(padded.reshape(len(rows), -1, 8) ** 2, axis=1)[:, -1].T))[:, None]
    return scaled * (1 / np.where(norm > 0, norm, 1))


def tree(s):
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))


def compared(rows, metric):
    """Rows as they are compared: in float64, of length 1 for the cosine, zeros to a multiple of 8 columns."""
    rows = np.array(rows, np.float64)
    if metric == "cosine":
        rows = normalised(rows)
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8)))


def squared_to(rows, row, metric):
    """Σ (x - y)² of each of the compared rows with one: 8 sums, then a tree."""
    sums = np.zeros((len(rows), 8))
    for at in range(0, rows.shape[1], 8):
        difference = rows[:, at : at + 8] - row[at : at + 8]
        sums += difference * difference
    squared = tree(sums.T)
    if metric == "cosine":
        squared[~rows.any(axis=1) | ~row.any()] = 2
    return squared


def distance(squared, metric):
    return squared / 2 if metric == "cosine" else np.sqrt(squared)


def k_center(features, k, *, labeled=None, weights=None, metric="euclidean", available=None):
    """Go over everything at each pick: `(row numbers, values)`."""
    rows = compared(features, metric)
    n = len(rows)
    can = np.ones(n, bool)
    if available is not None:
        can[:] = False
        can[available] = True
    if weights is not None:
        weights = np.asarray(weights, np.float64)
        can &= ~np.isnan(weights)
    squared = np.full(n, np.inf)
    centres = []
    if labeled is not None and np.size(labeled):
        labeled = np.asarray(labeled)
        if labeled.ndim == 1:
            can[labeled] = False
            centres = rows[labeled]
        else:
            single = np.asarray(features).dtype.itemsize < 8
            centres = compared(labeled.astype(np.float32 if single else np.float64), metric)
    for centre in centres:
        squared = np.minimum(squared, squared_to(rows, centre, metric))
    indices, values = [], []
    for _ in range(k):
        if not len(centres) and not indices:
            key = np.ones(n) if weights is None else weights
        elif weights is None:
            key = squared
        else:
            with np.errstate(invalid="ignore", over="ignore"):
                key = np.where(weights == 0, 0, weights * distance(squared, metric))
        row = int(np.argmax(np.where(can, key, -1)))
        assert can[row]
        worth = 1 if weights is None else weights[row]
        with np.errstate(over="ignore"):
            values.append(0.0 if worth == 0 else worth * distance(squared[row], metric))
        indices.append(row)
        can[row] = False
        squared = np.minimum(squared, squared_to(rows, rows[row], metric))
    return np.array(indices, np.int64), np.array(values, np.float64)


def coverage(features, picks, metric="euclidean"):
    """The nearest pick of each row, the earlier of two that are as near, and the distance to it."""
    rows = compared(features, metric)
    squared = np.array([squared_to(rows, rows[pick], metric) for pick in picks])
    place = squared.argmin(axis=0)
    return np.asarray(picks)[place], distance(squared.min(axis=0), metric)
