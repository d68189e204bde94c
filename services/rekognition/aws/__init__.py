"""Amazon Rekognition and DynamoDB as boto3 reaches them."""
