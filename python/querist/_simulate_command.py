"""`querist simulate`: data and models by name, then a table, perhaps a file and a picture."""

from __future__ import annotations

import argparse
import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from querist._plot import check_format
from querist._simulate import simulate
from querist._simulation import Simulation

BUNDLED = {
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}
MANY = 20  # different numbers that are no classes
# Those that depend on the scale of the features see them standardised.
MODELS = {
    "forest": RandomForestClassifier(random_state=0),
    "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "naive_bayes": GaussianNB(),
    "nearest": make_pipeline(StandardScaler(), KNeighborsClassifier()),
}


def run(arguments: argparse.Namespace) -> None:
    """Simulate as the command line says.

    Raises
    ------
    ValueError
        If the data are not what was expected, or the picture is to be of an unknown format.
    """
    if arguments.png:
        check_format(arguments.png)
    X, y = load(arguments.data, arguments.target)
    _check_classes(y)
    simulation = simulate(
        MODELS[arguments.model],
        X,
        y,
        strategies=arguments.strategies,
        seeds=arguments.seeds,
        batch_size=arguments.batch_size,
        growth=arguments.growth,
        max_labels=arguments.max_labels,
        n_jobs=arguments.jobs,
    )
    full = np.median(list(simulation.full.values()))
    print(
        f"{arguments.data}, {arguments.model}: {len(y)} rows of {len(np.unique(y))} classes, "
        f"{arguments.seeds} seeds.\nThe full data give a median test accuracy of {full:.1%}.\n"
        f"{explained(simulation)}\n\n"
        f"{simulation.table()}"
    )
    if arguments.csv:
        simulation.to_csv(arguments.csv)
        print(f"\nCurves: {arguments.csv.resolve()}")
    if arguments.png:
        simulation.plot(arguments.png, title=f"{arguments.data}, {arguments.model}")
        print(f"\nPicture: {arguments.png.resolve()}")


def _check_classes(y: NDArray[Any]) -> None:
    """Raise if these are numbers to predict, which no model here does."""
    is_text = y.dtype.kind == "U"  # as all of a CSV file: a few numbers there may be ratings
    try:
        labels = y.astype(np.float64) if is_text else y
    except ValueError:
        return
    if labels.dtype.kind == "f" and (broken := labels % 1 != 0).any():
        n = len(np.unique(labels))
        if n > MANY or not is_text:
            example = labels[broken][0]
            raise ValueError(f"target: expected classes, got {n} different numbers such as {example}")


def explained(simulation: Simulation) -> str:
    """Say what the table of a simulation shows."""
    return (
        "Labels needed to reach 95% and 99% of that, median and quartiles of the seeds;\n"
        f"saved, and seeds won, tied and lost, against {simulation.baseline}:"
    )


def load(data: str, target: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give rows and labels: bundled, of an npz file with X and y, or of a CSV file with a header."""
    path = Path(data)
    if target is not None and path.suffix != ".csv":
        raise ValueError(
            f"target: expected a CSV file with it, whose column it names, got {data!r}; leave it out"
        )
    if data in BUNDLED:
        X, y = BUNDLED[data](return_X_y=True)
        return X, y
    if path.suffix == ".npz":
        return _from_npz(path)
    if path.suffix == ".csv":
        return _from_csv(path, target)
    raise ValueError(f"data: expected one of {sorted(BUNDLED)}, a .csv or a .npz file, got {data!r}")


def _from_npz(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):  # which numpy would take for a pickle, or for one array
            raise ValueError(f"{path}: expected an archive of arrays, as of numpy.savez, got what is none")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files if name in ("X", "y")}
                names = arrays.files
        except Exception as error:  # of a damaged file; zipfile, zlib and numpy have many
            raise ValueError(f"{path}: expected an archive of arrays of numbers or text: {error}") from error
    if len(found) < 2:
        raise ValueError(f"{path}: expected arrays X and y, got {names}")
    return found["X"], found["y"]


def _from_csv(path: Path, target: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            header, *rows = list(csv.reader(file)) or [[]]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: expected CSV in UTF-8, got what is none: {error}") from error
    while rows and not any(rows[-1]):  # as editors and spreadsheets leave them
        rows.pop()
    if not header:
        raise ValueError(f"{path}, row 1: expected the names of the columns, got nothing")
    name = header[-1] if target is None else target
    if name not in header:
        raise ValueError(f"target: expected one of {header}, got {name!r}")
    at = header.index(name)
    features: list[list[float]] = []
    for number, row in enumerate(rows, 2):
        try:
            features.append([float(cell) for column, cell in enumerate(row) if column != at])
        except ValueError as error:
            raise ValueError(f"{path}, row {number}: expected numbers beside {name!r}, got {row}") from error
        if len(row) != len(header):
            raise ValueError(f"{path}, row {number}: expected {len(header)} cells, got {len(row)}")
    labels = [row[at] for row in rows]
    beside = [cell for column, cell in enumerate(header) if column != at]
    # Numbers alone do not tell a row of data: a frame without names is written under 0, 1, 2, ...
    is_counted = header == [str(column) for column in range(len(header))]
    if not is_counted and _are_numbers(beside) and (_are_numbers([name]) or name in labels):
        raise ValueError(
            f"{path}, row 1: expected the names of the columns, got {header}, which are data; put a row of "
            "names before it"
        )
    return np.array(features), np.array(labels)


def _are_numbers(cells: Sequence[str]) -> bool:
    try:
        return bool([float(cell) for cell in cells])
    except ValueError:
        return False
