"""Client of the library, which keeps pictures and what was recognized in them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import BinaryIO, Unpack

from marquee.channels.calls import Calls
from marquee.channels.connection import DEFAULT_TIMEOUT, Connection, ConnectionOptions
from marquee.channels.credentials import StrPath
from marquee.channels.role import LIBRARY
from marquee.library.enums import ContentVariant, ExportFormat, JobState, PictureOrder
from marquee.library.file import ExportFile, Progress
from marquee.library.requests import (
    AddOptions,
    PictureOptions,
    PictureQuery,
    RecognitionOptions,
    build_addition,
    build_category,
    build_change,
    build_content,
    build_export,
    build_jobs,
    build_recognition,
    build_search,
)
from marquee.library.results import (
    Addition,
    Category,
    CategoryRule,
    ErasureReceipt,
    Event,
    EventPage,
    ExportSummary,
    ImportResult,
    Job,
    JobCounts,
    LibraryPicture,
    PictureContent,
)
from marquee.library.v1 import library_pb2 as pb
from marquee.library.v1.library_pb2_grpc import LibraryServiceStub
from marquee.records import read
from marquee.requests import names_of
from marquee.sources import Source

PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
FOLLOW_SECONDS = 1.0
"""Between two looks for new events."""


class LibraryClient(Calls):
    """A connection to the library at "https://host" (TLS) or "host:port". Threads may share it.

    Default address: MARQUEE_LIBRARY_ADDRESS in the environment, else localhost:50052. See Client, whose options and
    errors it has. Methods work in one collection, by default the operator's. Every change may be repeated: a call
    that fails as the connection does is tried again by itself, and changes nothing twice.
    """

    def __init__(self, address: str | None = None, **options: Unpack[ConnectionOptions]) -> None:
        super().__init__(Connection(address, role=LIBRARY, **options))
        self._library = LibraryServiceStub(self._channel)

    def add(
        self, source: Source, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[AddOptions]
    ) -> Addition:
        """Add a picture, a path, bytes or "s3://bucket/key", and have it recognized.

        Returns once it is stored durably, with the state PENDING; with `wait=True` once it is recognized. A picture
        that the collection has already gets one more place, and is not recognized again. Raises PictureErased.
        """
        return read(Addition, self._call(self._library.AddImage, build_addition(source, options), timeout))

    def get(self, picture_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = "") -> LibraryPicture:
        """Return a picture with all that is known of it. Raises PictureNotFound.

        Its picture_id is another one if an object in S3 turned out to be a picture that was there before.
        """
        request = pb.GetPictureRequest(picture_id=picture_id, collection=collection)
        return read(LibraryPicture, self._call(self._library.GetPicture, request, timeout).picture)

    def content(
        self,
        picture_id: str,
        variant: ContentVariant | str = ContentVariant.ORIGINAL,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        collection: str = "",
    ) -> PictureContent:
        """Return a picture's file, or its thumbnail. Raises ContentMissing, PictureNotFound."""
        request = build_content(picture_id, variant, collection)
        return read(PictureContent, self._call(self._library.GetPictureContent, request, timeout))

    def search(
        self,
        *,
        order: PictureOrder | str = PictureOrder.TAKEN_NEWEST,
        page_size: int = PAGE_SIZE,
        timeout: float | None = DEFAULT_TIMEOUT,
        collection: str = "",
        **query: Unpack[PictureQuery],
    ) -> Iterator[LibraryPicture]:
        """Yield the pictures that a query finds, without their answers; `timeout` is per page of `page_size`.

        The next page is asked for when it is needed, so itertools.islice takes the first ones.
        """
        request = build_search(query, order, page_size, collection)
        return self._pages(self._library.SearchPictures, request, timeout, LibraryPicture, "pictures")

    def export(
        self,
        target: StrPath | BinaryIO,
        form: ExportFormat | str = ExportFormat.JSON_LINES,
        *,
        timeout: float | None = None,
        collection: str = "",
        progress: Progress | None = None,
        **query: Unpack[PictureQuery],
    ) -> ExportSummary:
        """Write all pictures that a query finds into a file: its path, or a file that is open for bytes.

        A file of that path appears whole, or not at all. `progress` gets how many pictures are written, and about how
        many there will be. docs/export.md has the columns.
        """
        request = build_export(query, form, collection)
        with (
            closing(self._parts(self._library.ExportPictures, request, timeout)) as parts,
            ExportFile(target, progress) as file,
        ):
            for part in parts:
                file.add(part)
        return file.summary

    def recognize(
        self, picture_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[RecognitionOptions]
    ) -> LibraryPicture:
        """Have a picture recognized again, such as with a new model."""
        request = build_recognition(picture_id, options)
        return read(LibraryPicture, self._call(self._library.RecognizePicture, request, timeout).picture)

    def delete(
        self, picture_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PictureOptions]
    ) -> LibraryPicture:
        """Put a picture into the trash, from which it is erased at its expire_time. Deleting it again is a no-op."""
        request = build_change(pb.DeletePictureRequest, options, picture_id=picture_id)
        return read(LibraryPicture, self._call(self._library.DeletePicture, request, timeout).picture)

    def undelete(
        self, picture_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PictureOptions]
    ) -> LibraryPicture:
        """Take a picture out of the trash."""
        request = build_change(pb.UndeletePictureRequest, options, picture_id=picture_id)
        return read(LibraryPicture, self._call(self._library.UndeletePicture, request, timeout).picture)

    def erase(
        self, picture_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PictureOptions]
    ) -> ErasureReceipt:
        """Erase a picture at once, with all that is known of it, so that adding it again is refused.

        The receipt says what was erased, and what the library cannot reach.
        """
        request = build_change(pb.ErasePictureRequest, options, picture_id=picture_id)
        return read(ErasureReceipt, self._call(self._library.ErasePicture, request, timeout).receipt)

    def set_category(
        self,
        name: str,
        rules: Sequence[CategoryRule] = (),
        *,
        category_id: str = "",
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> Category:
        """Create a category, or replace the rules of the one with this name; with its `category_id`, its name, too.

        Pictures follow within a minute.
        """
        request = build_category(name, rules, category_id, options)
        return read(Category, self._call(self._library.SetCategory, request, timeout).category)

    def categories(self, *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = "") -> Iterator[Category]:
        """Yield the categories by name; `timeout` is per 1000 of them."""
        request = pb.ListCategoriesRequest(page_size=MAX_PAGE_SIZE, collection=collection)
        return self._pages(self._library.ListCategories, request, timeout, Category, "categories")

    def delete_category(
        self, category_id: str, *, timeout: float | None = DEFAULT_TIMEOUT, **options: Unpack[PictureOptions]
    ) -> None:
        """Delete a category; its pictures stay. Raises CategoryNotFound."""
        request = build_change(pb.DeleteCategoryRequest, options, category_id=category_id)
        self._call(self._library.DeleteCategory, request, timeout)

    def categorize(
        self,
        picture_id: str,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> LibraryPicture:
        """Put a picture into categories, by name, and take it out of others. No rule undoes it."""
        names = {"add": names_of(add), "remove": names_of(remove)}
        request = build_change(pb.CategorizePictureRequest, options, picture_id=picture_id, **names)
        return read(LibraryPicture, self._call(self._library.CategorizePicture, request, timeout).picture)

    def event_page(
        self,
        cursor: str = "",
        *,
        page_size: int = MAX_PAGE_SIZE,
        timeout: float | None = DEFAULT_TIMEOUT,
        collection: str = "",
    ) -> EventPage:
        """Return what happened since the cursor, which is the next_cursor of the page before; at first empty."""
        request = pb.ListEventsRequest(cursor=cursor, page_size=page_size, collection=collection)
        return read(EventPage, self._call(self._library.ListEvents, request, timeout))

    def events(
        self,
        cursor: str = "",
        *,
        follow: bool = False,
        timeout: float | None = DEFAULT_TIMEOUT,
        collection: str = "",
    ) -> Iterator[Event]:
        """Yield what happened since the cursor, oldest first; with `follow`, wait for more and never end.

        Whoever has to go on later, where they stopped, asks for one `event_page` after the other.
        """
        while True:
            page = self.event_page(cursor, timeout=timeout, collection=collection)
            yield from page.events
            if not page.events:
                if not follow:
                    return
                time.sleep(FOLLOW_SECONDS)
            cursor = page.next_cursor

    def jobs(
        self,
        state: JobState | str = JobState.UNSPECIFIED,
        *,
        page_size: int = PAGE_SIZE,
        timeout: float | None = DEFAULT_TIMEOUT,
        collection: str = "",
    ) -> Iterator[Job]:
        """Yield the jobs that recognize pictures, newest first; `timeout` is per page."""
        return self._pages(self._library.ListJobs, build_jobs(state, page_size, collection), timeout, Job, "jobs")

    def job_counts(self, *, timeout: float | None = DEFAULT_TIMEOUT, collection: str = "") -> JobCounts:
        """Return how many jobs wait, and how many were given up."""
        request = build_jobs(JobState.UNSPECIFIED, 1, collection)
        return read(JobCounts, self._call(self._library.ListJobs, request, timeout))

    def retry(
        self,
        job_ids: Sequence[str] = (),
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> int:
        """Try jobs again that were given up, by default all; return how many are."""
        request = build_change(pb.RetryJobsRequest, options, job_ids=names_of(job_ids))
        return self._call(self._library.RetryJobs, request, timeout).job_count

    def import_answers(
        self,
        answers: Sequence[pb.ImportedAnswer],
        *,
        fetch: bool = False,
        timeout: float | None = DEFAULT_TIMEOUT,
        **options: Unpack[PictureOptions],
    ) -> tuple[ImportResult, ...]:
        """Import up to 100 answers that were given elsewhere; return what became of each.

        With `fetch` the objects are fetched and recognized, too, which may cost money.
        """
        request = build_change(pb.ImportAnswersRequest, options, answers=answers, fetch=fetch)
        response = self._call(self._library.ImportAnswers, request, timeout)
        return tuple(read(ImportResult, message) for message in response.results)
