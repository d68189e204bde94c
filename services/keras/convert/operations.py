"""The operations of a SavedModel's graph. Needs TensorFlow's messages.

A SavedModel is a program that TensorFlow runs with its process's rights: operations read and write files, open
connections and call Python. So the converter takes those kinds only that compute, which are known by name.
"""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from services.keras.convert.model_file import ModelProblem

_SAVING = {"DisableCopyOnRead", "MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"}
_KNOWN_BY_PURPOSE = {
    "control flow, constants and variables": """
        _Arg Assert Assign AssignAddVariableOp AssignSubVariableOp AssignVariableOp Case CheckNumerics Const
        EnsureShape Enter Exit FakeParam GuaranteeConst Identity IdentityN If IsVariableInitialized LoopCond
        Merge NextIteration NoOp PartitionedCall Placeholder PlaceholderWithDefault PreventGradient
        ReadVariableOp ResourceGather ResourceGatherNd _Retval StatefulPartitionedCall StatelessCase StatelessIf
        StatelessWhile StopGradient Switch VarHandleOp Variable VariableShape VariableV2 VarIsInitializedOp
        While
    """,
    "shapes and selection": """
        BatchToSpace BatchToSpaceND Bitcast BroadcastArgs BroadcastTo Bucketize Cast Concat ConcatV2
        ConjugateTranspose DepthToSpace Diag DiagPart DynamicPartition DynamicStitch ExpandDims
        ExtractImagePatches Fill Gather GatherNd GatherV2 InvertPermutation LinSpace ListDiff LowerBound
        MatrixBandPart MatrixDiag MatrixDiagPart MatrixDiagPartV3 MatrixDiagV3 MatrixSetDiag MatrixSetDiagV3
        MirrorPad OneHot OnesLike Pack Pad PadV2 ParallelDynamicStitch Range Rank Reshape Reverse
        ReverseSequence ReverseV2 Roll ScatterNd Select SelectV2 Shape ShapeN Size Slice SpaceToBatch
        SpaceToBatchND SpaceToDepth Split SplitV Squeeze StridedSlice TensorScatterAdd TensorScatterMax
        TensorScatterMin TensorScatterSub TensorScatterUpdate TensorStridedSliceUpdate Tile Transpose Unique
        UniqueV2 Unpack UnravelIndex UpperBound Where ZerosLike
    """,
    "arithmetic": """
        Abs Acos Acosh Add AddN AddV2 Angle ApproximateEqual Asin Asinh Atan Atan2 Atanh BitwiseAnd BitwiseOr
        BitwiseXor Ceil ClipByValue Complex ComplexAbs Conj Cos Cosh Cross Digamma Div DivNoNan Equal Erf Erfc
        Erfinv Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Imag Inv Invert IsFinite IsInf IsNan
        LeftShift Less LessEqual Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul
        MulNoNan Ndtri Neg NotEqual Pow Real RealDiv Reciprocal RightShift Rint Round Rsqrt Sign Sin Sinh Sqrt
        Square SquaredDifference Sub Tan TruncateDiv TruncateMod Xdivy Xlog1py Xlogy
    """,
    "reductions and matrices": """
        All Any ArgMax ArgMin BatchMatMul BatchMatMulV2 BatchMatMulV3 Bincount Cholesky Cumprod Cumsum
        CumulativeLogsumexp DenseBincount Einsum EuclideanNorm FFT FFT2D FFT3D IFFT IFFT2D IFFT3D InTopKV2 IRFFT
        IRFFT2D L2Loss MatMul MatrixDeterminant MatrixInverse MatrixSolve MatrixTriangularSolve Max Mean Min
        NthElement Prod Qr RFFT RFFT2D SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum SegmentSumV2 Sum
        Svd TopK TopKV2 UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum
    """,
    "networks": """
        AvgPool AvgPool3D BatchNormWithGlobalNormalization BiasAdd BiasAddV1 BlockLSTM BlockLSTMV2 Conv Conv2D
        Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 DepthwiseConv2dNative
        DepthwiseConv2dNativeBackpropInput Dilation2D Elu FractionalAvgPool FractionalMaxPool FusedBatchNorm
        _FusedBatchNormEx FusedBatchNormV2 FusedBatchNormV3 _FusedConv2D _FusedMatMul FusedPadConv2D
        GRUBlockCell LeakyRelu LogSoftmax LRN LSTMBlockCell MaxPool MaxPool3D MaxPoolV2 MaxPoolWithArgmax Relu
        Relu6 Selu Sigmoid Softmax Softplus Softsign Tanh
    """,
    "quantization": """
        Dequantize FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel
        QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 QuantizeV2
    """,
    "pictures in memory": """
        AdjustContrastv2 AdjustHue AdjustSaturation CombinedNonMaxSuppression CropAndResize DecodeAndCropJpeg
        DecodeBase64 DecodeBmp DecodeGif DecodeImage DecodeJpeg DecodePng DecodeRaw EncodeBase64 HSVToRGB
        ImageProjectiveTransformV2 ImageProjectiveTransformV3 NonMaxSuppression NonMaxSuppressionV2
        NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5 ResizeArea ResizeBicubic ResizeBilinear
        ResizeNearestNeighbor RGBToHSV ScaleAndTranslate
    """,
    "text and tables in memory": """
        AnonymousHashTable AsString HashTableV2 LookupTableExportV2 LookupTableFindV2 LookupTableImportV2
        LookupTableInsertV2 LookupTableSizeV2 MutableDenseHashTableV2 MutableHashTableV2 ReduceJoin
        RegexFullMatch RegexReplace StaticRegexFullMatch StaticRegexReplace StringFormat StringJoin StringLength
        StringLower StringSplitV2 StringStrip StringToHashBucketFast StringToNumber StringUpper Substr
    """,
    "lists in memory, which loops fill": """
        EmptyTensorList TensorArrayCloseV3 TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayReadV3
        TensorArrayScatterV3 TensorArraySizeV3 TensorArraySplitV3 TensorArrayV3 TensorArrayWriteV3
        TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather TensorListGetItem
        TensorListLength TensorListPopBack TensorListPushBack TensorListReserve TensorListResize
        TensorListSetItem TensorListStack
    """,
    "random numbers, as in a dropout that is switched off": """
        Multinomial RandomStandardNormal RandomUniform RandomUniformInt RngReadAndSkip RngSkip StatefulUniform
        StatelessMultinomial StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomNormal
        StatelessRandomNormalV2 StatelessRandomUniform StatelessRandomUniformFullIntV2 StatelessRandomUniformInt
        StatelessRandomUniformIntV2 StatelessRandomUniformV2 StatelessTruncatedNormalV2 TruncatedNormal
    """,
}
_KNOWN = {operation for operations in _KNOWN_BY_PURPOSE.values() for operation in operations.split()}


