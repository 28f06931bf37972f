"""In which precision an ONNX file states its convolutions and matrix products, read without the package ``onnx``.

Only the few fields that are needed are described to protobuf; everything else in the file is skipped.
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto has the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from reelbench.errors import AnalyzerError

COMPUTE = ("Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "FusedGemm", "FusedMatMul", "LSTM", "GRU", "RNN")
"""Operators that compute in the type of their second input, which holds the weights."""
_INTEGER = ("QLinear", "QGemm", "QAttention", "ConvInteger", "MatMulInteger", "DynamicQuantize")
_INTEGER_COMPUTE = ("Conv", "MatMul", "Gemm", "Attention", "LSTM")
_TYPES = {1: "fp32", 2: "int8", 3: "int8", 10: "fp16", 11: "fp64", 16: "bf16"}
_FIELDS: Mapping[str, tuple[tuple[str, int, str], ...]] = {
    "Tensor": (("data_type", 2, "int32"), ("name", 8, "string")),
    "Attribute": (("name", 1, "string"), ("i", 3, "int64"), ("t", 5, "Tensor"), ("g", 6, "Graph")),
    "Node": (
        ("input", 1, "string*"),
        ("output", 2, "string*"),
        ("op_type", 4, "string"),
        ("attribute", 5, "Attribute*"),
    ),
    "Graph": (("node", 1, "Node*"), ("initializer", 5, "Tensor*")),
    "Model": (("graph", 7, "Graph"),),
}


def precisions(model: Path) -> Counter[str]:
    """How many convolutions and matrix products are stated in which precision: 'int8' where both inputs come from integers, else the
    type of the weights. Raises AnalyzerError for a file that is not ONNX."""
    status = model.stat()
    return Counter(_of_file(model, status.st_size, status.st_mtime_ns))


@cache
def _of_file(model: Path, size: int, changed_ns: int) -> Mapping[str, int]:
    from google.protobuf.message import DecodeError

    try:
        whole = _message().FromString(model.read_bytes())
    except DecodeError as error:
        raise AnalyzerError(f"{model.name} is no ONNX file: {error}") from error
    return Counter(_of_graph(whole.graph, {}, {}))


def _of_graph(graph: Any, types: Mapping[str, str], producers: Mapping[str, Any]) -> Iterator[str]:
    """Also of the graphs inside, which see what stands outside."""
    types = {**types, **{one.name: _TYPES.get(one.data_type, "other") for one in graph.initializer}}
    producers = {**producers, **{name: node for node in graph.node for name in node.output}}
    for node in graph.node:
        if node.op_type in COMPUTE:
            if kind := _kind(node, types, producers):
                yield kind
        elif node.op_type.startswith(_INTEGER) and any(word in node.op_type for word in _INTEGER_COMPUTE):
            yield "int8"
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _of_graph(attribute.g, types, producers)


def _kind(node: Any, types: Mapping[str, str], producers: Mapping[str, Any]) -> str:
    """'' where the file does not say."""
    if len(node.input) < 2:
        return ""
    sources = [producers[name].op_type if name in producers else "" for name in node.input[:2]]
    if sources == ["DequantizeLinear", "DequantizeLinear"]:
        return "int8"
    # Weights that are stored in INT8 and computed with in FP32 are no INT8 arithmetic.
    return "fp32" if sources[1] == "DequantizeLinear" else _type(node.input[1], types, producers)


def _type(name: str, types: Mapping[str, str], producers: Mapping[str, Any], depth: int = 0) -> str:
    """The element type of a tensor, through what only moves or casts it."""
    if name in types:
        return types[name]
    node = producers.get(name)
    if node is None or depth > 20:
        return ""
    for attribute in node.attribute:
        if node.op_type == "Constant" and attribute.name == "value":
            return _TYPES.get(attribute.t.data_type, "other")
        if node.op_type == "Cast" and attribute.name == "to":
            return _TYPES.get(attribute.i, "other")
    return _type(node.input[0], types, producers, depth + 1) if node.input else ""


@cache
def _message() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="reelbench_onnx.proto", package="reelbench_onnx", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    plain = {"int32": kinds.TYPE_INT32, "int64": kinds.TYPE_INT64, "string": kinds.TYPE_STRING}
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            added = message.field.add(name=field, number=number, label=label, type=plain.get(kind, kinds.TYPE_MESSAGE))
            if kind not in plain:
                added.type_name = f".reelbench_onnx.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("reelbench_onnx.Model"))
