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


def invalid_parameter(message: str = "Request has invalid parameters") -> AwsError:
    """A parameter that fits its type and still cannot be used."""
    return AwsError("InvalidParameterException", message)


def no_face() -> AwsError:
    """A search for a face in a picture without one."""
    return invalid_parameter("There are no faces in the image. Should be at least 1.")


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


def missing(what: str, name: str) -> AwsError:
    """There is no such collection, user, face or celebrity."""
    return AwsError("ResourceNotFoundException", f"The {what} id: {name} does not exist")


def exists(what: str, name: str) -> AwsError:
    """The collection is there already."""
    return AwsError("ResourceAlreadyExistsException", f"The {what} id: {name} already exists")


def conflict(user: str) -> AwsError:
    """The user is there already."""
    return AwsError("ConflictException", f"The user id: {user} already exists")


def quota(why: str) -> AwsError:
    """More than AWS keeps."""
    return AwsError("ServiceQuotaExceededException", why)


def bad_page() -> AwsError:
    """A NextToken that no answer gave."""
    return AwsError("InvalidPaginationTokenException", "Invalid pagination token")


def reused_token() -> AwsError:
    """A ClientRequestToken that came before, with other parameters."""
    return AwsError(
        "IdempotentParameterMismatchException",
        "The client request token was used before with other parameters.",
    )
