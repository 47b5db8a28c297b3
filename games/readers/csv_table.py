"""A matrix of payoffs as text: `.csv` files as people, spreadsheets and pandas write them.

Each line is a row of the matrix. Commas, semicolons, tabs or spaces separate the numbers. A number
may have a decimal comma if it is in quotes, or if commas do not separate. The first line and the
first column may hold labels: the names of the players' actions.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO, TextIO

import numpy as np

from games.errors import MAX_RETURN, GameError
from games.readers.labels import MAX_PAYOFFS, PayoffTable, action_names
from games.readers.tokens import QUOTED, encoding, number

_SPACES = " "
_FORMAT = (
    "a .csv file holds a row of numbers on each line, with commas, semicolons or tabs between "
    "them, and labels only in its first line and its first column"
)


def read_csv(file: BinaryIO) -> PayoffTable:
    """The row player's payoffs in a zero-sum game, `[1, rows, columns]`, and the labels of rows
    and columns as action names.

    Raises:
        GameError: it holds anything else; the sentence names line and column, counted from 1.
    """
    text = io.TextIOWrapper(file, encoding=encoding(file), errors="replace")
    try:
        return _read(text)
    finally:
        text.detach()


def _read(text: TextIO) -> PayoffTable:
    layout = _layout(list(islice(_lines(text), 2)))
    labels: list[str] = []
    try:
        matrix = np.loadtxt(
            _rows(text, layout, labels), delimiter="\t", ndmin=2, comments=None, dtype=np.float64
        )
    except ValueError:
        raise _mistake(text, layout) from None
    if matrix.size > MAX_PAYOFFS:
        raise GameError(f"it holds more than {MAX_PAYOFFS:,} numbers")
    wrong_labels = layout.index and not _are_labels(labels, layout.corner)
    tabs_in_cells = matrix.shape[1] != layout.columns
    if wrong_labels or tabs_in_cells or not np.abs(matrix).max() <= MAX_RETURN:
        raise _mistake(text, layout)
    if not (layout.header or layout.index):
        return PayoffTable(payoffs=matrix[None])
    of_columns = layout.labels or [""] * layout.columns
    return PayoffTable(
        payoffs=matrix[None], action_names=(action_names(labels), action_names(of_columns))
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Layout:
    """How a file is written.

    Attributes:
        separator: what stands between two cells.
        header: 1 if the first line holds labels, else 0.
        index: 1 if the first column holds labels, else 0.
        corner: whether the cell where labels of rows and columns meet is empty or left out. Then
            there are both.
        labels: labels of the columns, if there is a header.
        columns: the number of payoffs on a line.
    """

    separator: str
    header: int
    index: int
    corner: bool
    labels: Sequence[str]
    columns: int

    def row(self, line: str) -> tuple[str, str]:
        """A line's label ("" for none), and its other cells with tabs between them."""
        if '"' in line or self.separator == _SPACES:
            cells = _split(line, self.separator)
            return "".join(cells[: self.index]), "\t".join(cells[self.index :])
        label = ""
        if self.index:
            label, _, line = line.partition(self.separator)
        return label.strip(), line.replace(self.separator, "\t")


def _layout(beginning: Sequence[tuple[int, str]]) -> _Layout:
    """The layout of a file, from its first line and the second if there is one."""
    if not beginning:
        raise GameError(f"it is empty; {_FORMAT}")
    separator = _separator([line for _, line in beginning])
    first, *others = (_split(line, separator) for _, line in beginning)
    row = others[0] if others else first
    as_long, shorter = len(first) == len(row), len(first) == len(row) - 1
    corner = as_long and len(row) > 1 and not first[0] and _are_labels(first[1:], True)
    corner = corner or (shorter and _are_labels(first, False))
    header = corner or (as_long and _are_labels(first, False))
    if header and not others:
        raise GameError(f"it has labels and no payoffs; {_FORMAT}")
    index = corner or (bool(others) and len(row) > 1 and _is_label(row[0]))
    return _Layout(
        separator=separator,
        header=int(header),
        index=int(index),
        corner=corner,
        labels=first[len(first) - len(row) + index :] if header else (),
        columns=len(row) - index,
    )


