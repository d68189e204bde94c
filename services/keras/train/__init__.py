"""The trainer of Keras classifiers."""
