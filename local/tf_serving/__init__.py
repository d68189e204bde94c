"""A server that speaks TensorFlow Serving's gRPC API and runs ONNX models, so that the demo needs no TensorFlow."""
