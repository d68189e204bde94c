"""Measure how soon the same and another replica recognize an enrolled face, and what a large gallery costs.

usage: PYTHONPATH=. python bench/svm_enrollment.py

Two replicas in separate processes share a gallery, first on disk and then in a stand-in for S3. Prints Markdown rows.
Takes about two minutes.
"""

import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np

from local.pictures import demo_pictures, photo
from marquee.v1 import enrollment_pb2, enrollment_pb2_grpc, recognizer_pb2, recognizer_pb2_grpc
from services.svm.gallery.people import EnrolledFace, EnrolledPerson, Snapshot
from tests.support.aws import s3_store
from tests.support.processes import server
from tests.support.svm_enrollment import write_model

ROUNDS = 10
AT_ONCE = 25
GALLERIES = (0, 1_000, 10_000, 100_000)
PERSON = "eileen-collins"


class Replica:
    """A running recognizer with its clients."""

    def __init__(self, stack: ExitStack, environment: dict[str, str]) -> None:
        channel = stack.enter_context(
            grpc.insecure_channel(stack.enter_context(server("services.svm", environment)).address)
        )
        self.enrollment = enrollment_pb2_grpc.EnrollmentServiceStub(channel)
        self._recognizer = recognizer_pb2_grpc.RecognizerServiceStub(channel)

    def enroll(self, picture: bytes, person_id: str = PERSON) -> None:
        """Enroll a person from one picture."""
        image = recognizer_pb2.Image(content=picture)
        self.enrollment.EnrollFaces(
            enrollment_pb2.EnrollFacesRequest(
                person_id=person_id, display_name="Eileen Collins", images=[image], allow_similar=True
            )
        )

    def remove(self) -> None:
        """Remove PERSON."""
        self.enrollment.RemovePerson(enrollment_pb2.RemovePersonRequest(person_id=PERSON))

    def names(self, picture: bytes) -> bool:
        """Return whether any face in the picture gets a name."""
        image = recognizer_pb2.Image(content=picture)
        response = self._recognizer.RecognizeImage(recognizer_pb2.RecognizeImageRequest(image=image))
        return any(face.candidates for face in response.results[0].faces)

    def people(self) -> set[str]:
        """Return every enrolled person's person_id."""
        response = self.enrollment.ListPeople(enrollment_pb2.ListPeopleRequest(page_size=1000))
        return {person.person_id for person in response.results[0].people}


def main() -> None:
    """Measure and print."""
    enrolled, query = jpeg("astronaut"), jpeg("collins.jpg")
    print("| what | measured |\n|---|---|")
    with tempfile.TemporaryDirectory() as name, s3_store("galleries") as s3_url:
        folder = Path(name)
        own = os.environ | {"MARQUEE_SVM_MODEL": str(write_model(folder)), "MARQUEE_S3_ENDPOINT_URL": s3_url}
        for kind, url in (("disk", str(folder / "gallery.npz")), ("S3", "s3://galleries/gallery.npz")):
            with ExitStack() as stack:
                replicas = [Replica(stack, own | {"MARQUEE_SVM_GALLERY": url}) for _ in range(2)]
                measure_delay(replicas, kind, enrolled, query)
                enroll_at_once(replicas, kind, enrolled)
        for faces in GALLERIES:
            path = folder / f"{faces}.npz"
            path.write_bytes(random_gallery(faces).to_bytes() if faces else b"")
            with ExitStack() as stack:
                measure_size(Replica(stack, own | {"MARQUEE_SVM_GALLERY": str(path)}), faces, enrolled, query)


def jpeg(name: str) -> bytes:
    """Return, as a JPEG, the demo picture of this name; "astronaut" is the original photo of the same person."""
    buffer = io.BytesIO()
    (photo("Eileen Collins") if name == "astronaut" else demo_pictures()[name]).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def measure_delay(replicas: list[Replica], kind: str, enrolled: bytes, query: bytes) -> None:
    """Measure the time from EnrollFaces until the same and the other replica name another picture of the person."""
    same, other = replicas
    here, there = [], []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        same.enroll(enrolled)
        wait(lambda: same.names(query))
        here.append(time.perf_counter() - begin)
        wait(lambda: other.names(query))
        there.append(time.perf_counter() - begin)
        same.remove()
        wait(lambda: not other.names(query))
    print(f"| gallery on {kind}: enrolled and recognized by the same replica | {summary(here)} |")
    print(f"| gallery on {kind}: … by the other replica | {summary(there)} |", flush=True)


def enroll_at_once(replicas: list[Replica], kind: str, enrolled: bytes) -> None:
    """Enroll people at both replicas at the same time, and count the lost ones: there must be none."""
    wanted = {f"{side}-{number}" for side in range(2) for number in range(AT_ONCE)}
    begin = time.perf_counter()
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(
                lambda person: replicas[int(person[0])].enroll(enrolled, person), sorted(wanted, key=lambda s: s[2:])
            )
        )
    spent = time.perf_counter() - begin
    wait(lambda: replicas[0].people() == replicas[1].people())
    lost = len(wanted - replicas[0].people())
    label = f"{len(wanted)} people by two replicas at once, 8 calls in flight | {spent:.1f} s, {lost} lost"
    print(f"| gallery on {kind}: {label} |", flush=True)


def random_gallery(faces: int) -> Snapshot:
    """Return a gallery of as many people as faces, each face a random vector."""
    rows = np.random.default_rng(0).normal(0, 0.13, (faces, 128)).astype(np.float32)
    created, own = "2026-01-01T00:00:00+00:00", (EnrolledFace("f"),)
    people = tuple(EnrolledPerson(f"p{number:06}", "", created, own) for number in range(faces))
    return Snapshot(people, rows)


def measure_size(replica: Replica, faces: int, enrolled: bytes, query: bytes) -> None:
    """Measure a whole recognition, and one more enrollment, in a gallery of this size."""
    begin = time.perf_counter()
    replica.enroll(enrolled)
    enrolling = time.perf_counter() - begin
    spent = []
    for _ in range(20):
        begin = time.perf_counter()
        replica.names(query)
        spent.append(time.perf_counter() - begin)
    middle = statistics.median(spent) * 1000
    print(
        f"| {faces:,} faces enrolled: recognizing; enrolling one more | {middle:.0f} ms; {enrolling:.2f} s |",
        flush=True,
    )


def wait(condition: Callable[[], bool]) -> None:
    """Wait for the condition for at most ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


def summary(values: list[float]) -> str:
    """Return the median, the maximum and the number of the values, as text."""
    return f"median {statistics.median(values):.2f} s, most {max(values):.2f} s of {len(values)}"


if __name__ == "__main__":
    main()
