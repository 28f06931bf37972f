"""Write small ONNX files without the onnx package, which is an extra: the fields of its format that networks here need.

https://github.com/onnx/onnx/blob/main/onnx/onnx.proto has the numbers of the fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

_OPSET, _IR = 17, 8
_FLOAT = 1
_TYPES = {"float32": _FLOAT, "float16": 10, "int8": 3}


def model(
    name: str,
    nodes: Sequence[bytes],
    constants: Mapping[str, NDArray[Any]],
    given: tuple[str, Sequence[int]],
    answer: tuple[str, Sequence[int]],
) -> bytes:
    """A whole file: one input and one output, (name, shape) each."""
    graph = b"".join(_bytes(1, one) for one in nodes) + _text(2, name)
    graph += b"".join(_bytes(5, _tensor(called, values)) for called, values in constants.items())
    graph += _bytes(11, _value(*given)) + _bytes(12, _value(*answer))
    return _number(1, _IR) + _bytes(8, _number(2, _OPSET)) + _bytes(7, graph)


def node(kind: str, given: Sequence[str], answer: str, **attributes: int | Sequence[int]) -> bytes:
    """One operator. Its attributes are whole numbers, or several of them."""
    body = b"".join(_text(1, one) for one in given) + _text(2, answer) + _text(3, answer) + _text(4, kind)
    for name, value in attributes.items():
        if isinstance(value, int):
            body += _bytes(5, _text(1, name) + _number(3, value) + _number(20, 2))
        else:
            body += _bytes(5, _text(1, name) + b"".join(_number(8, one) for one in value) + _number(20, 7))
    return body


def _tensor(name: str, values: NDArray[Any]) -> bytes:
    sides = b"".join(_number(1, side) for side in values.shape)
    little = values.astype(values.dtype.newbyteorder("<"))
    return sides + _number(2, _TYPES[values.dtype.name]) + _text(8, name) + _bytes(9, little.tobytes())


def _value(name: str, shape: Sequence[int]) -> bytes:
    sides = b"".join(_bytes(1, _number(1, side)) for side in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, _FLOAT) + _bytes(2, sides)))


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())
