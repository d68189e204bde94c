"""The whole system on one machine: launcher, pictures, stand-ins for AWS and TensorFlow Serving."""
