"""The model in use: a trained one with those enrolled since. Watches both files."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import structlog

from services.runtime.errors import DomainError, GalleryBusy, Misconfigured, NotReady
from services.runtime.images.faces import Face
from services.runtime.memory import trim
from services.runtime.server import metrics
from services.runtime.storage.files import File, file_at
from services.runtime.storage.s3 import Changed
from services.svm import artifact
from services.svm.gallery.people import Snapshot
from services.svm.model import Artifact, Model
from services.svm.networks.onnx_network import embedder_of
from services.svm.recipes.recipe import Recipe, recipe_of
from services.svm.settings import SvmSettings

logger = structlog.get_logger()
T = TypeVar("T")
_NOISE = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
"""A picture to warm up with: of a black one, a network may make zeros, which no cosine compares."""
_ATTEMPTS = 50
_MAX_PAUSE = 0.2


class LiveModel:
    """The one Model that calls use; a change replaces it, and running calls keep theirs."""

    def __init__(self, settings: SvmSettings) -> None:
        """Read the network that embeds faces. Raises Misconfigured or DependencyUnavailable."""
        self._settings = settings
        self._model_file = artifact.model_file(settings.svm_model, settings.s3_endpoint_url)
        self._gallery_file = _gallery_file(settings)
        self._embedder = embedder_of(settings.svm_embedding, settings.s3_endpoint_url)
        self._recipes: dict[str, Recipe] = {}
        self._model: Model | None = None
        self._artifact_mark = ""
        self._gallery_mark = ""
        self._changing = asyncio.Lock()
        self._watchers: list[asyncio.Task[None]] = []

    @property
    def model(self) -> Model:
        """The model in use. Raises NotReady before there is one."""
        if self._model is None:
            raise NotReady("svm is still loading its model. Try again in a moment.")
        return self._model

    @property
    def can_change(self) -> bool:
        """Whether there is a gallery to enroll into."""
        return self._gallery_file is not None

    async def load(self) -> None:
        """Read model and gallery, and watch both from then on. Raises Misconfigured or DependencyUnavailable."""
        trained, self._artifact_mark = await asyncio.to_thread(self._read_artifact)
        enrolled, self._gallery_mark = await asyncio.to_thread(self._read_gallery)
        self._use(await asyncio.to_thread(self._warm_model, trained, enrolled))
        self._watch(self._reload_artifact, self._settings.svm_model_poll_seconds)
        if self._gallery_file:
            self._watch(self._reload_gallery, self._settings.svm_gallery_poll_seconds)

    async def change(self, change: Callable[[Model], tuple[Snapshot, T]]) -> tuple[Model, T]:
        """Change who is enrolled, here and in all replicas; return the new model and the change's result.

        `change` is a pure function from a model to who is enrolled from now on and a result. It is called again,
        in another thread, with a newer model each time another replica was faster. Raises what it raises,
        GalleryBusy, and what the gallery's file raises.
        """
        file = self._gallery_file
        if file is None:
            raise Misconfigured("There is no gallery.")
        async with self._changing:
            for _ in range(_ATTEMPTS):
                try:
                    model, result, self._gallery_mark = await asyncio.to_thread(
                        _apply, change, self.model, file, self._gallery_mark
                    )
                except Changed:
                    await asyncio.sleep(random.uniform(0, _MAX_PAUSE))  # noqa: S311 - not a secret
                    await self._take_gallery()
                else:
                    self._use(model)
                    return model, result
        raise GalleryBusy("Other replicas keep changing the gallery. Retry the call; that is safe.")

    async def close(self) -> None:
        """Stop watching."""
        for task in self._watchers:
            task.cancel()

    def _use(self, model: Model) -> None:
        self._model = model
        metrics.show_models({model.name: model.version})

    def _read_artifact(self) -> tuple[Artifact, str]:
        return artifact.load_marked(self._model_file, self._settings.svm_model)

    def _read_gallery(self) -> tuple[Snapshot, str]:
        if self._gallery_file is None:
            return Snapshot.nobody(self._embedder.network), ""
        data, mark = self._gallery_file.read()
        try:
            return Snapshot.from_bytes(data, self._embedder.network), mark
        except ValueError as exc:
            raise Misconfigured(
                f"{self._settings.svm_gallery}: {exc}. Put an earlier version of the file back, remove it to begin "
                "with nobody, or correct MARQUEE_SVM_GALLERY or MARQUEE_SVM_EMBEDDING."
            ) from exc

    def _warm_model(self, trained: Artifact, enrolled: Snapshot) -> Model:
        """Return a model that has run once, so that its first call is no slower than the next."""
        recipe = self._recipes.setdefault(trained.recipe, recipe_of(trained.recipe, self._embedder))
        self._check_network(trained, recipe)
        if self._gallery_file and trained.recipe != "embedding":
            raise Misconfigured(
                f"Only embedding models take enrollments, and {self._settings.svm_model} is a {trained.recipe} model. "
                "Unset MARQUEE_SVM_GALLERY or train with --recipe embedding."
            )
        enrolled_distance = self._embedder.network.l2(self._settings.svm_enrolled_distance)
        model = Model(trained, recipe, enrolled, enrolled_distance)
        model.candidates(recipe.views(_NOISE, Face(0, 0, 96, 96))[np.newaxis])
        trim()
        return model

    def _check_network(self, trained: Artifact, recipe: Recipe) -> None:
        """Check that the model was trained on the vectors of this server's network."""
        own, theirs = self._embedder.network, trained.network
        made = replace(own, id=theirs, length=int(trained.pipeline.n_features_in_), aligner=trained.aligner)
        if recipe.network and made != own:
            raise Misconfigured(
                f"{self._settings.svm_model} was trained with the network {made}, and MARQUEE_SVM_EMBEDDING names "
                f"{own}. Set it to that network, or train with `--embedding {self._settings.svm_embedding}`."
            )

    def _watch(self, reload: Callable[[], Awaitable[None]], seconds: float) -> None:
        self._watchers.append(asyncio.create_task(_repeat(reload, seconds)))

    async def _reload_artifact(self) -> None:
        """Switch to a changed model; one that cannot be read leaves the old one in use."""
        if await asyncio.to_thread(self._model_file.mark) == self._artifact_mark:
            return
        trained, mark = await asyncio.to_thread(self._read_artifact)
        async with self._changing:
            self._use(await asyncio.to_thread(self._warm_model, trained, self.model.enrolled))
            self._artifact_mark = mark
        logger.info("model reloaded", model=self._settings.svm_model, version=self.model.version)

    async def _reload_gallery(self) -> None:
        if self._gallery_file and await asyncio.to_thread(self._gallery_file.mark) != self._gallery_mark:
            async with self._changing:
                await self._take_gallery()
            logger.info("gallery reloaded", gallery=self._settings.svm_gallery, version=self.model.version)

    async def _take_gallery(self) -> None:
        enrolled, self._gallery_mark = await asyncio.to_thread(self._read_gallery)
        self._use(await asyncio.to_thread(self.model.with_enrolled, enrolled))


def _gallery_file(settings: SvmSettings) -> File | None:
    if not settings.svm_gallery:
        return None
    hint = "Check MARQUEE_SVM_GALLERY."
    return file_at(settings.svm_gallery, settings.s3_endpoint_url, name="gallery", hint=hint)


def _apply(change: Callable[[Model], tuple[Snapshot, T]], model: Model, file: File, mark: str) -> tuple[Model, T, str]:
    """Return the changed model, the change's result and the gallery's mark, once it is written. Raises Changed."""
    enrolled, result = change(model)
    if enrolled is model.enrolled:
        return model, result, mark
    mark = file.write(enrolled.to_bytes(), mark)
    return model.with_enrolled(enrolled), result, mark


async def _repeat(reload: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Reload at this interval. Log each failure once, not at every repetition."""
    failure = ""
    while True:
        await asyncio.sleep(seconds)
        try:
            await reload()
        except Exception as exc:
            if str(exc) != failure:
                logger.warning("not reloaded", error=str(exc), exc_info=not isinstance(exc, DomainError))
            failure = str(exc)
        else:
            failure = ""
