"""The errors of Amazon Rekognition.

Codes: https://docs.aws.amazon.com/rekognition/latest/dg/error-handling.html.
"""


class AwsError(Exception):
    """An error with AWS's code; HTTP status 400 unless the server is at fault."""

    def __init__(self, code: str, message: str, http_status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status


def invalid_parameter(message: str = "Request has invalid parameters") -> AwsError:
    """Refuse a parameter that fits its type but cannot be used."""
    return AwsError("InvalidParameterException", message)


def no_face() -> AwsError:
    """Refuse a picture without a face if one is required."""
    return invalid_parameter("There are no faces in the image. Should be at least 1.")


def invalid_image_format() -> AwsError:
    """Refuse anything but a complete JPEG or PNG."""
    return AwsError("InvalidImageFormatException", "Request has invalid image format")


def image_too_large(message: str) -> AwsError:
    """Refuse an S3 object of too many bytes, or a picture of too many pixels."""
    return AwsError("ImageTooLargeException", message)


def invalid_s3_object(reason: str) -> AwsError:
    """Refuse an object that cannot be read. AWS does not say why; this endpoint does, after AWS's own words."""
    return AwsError(
        "InvalidS3ObjectException",
        f"Unable to get object metadata from S3. Check object key, region and/or access permissions. ({reason})",
    )


def validation(message: str) -> AwsError:
    """Refuse a request that does not fit the operation's shape."""
    return AwsError("ValidationException", message)


def missing(kind: str, name: str) -> AwsError:
    """Report that a collection, user, face or celebrity does not exist."""
    return AwsError("ResourceNotFoundException", f"The {kind} id: {name} does not exist")


def collection_exists(name: str) -> AwsError:
    """Report that the collection already exists."""
    return AwsError("ResourceAlreadyExistsException", f"The collection id: {name} already exists")


def user_exists(name: str) -> AwsError:
    """Report that the user already exists."""
    return AwsError("ConflictException", f"The user id: {name} already exists")


def quota(message: str) -> AwsError:
    """Report that one of AWS's quotas is exceeded."""
    return AwsError("ServiceQuotaExceededException", message)


def bad_page() -> AwsError:
    """Refuse a NextToken that no response contained."""
    return AwsError("InvalidPaginationTokenException", "Invalid pagination token")


def reused_token() -> AwsError:
    """Refuse a ClientRequestToken that was used before with other parameters."""
    return AwsError(
        "IdempotentParameterMismatchException",
        "The client request token was used before with other parameters.",
    )
