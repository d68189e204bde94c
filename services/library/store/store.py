"""The object store: files by their names, at file:///FOLDER or s3://BUCKET/PREFIX."""


class Store:
    """The store. Its methods raise DependencyUnavailable while it is away. Raises Misconfigured."""

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        self._url = url
        self._endpoint_url = endpoint_url
