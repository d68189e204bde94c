"""A stand-in for DynamoDB (moto) that holds the table of spending.

usage: python bench/rekognition/table.py --port 8000

It serves one request at a time, because moto, unlike DynamoDB, checks a condition and writes in two separate steps.
"""

import argparse
import logging

import boto3
from moto.server import create_backend_app
from werkzeug.serving import make_server

TABLE = "money"


def create(url: str) -> None:
    """Create the table."""
    boto3.client("dynamodb", endpoint_url=url).create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    make_server("127.0.0.1", parser.parse_args().port, create_backend_app("dynamodb"), threaded=False).serve_forever()
