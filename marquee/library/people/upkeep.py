"""Calls about models, recognizers, erasures and audits of the library's people."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import BinaryIO, Unpack

from marquee.channels.calls import Calls
from marquee.channels.connection import DEFAULT_TIMEOUT, Connection, ConnectionOptions
from marquee.channels.credentials import StrPath
from marquee.channels.role import LIBRARY
from marquee.library.client import MAX_PAGE_SIZE
from marquee.library.file import Progress, TargetFile
from marquee.library.people.enums import DecisionForm
from marquee.library.people.models import (
    Adoption,
    Audit,
    EmbeddingRun,
    IndexCheck,
    ModelComparison,
    PersonEnrollment,
    PersonReceipt,
    Reconciliation,
    VectorModel,
    VectorModels,
)
from marquee.library.people.requests import (
    DecisionOptions,
    EnrollmentChoice,
    PersonErasure,
    RecognizerChoice,
    build_decision_export,
)
from marquee.library.requests import PictureOptions, build_change, new_request_id
from marquee.library.v1 import people_pb2 as pb
from marquee.library.v1.people_pb2_grpc import PeopleServiceStub
from marquee.records import read
from marquee.requests import names_of

LONG_TIMEOUT = 60.0
"""Seconds for a call that compares much, or calls recognizers."""


class UpkeepClient(Calls):
    """Calls about models, recognizers, erasures and audits; PeopleClient has them all."""

    def __init__(self, address: str | None = None, **options: Unpack[ConnectionOptions]) -> None:
        super().__init__(Connection(address, role=LIBRARY, **options))
        self._people = PeopleServiceStub(self._channel)

    def check_index(
        self,
        sample_size: int = 100,
        neighbour_count: int = 10,
        *,
        timeout: float | None = LONG_TIMEOUT,
        collection: str = "",
    ) -> IndexCheck:
        """Measure how many of the nearest faces the index finds, against comparing with all."""
        request = pb.CheckIndexRequest(sample_size=sample_size, neighbour_count=neighbour_count, collection=collection)
        return read(IndexCheck, self._call(self._people.CheckIndex, request, timeout))

    def models(self, *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = "") -> VectorModels:
        """Return the models whose vectors the library has, and how far the embedding of all faces is."""
        request = pb.ListVectorModelsRequest(collection=collection)
        return read(VectorModels, self._call(self._people.ListVectorModels, request, timeout))

    def embed(
        self,
        recognizer: str = "",
        *,
        stop: bool = False,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> EmbeddingRun:
        """Have all faces embedded by the model that a recognizer has now, beside the vectors of other models.

        Returns at once; `models` says how far it is. Called again, it goes on; with `stop`, it stops.
        """
        request = build_change(pb.EmbedFacesRequest, options, recognizer=recognizer, stop=stop)
        response = self._call(self._people.EmbedFaces, request, timeout)
        return read(EmbeddingRun, response.embedding)

    def compare_models(
        self,
        new_model_id: int,
        old_model_id: int = 0,
        *,
        timeout: float | None = LONG_TIMEOUT,
        collection: str = "",
    ) -> ModelComparison:
        """Compare two models on what was decided, by default with the one that is used. Raises ModelNotFound."""
        request = pb.CompareModelsRequest(new_model_id=new_model_id, old_model_id=old_model_id, collection=collection)
        return read(ModelComparison, self._call(self._people.CompareModels, request, timeout))

    def use_model(
        self, model_id: int, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PictureOptions]
    ) -> VectorModel:
        """Have people compared by a model's vectors from now on. Raises ModelNotFound."""
        request = build_change(pb.UseModelRequest, options, model_id=model_id)
        response = self._call(self._people.UseModel, request, timeout)
        return read(VectorModel, response.model)

    def export_decisions(
        self,
        target: StrPath | BinaryIO,
        form: DecisionForm | str = DecisionForm.TRAINING,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[DecisionOptions],
    ) -> int:
        """Write decided faces into a tar file, to train or to calibrate with; return how many.

        The file is as that of LibraryClient.export.
        """
        request = build_decision_export(form, options)
        count = 0
        with (
            closing(self._parts(self._people.ExportDecisions, request, timeout)) as parts,
            TargetFile(target, progress) as file,
        ):
            for part in parts:
                count = part.face_count
                file.write(part.content, count, part.estimated_count)
        return count

    def enroll(
        self,
        person_id: str,
        face_ids: Sequence[str] = (),
        *,
        timeout: float | None = LONG_TIMEOUT,
        **options: Unpack[EnrollmentChoice],
    ) -> PersonEnrollment:
        """Enroll decided faces of a person into recognizers, at most 32: by default those that suit best."""
        request = build_change(
            pb.EnrollPersonRequest,
            options,
            person_id=person_id,
            face_ids=names_of(face_ids),
            recognizers=names_of(options.get("recognizers", ())),
            allow_similar=options.get("allow_similar", False),
        )
        return read(PersonEnrollment, self._call(self._people.EnrollPerson, request, timeout))

    def reconcile(
        self,
        person_id: str = "",
        *,
        mend: bool = False,
        timeout: float | None = LONG_TIMEOUT,
        **options: Unpack[RecognizerChoice],
    ) -> Reconciliation:
        """Compare what recognizers have enrolled with what the library has, of a person or all; `mend` mends it."""
        request = build_change(
            pb.ReconcilePeopleRequest,
            options,
            person_id=person_id,
            mend=mend,
            recognizers=names_of(options.get("recognizers", ())),
        )
        return read(Reconciliation, self._call(self._people.ReconcilePeople, request, timeout))

    def adopt(
        self,
        recognizer_collection: str = "",
        *,
        timeout: float | None = LONG_TIMEOUT,
        **options: Unpack[RecognizerChoice],
    ) -> Adoption:
        """Take over the people whom recognizers know, in their default collection or another.

        Nobody is merged by name.
        """
        request = build_change(
            pb.AdoptPeopleRequest,
            options,
            recognizer_collection=recognizer_collection,
            recognizers=names_of(options.get("recognizers", ())),
        )
        return read(Adoption, self._call(self._people.AdoptPeople, request, timeout))

    def erase(
        self, person_id: str, *, timeout: float | None = LONG_TIMEOUT, **options: Unpack[PersonErasure]
    ) -> PersonReceipt:
        """Erase a person for good, wherever the library and its recognizers have them. A new picture shows a stranger.

        Needs the scope erase. While the receipt is not `complete`, the library goes on: the same call says how far.
        """
        request = build_change(
            pb.ErasePersonRequest,
            options,
            person_id=person_id,
            erase_pictures=options.get("erase_pictures", False),
            erase_objects=options.get("erase_objects", False),
        )
        response = self._call(self._people.ErasePerson, request, timeout)
        return read(PersonReceipt, response.receipt)

    def export(
        self,
        person_id: str,
        target: StrPath | BinaryIO,
        *,
        timeout: float | None = None,
        collection: str = "",
    ) -> None:
        """Write all that is held about a person into a tar file, which is as that of LibraryClient.export."""
        request = pb.ExportPersonRequest(request_id=new_request_id(), person_id=person_id, collection=collection)
        with (
            closing(self._parts(self._people.ExportPerson, request, timeout)) as parts,
            TargetFile(target) as file,
        ):
            for part in parts:
                file.write(part.content)

    def audits(
        self,
        person_id: str = "",
        *,
        page_size: int = MAX_PAGE_SIZE,
        timeout: float | None = DEFAULT_TIMEOUT,
        collection: str = "",
    ) -> Iterator[Audit]:
        """Yield who looked up, changed or exported a person, or anybody, newest first; `timeout` is per page."""
        request = pb.ListAuditsRequest(person_id=person_id, page_size=page_size, collection=collection)
        return self._pages(self._people.ListAudits, request, timeout, Audit, "audits")
