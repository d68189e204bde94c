"""Categories: made, listed and filled by hand."""

from marquee.library.v1 import library_pb2 as pb
from services.library.database.change import Changes
from services.library.database.database import Database


class Categories:
    """SetCategory, ListCategories, DeleteCategory and CategorizePicture."""

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    async def set(self, request: pb.SetCategoryRequest) -> pb.SetCategoryResponse:
        """Create or change a category."""
        raise NotImplementedError

    async def list(self, request: pb.ListCategoriesRequest) -> pb.ListCategoriesResponse:
        """Return a page of categories."""
        raise NotImplementedError

    async def delete(self, request: pb.DeleteCategoryRequest) -> pb.DeleteCategoryResponse:
        """Delete a category."""
        raise NotImplementedError

    async def categorize(self, request: pb.CategorizePictureRequest) -> pb.CategorizePictureResponse:
        """Put a picture into categories, or take it out."""
        raise NotImplementedError
