"""The DynamoDB table that replicas share."""
