"""An endpoint that answers boto3 as Amazon Rekognition does, with faces that are really recognized."""
