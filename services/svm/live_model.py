"""The model in use: a trained one with those who were enrolled since. Both are watched."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import numpy as np
import structlog

from services.runtime.errors import DomainError, GalleryBusy, Misconfigured, NotReady
from services.runtime.memory import trim
from services.runtime.server import metrics
from services.runtime.storage.files import File, file_at
from services.runtime.storage.s3 import Changed
from services.svm import artifact
from services.svm.artifact import Artifact
from services.svm.faces.detector import Face
from services.svm.gallery.snapshot import Enrolled
from services.svm.model import Model
from services.svm.recipes.recipe import RECIPES, Recipe
from services.svm.settings import SvmSettings

logger = structlog.get_logger()
_NOTHING = np.zeros((96, 96, 3), np.uint8)
_ATTEMPTS = 50
_LONGEST_PAUSE = 0.2


Change = Callable[[Model], Enrolled]


class CurrentModel:
    """Holds the one Model that calls use; a change makes another one, and calls that run keep theirs."""

    def __init__(self, settings: SvmSettings) -> None:
        self._settings = settings
        self._model_file = artifact.model_file(settings.svm_model, settings.s3_endpoint_url)
        self._store = _gallery_file(settings)
        self._recipes: dict[str, Recipe] = {}
        self._model: Model | None = None
        self._artifact_mark = ""
        self._gallery_mark = ""
        self._changing = asyncio.Lock()
        self._watching: list[asyncio.Task[None]] = []

    @property
    def model(self) -> Model:
        """Raises NotReady."""
        if self._model is None:
            raise NotReady("svm is still loading its model. Try again in a moment.")
        return self._model

    @property
    def can_change(self) -> bool:
        """Whether there is a gallery to enroll into."""
        return self._store is not None

    async def load(self) -> None:
        """Reads model and gallery, and watches both from then on. Raises Misconfigured, DependencyUnavailable."""
        trained, self._artifact_mark = await asyncio.to_thread(self._read_artifact)
        enrolled, self._gallery_mark = await asyncio.to_thread(self._read_gallery)
        self._use(await asyncio.to_thread(self._warm, trained, enrolled))
        self._watch(self._reload_artifact, self._settings.svm_model_poll_seconds)
        if self._store:
            self._watch(self._reload_gallery, self._settings.svm_gallery_poll_seconds)

    async def change(self, change: Change) -> Model:
        """Changes who is enrolled, here and for all replicas, and returns the model that knows.

        `change` makes of a model whoever is enrolled from now on, or gives back whoever is; it is called
        again with a newer model whenever another replica was faster. Raises what it raises,
        GalleryBusy, and what the store raises.
        """
        store = self._store
        if store is None:
            raise Misconfigured("There is no gallery.")
        async with self._changing:
            for _ in range(_ATTEMPTS):
                try:
                    model, self._gallery_mark = await asyncio.to_thread(
                        _changed, change, self.model, store, self._gallery_mark
                    )
                except Changed:
                    await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311 - no secret
                    await self._take_gallery()
                else:
                    self._use(model)
                    return model
        raise GalleryBusy("Other replicas change the gallery all the time. Send the call again; it is safe to.")

    async def close(self) -> None:
        """Stops watching."""
        for task in self._watching:
            task.cancel()

    def _use(self, model: Model) -> None:
        self._model = model
        metrics.show_models({model.name: model.version})

    def _read_artifact(self) -> tuple[Artifact, str]:
        return artifact.load_marked(self._model_file, self._settings.svm_model)

    def _read_gallery(self) -> tuple[Enrolled, str]:
        if self._store is None:
            return Enrolled(), ""
        data, mark = self._store.read()
        try:
            return Enrolled.from_bytes(data), mark
        except ValueError as exc:
            raise Misconfigured(f"{self._settings.svm_gallery}: {exc}. MARQUEE_SVM_GALLERY names it.") from exc

    def _warm(self, trained: Artifact, enrolled: Enrolled) -> Model:
        """A model that has judged once, so that its first call is no slower than the next."""
        recipe = self._recipes.setdefault(trained.recipe, RECIPES[trained.recipe]())
        if self._store and trained.recipe != "embedding":
            raise Misconfigured(
                f"Faces can be enrolled into embedding models only, and {self._settings.svm_model} is "
                f"{trained.recipe}. Unset MARQUEE_SVM_GALLERY or train with --recipe embedding."
            )
        model = Model(trained, recipe, enrolled, self._settings.svm_enrolled_distance)
        model.candidates(recipe.views(_NOTHING, Face(0, 0, 96, 96)))
        trim()
        return model

    def _watch(self, reload: Callable[[], Awaitable[None]], seconds: float) -> None:
        self._watching.append(asyncio.create_task(_repeat(reload, seconds)))

    async def _reload_artifact(self) -> None:
        """Takes a changed model over; one that cannot be read leaves the old one in use."""
        if await asyncio.to_thread(self._model_file.mark) == self._artifact_mark:
            return
        trained, mark = await asyncio.to_thread(self._read_artifact)
        async with self._changing:
            self._use(await asyncio.to_thread(self._warm, trained, self.model.enrolled))
            self._artifact_mark = mark
        logger.info("model reloaded", model=self._settings.svm_model, version=self.model.version)

    async def _reload_gallery(self) -> None:
        if self._store and await asyncio.to_thread(self._store.mark) != self._gallery_mark:
            async with self._changing:
                await self._take_gallery()
            logger.info("gallery reloaded", gallery=self._settings.svm_gallery, version=self.model.version)

    async def _take_gallery(self) -> None:
        enrolled, self._gallery_mark = await asyncio.to_thread(self._read_gallery)
        self._use(await asyncio.to_thread(self.model.knowing, enrolled))


def _gallery_file(settings: SvmSettings) -> File | None:
    if not settings.svm_gallery:
        return None
    hint = "MARQUEE_SVM_GALLERY names it."
    return file_at(settings.svm_gallery, settings.s3_endpoint_url, name="gallery", hint=hint)


def _changed(change: Change, model: Model, store: File, mark: str) -> tuple[Model, str]:
    """The model after the change, and the gallery's mark, once it is written. Raises Changed."""
    enrolled = change(model)
    if enrolled is model.enrolled:
        return model, mark
    mark = store.write(enrolled.to_bytes(), mark)
    return model.knowing(enrolled), mark


async def _repeat(reload: Callable[[], Awaitable[None]], seconds: float) -> None:
    told = ""
    while True:
        await asyncio.sleep(seconds)
        try:
            await reload()
        except Exception as exc:
            if str(exc) != told:
                logger.warning("not reloaded", error=str(exc), exc_info=not isinstance(exc, DomainError))
            told = str(exc)
        else:
            told = ""
