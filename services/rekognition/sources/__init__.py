"""Sources of the Lambda function's events that want a response of their own form."""
