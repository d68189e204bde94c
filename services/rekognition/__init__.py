"""The Rekognition recognizer: Amazon's service behind Marquee's contract."""
