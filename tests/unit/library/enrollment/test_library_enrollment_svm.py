"""Enrollment into a real recognizer, which names the person from then on."""

from contextlib import AsyncExitStack
from pathlib import Path

import grpc

from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from services.runtime.leaf.leaf import Leaf
from services.svm.gallery.enroller import SvmEnroller
from services.svm.recognizer import SvmRecognizer
from services.svm.settings import SvmSettings
from tests.support.galleries import Enrolled, Gallery, enrolled
from tests.support.library import added, ended, library_server, run_sql
from tests.support.pictures import demo, jpeg
from tests.support.servers import gateway, served, until
from tests.support.svm_enrollment import COLLINS, portrait, write_model


async def test_one_of_two_is_enrolled_and_recognized(database_url: str, tmp_path: Path) -> None:
    """A face of a picture with two people is enrolled alone; a new picture shows the person of the library."""
    settings = SvmSettings(
        svm_model=str(write_model(tmp_path)), svm_gallery=str(tmp_path / "gallery.npz"), svm_gallery_poll_seconds=0.05
    )
    recognizer = SvmRecognizer(settings)
    async with AsyncExitStack() as stack:
        svm = await stack.enter_async_context(served(Leaf(recognizer, settings, SvmEnroller(recognizer))))
        front = await stack.enter_async_context(gateway({"svm": svm}))
        address = await stack.enter_async_context(library_server(database_url, tmp_path / "store", front))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        own = Enrolled(LibraryServiceStub(channel), PeopleServiceStub(channel), address)
        both = await ended(own.library, (await added(own.library, demo()["both"])).picture_id)
        left, _ = sorted(both.faces, key=lambda one: one.verdict.box.left)
        person_id = await own.person("Eileen Collins", left.face_id)
        response = await own.enroll(person_id)
        assert [one.state for one in response.enrollments] == [pb.FACE_ENROLLMENT_STATE_ENROLLED], response
        alone = await ended(own.library, (await added(own.library, jpeg(portrait(COLLINS)))).picture_id)
        assert [(one.person_id, one.display_name) for one in alone.faces] == [(person_id, "Eileen Collins")]


async def test_what_a_kill_left_is_finished(database_url: str, tmp_path: Path) -> None:
    """A call that ends before its recognizer has answered leaves a row by which another replica enrolls the face."""
    gallery = Gallery("one")
    async with enrolled(database_url, tmp_path / "store", gallery) as own:
        ((ada, _),) = await own.faces(1)
        await own.enroll(await own.person("Ada", ada))
        await run_sql(database_url, "UPDATE enrollment SET state = 4, external_face_id = '', next_attempt_time = now()")
        await until(lambda: len(gallery.pictures) == 2)
        assert gallery.faces_by_name == {"Ada": 1}