def check_operations(folder: Path, allowed: Collection[str]) -> None:
    """Raise ModelProblem if what loading or serving a SavedModel runs has operations neither known nor `allowed`."""
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as exc:
        raise ModelProblem(f"{path} is damaged: {exc}.") from exc
    if not model.meta_graphs:
        raise ModelProblem(f"{path} is empty. Download or save the model again.")
    unknown = {operation for graph in model.meta_graphs for operation in _unknown(graph)} - set(allowed)
    if unknown:
        options = " ".join(f"--allow-operation {name}" for name in sorted(unknown))
        raise ModelProblem(
            f"{folder} is not known to only compute; it perhaps reads or writes files, or calls Python: "
            f"{', '.join(sorted(unknown))}. If you trust the model, add {options}."
        )


def _unknown(graph: Any) -> set[str]:
    """Return the kinds that are not known: of what saves and restores variables, and of all else that may run."""
    saver = _saver_nodes(graph)
    saving = [node for node in graph.graph_def.node if node.name in saver]
    serving = [node for node in graph.graph_def.node if node.name not in saver]
    functions = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    loaded = functions.keys() & set(graph.object_graph_def.concrete_functions)
    others = _operations([*serving, *(node for name in loaded for node in functions[name])], functions)
    return (others - _KNOWN) | (_operations(saving, functions) - _KNOWN - _SAVING)


def _operations(nodes: Iterable[Any], functions: dict[str, Any]) -> set[str]:
    """Return the kinds of the nodes, and of those in the functions that they call."""
    operations: set[str] = set()
    done: set[str] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        operations.add(node.op)
        called = {node.op, *_called(node)} & functions.keys() - done
        done |= called
        pending += [inner for name in called for inner in functions[name]]
    return operations - functions.keys()


def _saver_nodes(graph: Any) -> set[str]:
    """Return the names of the nodes with which TensorFlow saves and restores variables, and of what only they need."""
    saver = graph.saver_def
    ends = {_node(name) for name in (saver.save_tensor_name, saver.restore_op_name, saver.filename_tensor_name) if name}
    inputs = {node.name: [_node(name) for name in node.input] for node in graph.graph_def.node}
    served = {_node(info.name) for signature in graph.signature_def.values() for info in signature.outputs.values()}
    collections = (name for values in graph.collection_def.values() for name in values.node_list.value)
    return _ancestors(ends, inputs) - _ancestors({*served, *map(_node, collections)}, inputs)


def _ancestors(names: Iterable[str], inputs: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    pending = set(names)
    while pending:
        name = pending.pop()
        found.add(name)
        pending |= set(inputs.get(name, ())) - found
    return found


def _node(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _called(node: Any) -> Iterator[str]:
    for attribute in node.attr.values():
        yield from (function.name for function in (attribute.func, *attribute.list.func) if function.name)
