"""Tests of the library as installed by helm, with a database and a store that outlive its pods."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest

from helm.generate import CHART
from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.v1 import recognizer_pb2
from tests.cluster import cluster
from tests.support.processes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("release"), pytest.mark.timeout(300)]
_PICTURE = (CHART / "files" / "picture.jpg").read_bytes()


@contextmanager
def _library() -> Iterator[LibraryServiceStub]:
    with cluster.port_forward("service/marquee-library", 50051) as address, grpc.insecure_channel(address) as channel:
        yield LibraryServiceStub(channel)


def test_pictures_outlive_the_pods() -> None:
    """What was added is recognized by the gateway, and is found after every pod of the library was killed."""
    # The stand-in's data go with its pod, which other tests replace: new pods of the library bring it up to date again.
    cluster.kubectl("rollout", "restart", "deployment/marquee-library")
    cluster.wait_for_rollout("library")
    with _library() as library:
        image = recognizer_pb2.Image(content=_PICTURE)
        added = library.AddImage(pb.AddImageRequest(image=image, wait=True), timeout=60).picture
        assert added.state == pb.PICTURE_STATE_RECOGNIZED
    killed = cluster.pod_names("library")
    cluster.kubectl("delete", "pods", "--selector=app.kubernetes.io/component=library", "--force", "--grace-period=0")
    wait_until(lambda: not set(killed) & set(cluster.pod_names("library")))
    cluster.wait_for_rollout("library")
    with _library() as library:
        query = pb.PictureQuery(text="grace hopper")
        found = library.SearchPictures(pb.SearchPicturesRequest(query=query), timeout=20).pictures
        assert [each.picture_id for each in found] == [added.picture_id]
        content = library.GetPictureContent(pb.GetPictureContentRequest(picture_id=added.picture_id), timeout=20)
        assert content.content == _PICTURE


def test_the_database_is_brought_up_to_date_before_pods_serve() -> None:
    """The init container ended well in each pod, also where another pod had migrated before."""
    for pod in cluster.pods("library"):
        (migrate,) = pod["status"]["initContainerStatuses"]
        assert migrate["state"]["terminated"]["exitCode"] == 0
