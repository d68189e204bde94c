"""All operations by name, over one set of detectors, people, annotations and collections."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from local.rekognition.annotations import Annotations
from local.rekognition.gallery import Gallery
from local.rekognition.operations.collections import CollectionOperations
from local.rekognition.operations.images import ImageOperations
from local.rekognition.operations.search import SearchOperations
from local.rekognition.operations.users import UserOperations
from local.rekognition.store.collections import CollectionStore, FaceStore
from local.rekognition.store.database import Database
from local.rekognition.store.index import IndexCache
from local.rekognition.store.users import UserStore
from local.rekognition.vision.loader import ImageLoader
from local.rekognition.vision.view import Vision
from local.rekognition.wire.errors import AwsError
from local.rekognition.wire.protocol import Operation
from services.runtime.storage.s3 import ObjectStore


@dataclass(frozen=True)
class Backend:
    """What the operations work with."""

    vision: Vision
    store: ObjectStore
    gallery: Gallery = field(default_factory=Gallery)
    annotations: Annotations = field(default_factory=Annotations)
    collections: Path | None = None
    """Folder in which collections are kept; None keeps them in memory."""
    region: str = "us-east-1"
    """Region in ARNs."""
    created: Sequence[str] = ()
    """Names of collections to create unless they are there."""

    @contextmanager
    def operations(self) -> Iterator[dict[str, Operation]]:
        """Yield the operations by their names in Rekognition; close the collections afterwards.

        Raises OSError and sqlite3.DatabaseError if the folder of collections cannot be used.
        """
        with closing(Database(self.collections)) as database:
            yield self._operations(database)

    def _operations(self, database: Database) -> dict[str, Operation]:
        indexes = IndexCache(database)
        collections, faces = CollectionStore(database, indexes), FaceStore(database, indexes)
        users = UserStore(database, indexes)
        for name in self.created:
            with suppress(AwsError):  # it is there
                collections.create(name)
        loader = ImageLoader(self.vision, self.store)
        return {
            **_image_operations(ImageOperations(loader, self.gallery, self.annotations)),
            **_collection_operations(CollectionOperations(loader, collections, faces, self.annotations, self.region)),
            **_search_operations(SearchOperations(loader, indexes, faces, users)),
            **_user_operations(UserOperations(indexes, faces, users)),
        }


def _image_operations(images: ImageOperations) -> dict[str, Operation]:
    return {
        "RecognizeCelebrities": images.recognize_celebrities,
        "GetCelebrityInfo": images.get_celebrity_info,
        "DetectLabels": images.detect_labels,
        "DetectFaces": images.detect_faces,
        "DetectText": images.detect_text,
        "DetectModerationLabels": images.detect_moderation_labels,
        "CompareFaces": images.compare_faces,
    }


def _collection_operations(collections: CollectionOperations) -> dict[str, Operation]:
    return {
        "CreateCollection": collections.create_collection,
        "DescribeCollection": collections.describe_collection,
        "ListCollections": collections.list_collections,
        "DeleteCollection": collections.delete_collection,
        "IndexFaces": collections.index_faces,
        "ListFaces": collections.list_faces,
        "DeleteFaces": collections.delete_faces,
    }


def _search_operations(search: SearchOperations) -> dict[str, Operation]:
    return {
        "SearchFaces": search.search_faces,
        "SearchFacesByImage": search.search_faces_by_image,
        "SearchUsers": search.search_users,
        "SearchUsersByImage": search.search_users_by_image,
    }


def _user_operations(users: UserOperations) -> dict[str, Operation]:
    return {
        "CreateUser": users.create_user,
        "DeleteUser": users.delete_user,
        "ListUsers": users.list_users,
        "AssociateFaces": users.associate_faces,
        "DisassociateFaces": users.disassociate_faces,
    }
