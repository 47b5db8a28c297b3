"""Hypothesis strategies for files as a stranger, a bad disk or a bad program may leave them.

Each takes the bytes of a sound file and draws those of another. What stands behind a checksum is
also changed with the checksum made right again: otherwise nothing after it would ever be tried.
"""

from __future__ import annotations

import io
import json
import re
import stat
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

Draw = Any
"""The function that `st.composite` passes."""

NUMBERS = (
    0, 1, -1, 2, 3, 7, 255, 2**31, 2**32 - 1, 2**53, 2**53 + 1, 2**63, 2**64, -(2**63), 10**400,
    0.5, -0.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
TEXTS = (
    "", " ", "x", "0", "nash", "last_k", "ppo", "kuhn_poker", "kuhn_poker(players=3)",
    "kuhn_poker(players=-1)", "kuhn_poker(players=99999999999999999999)", "leduc_poker",
    "matrix_rps", "kuhn_poker(", "no game", "game.csv", "/etc/passwd", "../../game.csv", "a.npy",
    "qre(temperature=1e999)", "last_k(k=99999999999)", "hierarchy", "rectified", "conditional",
    "gru", "bfloat16", "previous", "mgce", "alpha_rank_single", "efg_game(filename=/etc/passwd)",
    "\x00", "\x1b[2J", "\n\n", "\ud800", "\u202e", "\ufeff", "é" * 40, "a" * 20_000, "9" * 5_000,
)  # fmt: skip
RAW_JSON = (
    "9" * 5_000, "-", "1e999999", "NaN", "[" * 100_000, "[" * 990 + "]" * 990,
    '{"a":' * 50_000, '"\\ud800"', '"\\', "0x10", "01", '"' + "x" * 2_000_000 + '"', "\x00",
)  # fmt: skip
"""What stands in a JSON file where a value should, and what `json.dumps` would not write."""
_PLACE = "<a value>"

scalars = st.one_of(
    st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.integers(),
    st.floats(), st.text(max_size=12),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def _paths(value: Any, path: tuple = ()) -> list[tuple]:
    """The keys on the way to every value within a JSON value; not the whole."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, each in inner:
        found.append((*path, key))
        if isinstance(each, dict | list):
            found += _paths(each, (*path, key))
    return found


@st.composite
def json_value(draw: Draw, original: Any) -> Any:
    """A JSON value, some of whose parts are others, missing, moved, or more."""
    whole = [json.loads(json.dumps(original))]  # in a list, so that all of it can be replaced too
    for _ in range(draw(st.integers(1, 3))):
        paths = _paths(whole)
        *above, last = draw(st.sampled_from(paths))
        owner = whole
        for key in above:
            owner = owner[key]
        change = draw(st.sampled_from(["replace", "replace", "remove", "add", "move", "repeat"]))
        if change == "replace":
            owner[last] = draw(values)
        elif change == "remove" and owner is not whole:
            del owner[last]
        elif change == "add" and isinstance(owner, dict):
            owner[draw(st.sampled_from(TEXTS))] = draw(values)
        elif change == "repeat" and isinstance(owner, list) and owner is not whole:
            owner.insert(draw(st.integers(0, len(owner))), owner[last])
        else:
            *other, end = draw(st.sampled_from(paths))
            source = whole
            for key in other:
                source = source[key]
            owner[last] = json.loads(json.dumps(source[end]))
    return whole[0]


@st.composite
def json_bytes(draw: Draw, original: bytes) -> bytes:
    """A JSON file: other values, or what is no JSON, or in another encoding."""
    value = json.loads(original)
    change = draw(st.sampled_from(["value"] * 6 + ["raw", "raw", "encoding", "bytes"]))
    if change == "value":
        return json.dumps(draw(json_value(value))).encode()
    if change == "raw":
        *above, last = draw(st.sampled_from(_paths(value)))
        owner = value
        for key in above:
            owner = owner[key]
        owner[last] = _PLACE
        raw = draw(st.sampled_from(RAW_JSON))
        return json.dumps(value).replace(json.dumps(_PLACE), raw, 1).encode("utf-8", "replace")
    if change == "encoding":
        text, encoding = original.decode(), draw(st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
        return text.encode(encoding)
    return draw(spoilt(original))


@st.composite
def spoilt(draw: Draw, original: bytes, other: bytes = b"PK\x03\x04") -> bytes:
    """Bytes cut off, flipped, put in, left out, repeated, overwritten, or spliced with `other`."""
    content = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        size = len(content)
        at = draw(st.integers(0, size))
        length = draw(st.sampled_from([1, 2, 4, 8, 64, 4096]))
        change = draw(st.sampled_from(
            ["flip", "flip", "cut", "put", "drop", "again", "number", "splice", "empty", "mark"]
        ))  # fmt: skip
        if change == "flip" and at < size:
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "cut":
            del content[at:]
        elif change == "put":
            content[at:at] = draw(st.binary(max_size=16))
        elif change == "drop":
            del content[at : at + length]
        elif change == "again":
            content[at:at] = content[at : at + length]
        elif change == "number":
            number = draw(
                st.sampled_from([0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63, 2**64 - 1])
            )
            content[at : at + length] = (number % 2 ** (8 * length)).to_bytes(length, "little")
        elif change == "splice":
            content[at:] = other[draw(st.integers(0, len(other))) :]
        elif change == "empty" and draw(st.booleans()):
            content = bytearray()
        elif change == "mark":
            content[0:0] = b"\xef\xbb\xbf"
    return bytes(content)


# safetensors

_FILLS = (float("nan"), float("inf"), -float("inf"), 0, -1, 1e-320, 1e308, -1e308, 0.1)
_NAMES = (
    "", "/", "a/b", "x" * 300, "meta_strategy/joint", "evaluation/0", "payoffs", "\x1b[2J",
)  # fmt: skip
_DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "C64", "X", "")


def safetensors_parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the data of a sound file."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


@st.composite
def safetensors_bytes(draw: Draw, original: bytes, other: bytes) -> bytes:
    """A safetensors file whose header, or whose bytes, are wrong; nothing is signed again."""
    change = draw(st.sampled_from(["tensor", "tensor", "header", "twice", "length", "bytes"]))
    if change == "bytes":
        return draw(spoilt(original, other))
    header, data = safetensors_parts(original)
    names = [name for name in header if name != "__metadata__"]
    if change == "tensor":
        entry = header[draw(st.sampled_from(names))]
        part = draw(st.sampled_from(["dtype", "shape", "data_offsets"]))
        sizes = st.lists(
            st.sampled_from([0, 1, 2, 3, 2**31, 2**32, 2**62, 2**64 - 1, -1]), max_size=5
        )
        entry[part] = draw(
            st.sampled_from(_DTYPES) if part == "dtype" else st.one_of(sizes, values)
        )
    elif change == "header":
        header = draw(json_value(header))
    text = json.dumps(header)
    if change == "twice":  # one name, two arrays
        name = draw(st.sampled_from(names))
        text = f"{text[:-1]}, {json.dumps(name)}: {json.dumps(header[names[0]])}}}"
    encoded = text.encode("utf-8", "replace")
    size = len(encoded)
    if change == "length":
        size = draw(st.sampled_from([0, 1, size - 1, size + 1, 2**31, 2**40, 2**63, 2**64 - 1]))
    return size.to_bytes(8, "little") + encoded + data


@st.composite
def tensors(
    draw: Draw, original: Mapping[str, np.ndarray], info: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and info to be signed: of other types, shapes or names, not finite, too many."""
    arrays, changed = dict(original), dict(info)
    for _ in range(draw(st.integers(1, 2))):
        change = draw(
            st.sampled_from(["info", "info", "fill", "fill", "type", "shape", "name", "gone"])
        )
        if change == "info":
            drawn = draw(json_value(changed))
            changed = drawn if isinstance(drawn, dict) else {"records": drawn}
        if change == "info" or not arrays:
            continue
        name = draw(st.sampled_from(sorted(arrays)))
        array = np.array(arrays[name])
        if change == "fill" and array.size:
            with np.errstate(all="ignore"):
                number = np.float64(draw(st.sampled_from(_FILLS))).astype(array.dtype)
            if draw(st.booleans()):
                array.reshape(-1)[draw(st.integers(0, array.size - 1))] = number
            else:
                array[...] = number
            arrays[name] = array
        elif change == "type":
            kind = draw(st.sampled_from(["f2", "f4", "f8", "i1", "i8", "u8", "?"]))
            with np.errstate(all="ignore"):
                arrays[name] = np.nan_to_num(array).astype(kind)
        elif change == "shape":
            arrays[name] = draw(st.sampled_from([
                array[None], np.atleast_1d(array)[:0], array.reshape(-1), array[..., None],
                np.zeros(0, array.dtype), np.zeros((0, 0, 0), array.dtype),
                np.array(1, array.dtype),
                np.concatenate([array, array]) if array.ndim else array,
                np.zeros((2,) * 12, array.dtype),
            ]))  # fmt: skip
        elif change == "name":
            arrays[draw(st.sampled_from([*_NAMES, f"{name}/x"]))] = array
        elif change == "gone":
            del arrays[name]
    return arrays, changed


# Archives

_FIELDS = {  # of an entry of an archive's table: where, and how wide
    "made by": (4, 2), "needed": (6, 2), "flags": (8, 2), "method": (10, 2), "CRC": (16, 4),
    "stored": (20, 4), "size": (24, 4), "name": (28, 2), "extra": (30, 2), "comment": (32, 2),
    "disk": (34, 2), "mode": (38, 4), "offset": (42, 4),
}  # fmt: skip
_KINDS = (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR, stat.S_IFSOCK)


@st.composite
def archive_bytes(draw: Draw, members: Mapping[str, bytes], other: bytes, outside: str) -> bytes:
    """An archive of some members and of others, with a table that lies; `outside` is the absolute
    name of a file that must not come to be."""
    contents = list(members.items())
    bomb = draw(st.integers(0, 9)) == 0
    names = (
        "../evil", "policies/../../evil", "policies/../config.json", "./config.json", outside,
        "/evil", "..\\evil", "C:\\evil", "policies/", "policies/9999.safetensors", "game.csv",
        "game.efg", "config.json", "config.json\x00.png", "CONFIG.JSON", ".lock", "", "~/evil",
        "policies/0000.safetensors/x", "é", "x" * 3_000, "row.npy", "payoffs.npy",
    )  # fmt: skip
    for _ in range(draw(st.integers(0, 2))):
        change = draw(st.sampled_from(["more", "more", "gone", "again", "spoilt", "rename"]))
        place = draw(st.integers(0, max(0, len(contents) - 1)))
        if change == "more" or not contents:
            contents.insert(place, (draw(st.sampled_from(names)), draw(st.binary(max_size=20))))
        elif change == "gone":
            del contents[place]
        elif change == "again":
            contents.append(contents[place])
        elif change == "rename":
            contents[place] = (draw(st.sampled_from(names)), contents[place][1])
        else:
            contents[place] = (contents[place][0], draw(spoilt(contents[place][1], other)))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in contents:
            member = zipfile.ZipInfo(name)
            member.create_system, member.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            if draw(st.integers(0, 15)) == 0:
                member.external_attr = (draw(st.sampled_from(_KINDS)) | 0o777) << 16
            if bomb:
                member.compress_type = draw(
                    st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
                )
                content += bytes(draw(st.sampled_from([0, 1 << 16, 1 << 24])))
            archive.writestr(member, content)
    whole = bytearray(made.getvalue())
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        _lie(draw, whole)
    tail = draw(st.sampled_from(["none"] * 6 + ["before", "after", "comment", "64", "bytes"]))
    if tail == "before":
        whole[0:0] = draw(st.binary(min_size=1, max_size=30))
    elif tail == "after":
        whole += draw(st.binary(min_size=1, max_size=30))
    elif tail == "comment":
        whole[-2:] = b"\x03\x00"
        whole += b"abc"
    elif tail == "64":
        whole[-22:-22] = b"PK\x06\x07" + bytes(16)
    elif tail == "bytes":
        whole[:] = draw(spoilt(bytes(whole), other))
    return bytes(whole)


def _lie(draw: Draw, whole: bytearray) -> None:
    """Overwrites a number of the table, of a member's own header, or of the end."""
    wide = st.sampled_from([0, 1, 2, 8, 12, 0x10, 0x800, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
    entries = [m.start() for m in re.finditer(b"PK\x01\x02", whole)]
    headers = [m.start() for m in re.finditer(b"PK\x03\x04", whole)]
    what = draw(st.sampled_from(["table", "table", "table", "header", "end"]))
    if what == "table" and entries:
        at, width = _FIELDS[draw(st.sampled_from(sorted(_FIELDS)))]
        at += draw(st.sampled_from(entries))
    elif what == "header" and headers:
        at = draw(st.sampled_from(headers)) + draw(st.sampled_from([4, 6, 8, 14, 18, 22, 26, 28]))
        width = draw(st.sampled_from([2, 4]))
    else:
        at, width = len(whole) - 22 + draw(st.sampled_from([4, 6, 8, 10, 12, 16, 20])), 2
    whole[at : at + width] = (draw(wide) % 2 ** (8 * width)).to_bytes(width, "little")


# Game files

_TOKENS = re.compile(rb'"[^"]*"|[{}]|[^\s{}"]+|\s+')
_WORDS = (
    b'""', b'"', b"{", b"}", b"0", b"1", b"2", b"-1", b"1/0", b"1/3", b"nan", b"inf", b"1e400",
    b"1e308", b"-1e308", b"999999999", b"99999999999999999999", b"p", b"c", b"t", b"NFG", b"EFG",
    b"R", b"D", b",", b"\x00", b"\xff\xfe", b'"\\"', b"{ " * 5_000, b'"a" ' * 3_000, b"9" * 5_000,
    b"1_000", "٣".encode(), b"0x1", b"1/1e-320",
)  # fmt: skip


@st.composite
def words(draw: Draw, original: bytes, other: bytes) -> bytes:
    """A file of words and brackets, some of them others, missing, repeated or exchanged."""
    if draw(st.integers(0, 3)) == 0:
        return draw(spoilt(original, other))
    tokens = _TOKENS.findall(original)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(tokens) - 1)))
        change = draw(st.sampled_from(["other", "other", "put", "drop", "again", "exchange"]))
        if change == "other" and tokens:
            tokens[at] = draw(st.sampled_from(_WORDS))
        elif change == "drop":
            del tokens[at : at + draw(st.integers(1, 5))]
        elif change == "again":
            tokens[at:at] = tokens[at : at + 20] * draw(st.integers(1, 20))
        elif change == "exchange" and tokens:
            with_ = draw(st.integers(0, len(tokens) - 1))
            tokens[at], tokens[with_] = tokens[with_], tokens[at]
        else:
            tokens.insert(at, b" " + draw(st.sampled_from(_WORDS)) + b" ")
    return b"".join(tokens)


_CELLS = (
    b"", b" ", b"nan", b"inf", b"-inf", b"1e400", b"1e308", b"x", b'"', b'"1"', b"#", b"1,2", b"\n",
    b"\r", b"\x00", b"\xff", b"0x1p3", b"1j", b"True", b"1_0", "٣".encode(), b"9" * 5_000,
    b"," * 10_000, b"\n" * 10_000, b"-", b"1e-400", b"nash", b"cce", b"ce", b"exploitability",
)  # fmt: skip


@st.composite
def table(draw: Draw, original: bytes, other: bytes) -> bytes:
    """A file of lines and commas."""
    if draw(st.integers(0, 3)) == 0:
        return draw(spoilt(original, other))
    rows = [line.split(b",") for line in original.splitlines()]
    for _ in range(draw(st.integers(1, 4))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
        change = draw(st.sampled_from(["cell", "cell", "cell", "drop", "more", "rows", "fewer"]))
        at = draw(st.integers(0, max(0, len(row) - 1)))
        if change == "cell" and row:
            row[at] = draw(st.sampled_from(_CELLS))
        elif change == "drop":
            del row[at : at + 1]
        elif change == "more":
            row.insert(at, draw(st.sampled_from(_CELLS)))
        elif change == "rows":
            rows += [list(row) for _ in range(draw(st.integers(1, 50)))]
        elif len(rows) > 1:
            rows.remove(row)
    return b"\n".join(b",".join(row) for row in rows) + b"\n"


_SHAPES = (
    "(2, -1)", "(-2, -3)", "(-1,)", "()", "(0, 2)", "(2**9, 2)", "(3, 3)", "(True, 9)", "(2, 3.0)",
    "(1000000000, 1000000000)", "(99999999999999999999, 1)", "(1, 1, 1, 1, 9)", "('a', 3)",
    "[3, 3]",
    "3", "None", "(" * 400 + ")" * 400, "(3, 3" + ", 1" * 70 + ")", "(1,) * 99", "{3: 3}", "(9, 1)",
)  # fmt: skip
_DESCRS = (
    "'<f8'", "'>f8'", "'<f4'", "'<f2'", "'<i8'", "'|u1'", "'|b1'", "'|O'", "'<U9'", "'|S72'",
    "'<c16'",
    "'<M8[s]'", "'<f16'", "'|V8'", "[('a', '<f8')]", "[('a', '<f8', (99999,))]", "'f'", "''",
    "None", "3", "'<f8,<f8'", "('<f8', (2,))", "'O' * 9", "[" * 300 + "]" * 300, "('|V0', 9)",
)  # fmt: skip


@st.composite
def npy(draw: Draw, original: bytes, other: bytes) -> bytes:
    """A file in NumPy's format with another header, or other numbers."""
    if draw(st.integers(0, 3)) == 0:
        return draw(spoilt(original, other))
    size = int.from_bytes(original[8:10], "little")
    shape = re.search(rb"'shape': (\([^)]*\))", original[10 : 10 + size])[1].decode()
    data = original[10 + size :]
    descr, order = "'<f8'", "False"
    for _ in range(draw(st.integers(1, 2))):
        change = draw(st.sampled_from(["shape", "shape", "descr", "order", "data", "fill"]))
        if change == "shape":
            shape = draw(st.sampled_from(_SHAPES))
        elif change == "descr":
            descr = draw(st.sampled_from(_DESCRS))
        elif change == "order":
            order = draw(st.sampled_from(["True", "1", "None", "'C'", "[]"]))
        elif change == "data":
            data = draw(spoilt(data, other))
        else:
            number = draw(st.sampled_from([0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf")]))
            data = struct.pack("<d", number) * (len(data) // 8)
    key = draw(st.sampled_from(["'shape'"] * 9 + ["'shap'", "3", "'x': 3, 'shape'", "b'shape'"]))
    text = f"{{'descr': {descr}, 'fortran_order': {order}, {key}: {shape}, }}"
    text = draw(st.sampled_from([text] * 12 + [
        "", "{", "[]", "3", "-" * 9_000 + "1", "(" * 3_000, "{" * 200, text + "\x00", "é" + text,
        "\n" * 12_000, "lambda: 0", "{**{}}", "{[]: 3}", "{1: 2, 'a': 3}", "9" * 5_000,
    ]))  # fmt: skip
    header = text.encode("utf-8") + b"\n"
    version = draw(st.sampled_from([(1, 0)] * 5 + [(2, 0), (3, 0), (4, 0), (0, 0), (1, 1)]))
    width = 2 if version < (2, 0) else 4
    return b"\x93NUMPY" + bytes(version) + len(header).to_bytes(width, "little") + header + data