def _separator(lines: Sequence[str]) -> str:
    """The separator of the cells. The last of the lines ends in a number."""
    for separator in ("\t", ";", ",", _SPACES):
        split = [_split(line, separator) for line in lines]
        numbers = split[-1][1:] if separator == _SPACES else split[-1][-1:]
        if min(map(len, split)) > 1 and None not in map(_number, numbers):
            return separator
    return next((mark for mark in "\t;" if mark in lines[0]), ",")


def _lines(text: TextIO) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers, counted from 1."""
    text.seek(0)
    for place, line in enumerate(text, start=1):
        if line.strip():
            yield place, line.rstrip("\n")


def _rows(text: TextIO, layout: _Layout, labels: list[str]) -> Iterator[str]:
    """Yields rows of numbers with decimal points and tabs, at most one row more than may be read.
    Their labels are appended to `labels`. Raises `ValueError` if points and commas are both used,
    or if a label has no numbers."""
    marks = set()
    most = MAX_PAYOFFS // layout.columns + 1
    for _, line in islice(_lines(text), layout.header, layout.header + most):
        label, cells = layout.row(line)
        labels.append(label)
        marks.update(mark for mark in ".," if mark in cells)
        if len(marks) > 1 or not cells.strip():  # loadtxt would leave the line out
            raise ValueError
        yield cells.replace(",", ".")


def _split(line: str, separator: str) -> list[str]:
    """The cells of a line, without spaces around them and quotes."""
    cells = line.split(None if separator == _SPACES else separator)
    if '"' in line:
        with contextlib.suppress(csv.Error):  # a cell that is too long stays as it is
            cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    return [cell.strip() for cell in cells]


def _number(cell: str) -> float | None:
    """The value of a cell, with a decimal point or a decimal comma."""
    return None if "/" in cell else number(cell.replace(",", "."))


def _is_label(cell: str) -> bool:
    """Whether a cell can only be a label: it has letters, and Python does not read it as a number
    (such as nan, or digits of another script)."""
    try:
        float(cell)
    except ValueError:
        return any(character.isalpha() for character in cell)
    return False


def _are_labels(cells: Sequence[str], corner: bool) -> bool:
    """Whether a line or a column can only be labels. If there is an empty corner, it may also count
    from 0 or 1, or hold any texts that are not numbers."""
    if not corner:
        return all(map(_is_label, cells))
    if all(cell and _number(cell) is None for cell in cells):
        return True
    return any(cells == [str(first + k) for k in range(len(cells))] for first in (0, 1))


def _mistake(text: TextIO, layout: _Layout) -> GameError:
    """The first mistake in a file, with its line and column."""
    width, first, mark = None, 0, ""
    for place, line in islice(_lines(text), layout.header, None):
        cells = _split(line, layout.separator)
        if width is None:
            width, first = len(cells), place
        if len(cells) != width:
            return GameError(
                f"line {place} has {len(cells)} cells, and line {first} has {width}; {_FORMAT}"
            )
        for column, cell in enumerate(cells[layout.index :], start=layout.index + 1):
            at = f"line {place}, column {column}"
            if not cell:
                return GameError(f"{at} is empty; {_FORMAT}")
            if _number(cell) is None:
                return GameError(
                    f"{at}: {cell[:QUOTED]!r} is not a number up to {MAX_RETURN:g}; {_FORMAT}"
                )
            own = next((sign for sign in ".," if sign in cell), mark)
            if own != (mark or own):
                return GameError(
                    f"{at}: {cell[:QUOTED]!r} has a decimal {_MARKS[own]}, and an earlier number "
                    f"a decimal {_MARKS[mark]}"
                )
            mark = own
    return GameError(f"its first column holds labels and numbers; {_FORMAT}")


_MARKS = {".": "point", ",": "comma"}
