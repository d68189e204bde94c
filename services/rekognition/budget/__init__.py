"""The money that Rekognition costs."""
