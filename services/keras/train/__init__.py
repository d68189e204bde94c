"""The command that trains Keras classifiers."""
