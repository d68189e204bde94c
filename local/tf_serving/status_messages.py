"""ModelService's messages, and the service's own description.

The package tensorflow-protobuf 2.11 has the messages but lacks two files that they or the service need:
`tensorflow/tsl/protobuf/error_codes.proto`, whose enum has the names and numbers of google.rpc.Code and is
made from it here, and those behind HandleReloadConfigRequest, which is therefore left out.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import code_pb2

SERVICE = "tensorflow.serving.ModelService"
_CODES_MODULE = "tensorflow.tsl.protobuf.error_codes_pb2"


def _provide_error_codes() -> None:
    file = FileDescriptorProto(
        name="tensorflow/tsl/protobuf/error_codes.proto", package="tensorflow.error", syntax="proto3"
    )
    enum = file.enum_type.add(name="Code")
    for name, number in code_pb2.Code.items():
        enum.value.add(name=name, number=number)
    _register(file)
    for name in ("tensorflow.tsl", "tensorflow.tsl.protobuf", _CODES_MODULE):
        sys.modules[name] = ModuleType(name)


def _describe_service(messages: Any) -> None:
    file = FileDescriptorProto(
        name="tensorflow_serving/apis/model_service.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[messages.DESCRIPTOR.name],
    )
    file.service.add(name="ModelService").method.add(
        name="GetModelStatus",
        input_type=f".{messages.GetModelStatusRequest.DESCRIPTOR.full_name}",
        output_type=f".{messages.GetModelStatusResponse.DESCRIPTOR.full_name}",
    )
    _register(file)


def _register(file: FileDescriptorProto) -> None:
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


if not find_spec("tensorflow.python"):  # TensorFlow itself brings the file
    _provide_error_codes()
get_model_status_pb2 = import_module("tensorflow_serving.apis.get_model_status_pb2")
_describe_service(get_model_status_pb2)
