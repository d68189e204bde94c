"""The errors of Amazon Rekognition.

Codes: https://docs.aws.amazon.com/rekognition/latest/dg/error-handling.html.
"""


class AwsError(Exception):
    """Refuses a request with AWS's code and, unless it is the caller's fault, another HTTP status than 400."""

    def __init__(self, code: str, message: str, http_status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status


def invalid_parameter() -> AwsError:
    """A parameter that fits its type and still cannot be used."""
    return AwsError("InvalidParameterException", "Request has invalid parameters")


def invalid_image_format() -> AwsError:
    """Anything but a whole JPEG or PNG."""
    return AwsError("InvalidImageFormatException", "Request has invalid image format")


def image_too_large(why: str) -> AwsError:
    """Too many bytes in S3, or too many pixels."""
    return AwsError("ImageTooLargeException", why)


def invalid_s3_object() -> AwsError:
    """An object that cannot be read; AWS does not tell why."""
    return AwsError(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
    )


def validation(why: str) -> AwsError:
    """A request that does not fit the operation's shape."""
    return AwsError("ValidationException", why)
