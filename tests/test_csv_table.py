"""Matrices as people, spreadsheets, pandas and R write them, and what is told of the others."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import games
from games import GameError
from games.readers import csv_table, labels

DATA = Path(__file__).parent / "data"
RPS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], float)
MOVES = ("rock", "paper", "scissors")


def read(text: str | bytes) -> labels.PayoffTable:
    return csv_table.read_csv(io.BytesIO(text.encode() if isinstance(text, str) else text))


def refusal(text: str | bytes) -> str:
    with pytest.raises(GameError) as error:
        read(text)
    sentence = str(error.value)
    assert sentence.isprintable() and len(sentence) < 350
    return sentence


def test_a_table_as_pandas_writes_it_keeps_its_labels():
    game = games.load(str(DATA / "labelled.csv"))
    np.testing.assert_array_equal(game.payoffs_of(0), RPS)
    assert games.action_names(game) == [["", *MOVES], ["", *MOVES]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("index", [True, False])
def test_what_pandas_writes_is_read_back(separator, decimal, header, index):
    """With a comma for both, pandas puts numbers in quotes."""
    numbers = np.array([[0.5, -1.25], [1e-3, 2.0], [3.75, 1e20]])
    frame = pd.DataFrame(numbers, index=["a", "b;1", "c"], columns=["left", "right, far"])
    text = frame.to_csv(sep=separator, decimal=decimal, header=header, index=index)
    table = read(text)
    np.testing.assert_array_equal(table.payoffs, numbers[None])
    if header or index:
        rows = ("a", "b;1", "c") if index else ("1", "2", "3")
        columns = ("left", "right, far") if header else ("1", "2")
        assert table.action_names == (rows, columns)
    else:
        assert table.action_names is None


@pytest.mark.parametrize(
    "text, rows, columns",
    [
        (",0,1\n0,1,2\n1,3,4\n", ("0", "1"), ("0", "1")),  # a frame without labels
        (",1,2\n1,1,2\n2,3,4\n", ("1", "2"), ("1", "2")),
        (",5-0,4-1\n5-0,1,2\n4-1,3,4\n", ("5-0", "4-1"), ("5-0", "4-1")),
        ("row\\column,l,r\nu,1,2\nd,3,4", ("u", "d"), ("l", "r")),
        ('"l" "r"\n"u" 1 2\n"d" 3 4', ("u", "d"), ("l", "r")),  # R's write.table
        ('"","l","r"\n"u",1,2\n"d",3,4', ("u", "d"), ("l", "r")),  # R's write.csv
        ("l,r\n1,2\n3,4", ("1", "2"), ("l", "r")),
        ("u,1,2\nd,3,4", ("u", "d"), ("1", "2")),
        (",l,l\nu,1,2\nu,3,4", ("u (1)", "u (2)"), ("l (1)", "l (2)")),
        (",\x1b[2J,r\nu,1,2\nd,3,4", ("u", "d"), (r"\x1b[2J", "r")),
    ],
)  # fmt: skip
def test_labels_are_read(text, rows, columns):
    table = read(text)
    np.testing.assert_array_equal(table.payoffs, [[[1, 2], [3, 4]]])
    assert table.action_names == (rows, columns)


@pytest.mark.parametrize(
    "text",
    [
        "0;-1;1\n1;0;-1\n-1;1;0\n",
        "0\t-1\t1\r\n\r\n1\t0\t-1\r\n-1\t1\t0",
        "0 -1  1\n1 0 -1\n-1 1 0\n",
        "\ufeff0,0;-1,0;1,0\n1;0;-1\n-1;1;0\n",
        '"0,0","-1,0","1,0"\n"1,0","0,0","-1,0"\n"-1,0","1,0","0,0"\n',
        "0, -1, 1\n1,0 ,-1\n\n  \n-1.,1e0,.0\n",
        "0\t-1\t1\n1\t0\t-1\n-1\t1\t0\n".encode("utf-16"),  # Excel's "Unicode text"
        "0,-1,1\r1,0,-1\r-1,1,0\r",
    ],
)
def test_separators_and_decimal_commas_are_recognised(text):
    table = read(text)
    np.testing.assert_array_equal(table.payoffs, RPS[None])
    assert table.action_names is None


def test_one_column_and_one_row_are_matrices_too():
    assert read("1\n2\n").payoffs.shape == (1, 2, 1)
    assert read("1,2").payoffs.shape == (1, 1, 2)
    assert read("payoff\n1\n2\n").action_names == (("1", "2"), ("payoff",))


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", "it is empty; a .csv file holds a row of numbers on each line"),
        ("\n \n", "it is empty"),
        ("1,2\n3\n", "line 2 has 1 cells, and line 1 has 2; a .csv file"),
        ("1,2\n3,4,5\n", "line 2 has 3 cells, and line 1 has 2"),
        ("a,b\n\n1,2\n3\n", "line 4 has 1 cells, and line 3 has 2"),
        (",l\n1\n", "line 1, column 1 is empty"),
        ("l\nu,1,2\nd,3,4\n", "line 2 has 3 cells, and line 1 has 1"),
        ("l\n1\t2\n", r"line 2, column 1: '1\\t2' is not a number"),
        (",l\nu,\n", "line 2, column 2 is empty"),
        (",l,r\nu,1,2\nd\ne,3,4\n", "line 3 has 1 cells, and line 2 has 3"),
        ("1,,2\n1,2,3\n", "line 1, column 2 is empty; a .csv file"),
        (",2\n3,4\n", "line 1, column 1 is empty"),
        ("a,b\n", "it has labels and no payoffs"),
        ("1,x,3\n4,5,6\n", "line 1, column 2: 'x' is not a number up to 1e.300; a .csv file"),
        ("x,2\n3,4\n", "line 1, column 1: 'x' is not a number"),
        ("1,2\nx,4\n", "its first column holds labels and numbers"),
        (",l,r\nu,1,2\nd,3,\n", "line 3, column 3 is empty"),
        (",l,r\nu,1,2\nd,3,y\n", "line 3, column 3: 'y' is not"),
        ("1,nan\n1,2\n", "line 1, column 2: 'nan' is not a number"),
        ("1,1\n1,1e999\n", "line 2, column 2: '1e999' is not a number up to"),
        ("1,1\n1,-2e300\n", "line 2, column 2: '-2e300' is not a number up to"),
        ("1,2\n3,1_000\n", "line 2, column 2: '1_000' is not"),
        ("1,2\n3,\u0661\n", "line 2, column 2: '\u0661' is not"),
        ("1,2\n3,\uff11\n", "line 2, column 2: '\uff11' is not"),
        ("1,2\n3,0x10\n", "line 2, column 2: '0x10' is not"),
        ("1,2\n3,1/2\n", "line 2, column 2: '1/2' is not"),
        ("1;2\n3;1.000,5\n", "line 2, column 2: '1.000,5' is not"),
        ("1,5;2\n3;4.5\n", "line 2, column 2: '4.5' has a decimal point, and an earlier number a"),
        ("1.5;2\n3;4,5\n", "line 2, column 2: '4,5' has a decimal comma, and an earlier number a"),
        (f'1,"{"2" * 200_000}"\n', "line 1, column 2: '\"222"),
        (f'1,2\n3,4\n5,"{"2" * 200_000}"\n', "line 3, column 2: '\"222"),
        ("1,2\n3,\x1b[2J\n", r"line 2, column 2: '\\x1b\[2J' is not"),
    ],
)
def test_what_cannot_be_read_is_named_by_line_and_column(text, complaint):
    assert re.search(complaint, refusal(text)), refusal(text)


def test_no_more_numbers_are_read_than_a_matrix_may_have(monkeypatch):
    monkeypatch.setattr(csv_table, "MAX_PAYOFFS", 10)
    assert read("1,2\n" * 5).payoffs.size == 10
    assert "more than 10 numbers" in refusal("1,2\n" * 6)
