"""The SVM recognizer: faces, features, scaler, SVC; and the trainer of its models."""
