"""Rekognition's operations on what the detectors see, the gallery knows and collections hold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.rekognition.annotations import Annotations
from local.rekognition.gallery import Gallery
from local.rekognition.operations.collections import CollectionOperations
from local.rekognition.operations.pictures import PictureOperations
from local.rekognition.operations.search import SearchOperations
from local.rekognition.operations.users import UserOperations
from local.rekognition.store.collections import CollectionStore
from local.rekognition.store.database import Database
from local.rekognition.store.faces import FaceStore
from local.rekognition.store.index_cache import IndexCache
from local.rekognition.store.users import UserStore
from local.rekognition.vision.pictures import Pictures
from local.rekognition.vision.vision import Vision
from services.runtime.storage.objects import ObjectStore

Operation = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Takes checked parameters, blocks and raises AwsError."""


@dataclass(frozen=True)
class Knowledge:
    """What the operations stand on."""

    vision: Vision
    store: ObjectStore
    gallery: Gallery = field(default_factory=Gallery)
    annotations: Annotations = field(default_factory=Annotations)
    collections: Path | None = None
    """Where collections are kept; in memory where there is none."""
    region: str = "us-east-1"
    """The one in ARNs."""


def operations(known: Knowledge) -> dict[str, Operation]:
    """By their names in Rekognition. Raises OSError and sqlite3.DatabaseError where the folder cannot be used."""
    database = Database(known.collections)
    indexes = IndexCache(database)
    faces, users = FaceStore(database, indexes), UserStore(database, indexes)
    pictures = Pictures(known.vision, known.store)
    seen = PictureOperations(pictures, known.gallery, known.annotations)
    kept = CollectionOperations(
        pictures, CollectionStore(database, indexes), faces, known.annotations, region=known.region
    )
    found = SearchOperations(pictures, indexes, faces, users)
    people = UserOperations(indexes, faces, users)
    return {
        "RecognizeCelebrities": seen.recognize_celebrities,
        "GetCelebrityInfo": seen.get_celebrity_info,
        "DetectLabels": seen.detect_labels,
        "DetectFaces": seen.detect_faces,
        "DetectText": seen.detect_text,
        "DetectModerationLabels": seen.detect_moderation_labels,
        "CompareFaces": seen.compare_faces,
        "CreateCollection": kept.create_collection,
        "DescribeCollection": kept.describe_collection,
        "ListCollections": kept.list_collections,
        "DeleteCollection": kept.delete_collection,
        "IndexFaces": kept.index_faces,
        "ListFaces": kept.list_faces,
        "DeleteFaces": kept.delete_faces,
        "SearchFaces": found.search_faces,
        "SearchFacesByImage": found.search_faces_by_image,
        "SearchUsers": found.search_users,
        "SearchUsersByImage": found.search_users_by_image,
        "CreateUser": people.create_user,
        "DeleteUser": people.delete_user,
        "ListUsers": people.list_users,
        "AssociateFaces": people.associate_faces,
        "DisassociateFaces": people.disassociate_faces,
    }
