"""The messages of the files that `--model_config_file` and `--batching_parameters_file` name.

No package without TensorFlow carries them. Names and numbers: tensorflow_serving/config/model_server_config.proto,
config/file_system_storage_path_source.proto and servables/tensorflow/session_bundle_config.proto, of which fields
that nothing here reads are left out: a file that sets one is refused by name.
"""

from google.protobuf import descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto

_PACKAGE = "tensorflow.serving"
_FILE = """
name: "tensorflow_serving/local_config.proto" package: "tensorflow.serving" syntax: "proto3"
dependency: "google/protobuf/wrappers.proto"
message_type {
  name: "ServableVersionPolicy"
  nested_type {
    name: "Latest"
    field { name: "num_versions" number: 1 type: TYPE_UINT32 label: LABEL_OPTIONAL }
  }
  nested_type { name: "All" }
  nested_type { name: "Specific" field { name: "versions" number: 1 type: TYPE_INT64 label: LABEL_REPEATED } }
  oneof_decl { name: "policy_choice" }
  field { name: "latest" number: 100 type: TYPE_MESSAGE label: LABEL_OPTIONAL oneof_index: 0
          type_name: ".tensorflow.serving.ServableVersionPolicy.Latest" }
  field { name: "all" number: 101 type: TYPE_MESSAGE label: LABEL_OPTIONAL oneof_index: 0
          type_name: ".tensorflow.serving.ServableVersionPolicy.All" }
  field { name: "specific" number: 102 type: TYPE_MESSAGE label: LABEL_OPTIONAL oneof_index: 0
          type_name: ".tensorflow.serving.ServableVersionPolicy.Specific" }
}
message_type {
  name: "ModelConfig"
  nested_type {
    name: "VersionLabelsEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL }
  }
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "base_path" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "model_platform" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "model_version_policy" number: 7 type: TYPE_MESSAGE label: LABEL_OPTIONAL
          type_name: ".tensorflow.serving.ServableVersionPolicy" }
  field { name: "version_labels" number: 8 type: TYPE_MESSAGE label: LABEL_REPEATED
          type_name: ".tensorflow.serving.ModelConfig.VersionLabelsEntry" }
}
message_type {
  name: "ModelConfigList"
  field { name: "config" number: 1 type: TYPE_MESSAGE label: LABEL_REPEATED
          type_name: ".tensorflow.serving.ModelConfig" }
}
message_type {
  name: "ModelServerConfig"
  field { name: "model_config_list" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
          type_name: ".tensorflow.serving.ModelConfigList" }
}
message_type {
  name: "BatchingParameters"
  field { name: "max_batch_size" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
          type_name: ".google.protobuf.Int64Value" }
  field { name: "batch_timeout_micros" number: 2 type: TYPE_MESSAGE label: LABEL_OPTIONAL
          type_name: ".google.protobuf.Int64Value" }
  field { name: "max_enqueued_batches" number: 3 type: TYPE_MESSAGE label: LABEL_OPTIONAL
          type_name: ".google.protobuf.Int64Value" }
  field { name: "num_batch_threads" number: 4 type: TYPE_MESSAGE label: LABEL_OPTIONAL
          type_name: ".google.protobuf.Int64Value" }
  field { name: "thread_pool_name" number: 5 type: TYPE_MESSAGE label: LABEL_OPTIONAL
          type_name: ".google.protobuf.StringValue" }
  field { name: "allowed_batch_sizes" number: 6 type: TYPE_INT64 label: LABEL_REPEATED }
  field { name: "pad_variable_length_inputs" number: 7 type: TYPE_BOOL label: LABEL_OPTIONAL }
}
"""

_pool = descriptor_pool.DescriptorPool()  # apart from what a real tensorflow-serving-api may register
_pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
_pool.Add(text_format.Parse(_FILE, FileDescriptorProto()))
ModelServerConfig = message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.ModelServerConfig"))
BatchingParameters = message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.BatchingParameters"))
