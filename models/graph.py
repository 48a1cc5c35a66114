"""Writing ONNX: nodes and constants in the order in which they are added."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# The oldest with LayerNormalization: ONNX Runtime from 1.12 on, and every engine that was tried.
OPSET = 17
IR_VERSION = 8


class Graph:
    """A graph in the making, or a branch of one: `weights` are the constants of the outermost."""

    def __init__(self, weights, outer=None):
        self.weights = weights
        self.nodes = []
        self.constants = {}
        self.outermost = outer or self

    def constant(self, name, value):
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def numbers(self, name, *values):
        return self.constant(name, np.array(values, np.int64))

    def weight(self, name, turned=False):
        if turned:
            return self.outermost.constant(f"{name}.turned", self.weights[name].T)
        return self.outermost.constant(name, self.weights[name])

    def node(self, kind, inputs, name, outputs=None, **attributes):
        outputs = outputs or [name]
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, **attributes))
        return outputs[0] if len(outputs) == 1 else outputs

    def linear(self, name, value):
        """A product and an offset; PyTorch stores the matrix turned."""
        product = self.node("MatMul", [value, self.weight(f"{name}.weight", turned=True)], f"{name}.product")
        return self.node("Add", [product, self.weight(f"{name}.bias")], name)

    def norm(self, name, value, epsilon):
        """Layer normalisation over the last dimension."""
        inputs = [value, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        return self.node("LayerNormalization", inputs, name, axis=-1, epsilon=epsilon)

    def proto(self, name, inputs, outputs):
        return helper.make_graph(self.nodes, name, inputs, outputs, list(self.constants.values()))

    def save(self, name, inputs, outputs, path):
        """Writes the finished model, after ONNX's own checks."""
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(self.proto(name, inputs, outputs), opset_imports=[opset], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def floats(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def integers(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)


def booleans(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.BOOL, shape)
