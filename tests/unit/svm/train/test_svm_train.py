"""The trainer, from a folder to a model or an error message."""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import boto3
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFilter

from local.pictures import PEOPLE, photo, scene, variations
from services.runtime.images.detector import FaceDetector
from services.svm import artifact
from services.svm.train.__main__ import main
from tests.support.aws import s3_store

pytestmark = pytest.mark.slow

_PUBLISHED = ("SVC (linear)", "SVC (rbf)", "LogisticRegression", "RandomForestClassifier")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three pictures of each of two people."""
    folder = tmp_path_factory.mktemp("people")
    for seed, person in enumerate(PEOPLE):
        (folder / person.replace(" ", "_")).mkdir()
        for number, picture in enumerate(variations(photo(person), 3, seed)):
            picture.save(folder / person.replace(" ", "_") / f"{number}.jpg")
    return folder


@pytest.fixture(autouse=True)
def _working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to an empty directory, because the trainer writes there by default."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_store() as url:
        yield url


@pytest.fixture
def copy(people: Path, tmp_path: Path) -> Path:
    return shutil.copytree(people, tmp_path / "people")


def error_of(arguments: Sequence[object], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the trainer's standard error, after checking that it exits with 2."""
    with pytest.raises(SystemExit) as exit_info:
        main([str(argument) for argument in arguments])
    assert exit_info.value.code == 2
    return capsys.readouterr().err


def output_of(arguments: Sequence[object], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the trainer's standard output."""
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_a_model_is_trained(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder per person becomes a model; pictures left out are listed with the reason and counted in a table."""
    (copy / "Grace_Hopper" / ".hidden").write_text("not looked at")
    scene("coffee.png").save(copy / "Grace_Hopper" / "cup.png")
    photo("Grace Hopper").filter(ImageFilter.GaussianBlur(9)).save(copy / "Grace_Hopper" / "fog.png")
    shutil.copy(copy / "Eileen_Collins" / "0.jpg", copy / "Eileen_Collins" / "again.jpg")
    main([str(copy), "--out", str(tmp_path / "model.skops")])
    output = capsys.readouterr().out
    assert "left out, no face: Grace_Hopper/cup.png" in output
    assert "left out, blurred: Grace_Hopper/fog.png" in output
    assert "left out, a copy of 0.jpg: Eileen_Collins/again.jpg" in output
    assert "all alike: Grace_Hopper" in output
    assert ["5", "3", "1", "1", "1", "0"] in [re.findall(r"\d+", line) for line in output.splitlines()]
    trained = artifact.load(tmp_path / "model.skops")
    assert [person.person_id for person in trained.gallery.people] == ["eileen-collins", "grace-hopper"]
    assert (trained.recipe, trained.report["faces"], trained.report["accuracy"]) == ("embedding", 6, 1)
    assert 0.3 < trained.calibration.threshold < 0.6


def test_the_page_shows_the_measurements(copy: Path, tmp_path: Path) -> None:
    """The page is one file with the numbers, the confusion matrix, the strangers' curve and the rejected pictures."""
    scene("coffee.png").save(copy / "Grace_Hopper" / "cup <1>.png")
    main([str(copy), "--out", str(tmp_path / "model.skops"), "--report", str(tmp_path / "page.html")])
    page = (tmp_path / "page.html").read_text()
    for part in ("Who was taken for whom", "Grace Hopper", "<polyline", "precision", "cup &lt;1&gt;.png", "seconds_"):
        assert part in page
    assert "http" not in page


@pytest.mark.parametrize("recipe", ["hog-lbp", "wavelet"])
def test_every_recipe_is_trained(people: Path, recipe: str, tmp_path: Path) -> None:
    """The model names its recipe, and its classifier accepts that recipe's features."""
    main([str(people), "--recipe", recipe, "--detector", "yunet", "--out", str(tmp_path / "model.skops")])
    trained = artifact.load(tmp_path / "model.skops")
    assert trained.recipe == recipe
    assert trained.gallery.rows.shape == (6, 2)


def test_a_face_under_two_names_is_left_out(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture in the wrong person's folder is listed with the name of the person it shows."""
    wrong = next(variations(photo("Grace Hopper"), 1, 99))
    wrong.save(copy / "Eileen_Collins" / "wrong.jpg")
    main([str(copy), "--out", str(tmp_path / "model.skops")])
    assert "left out, the face of Grace_Hopper: Eileen_Collins/wrong.jpg" in capsys.readouterr().out


def test_the_wavelet_recipe_uses_the_published_rule(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Haar sees two eyes in none of one person's pictures, so she is left out and training stops."""
    error = error_of([people, "--recipe", "wavelet"], capsys)
    assert "Too few: Grace_Hopper (" in error


def test_pictures_come_from_s3(people: Path, tmp_path: Path, s3_url: str) -> None:
    """Pictures under s3://BUCKET/PREFIX give the same data hash as those in a folder."""
    bucket = boto3.resource("s3", endpoint_url=s3_url).Bucket("faces")
    bucket.create()
    for path in people.rglob("*.jpg"):
        bucket.upload_file(str(path), f"people/{path.relative_to(people)}")
    main([str(people), "--out", str(tmp_path / "one.skops")])
    main(["s3://faces/people", "--s3-endpoint-url", s3_url, "--out", str(tmp_path / "other.skops")])
    one, other = (artifact.load(tmp_path / name) for name in ("one.skops", "other.skops"))
    assert one.data_sha256 == other.data_sha256


def test_the_model_knows_its_data(copy: Path, tmp_path: Path) -> None:
    """The same pictures give the same data hash; one picture fewer gives another."""
    hashes = []
    for _ in range(2):
        main([str(copy), "--out", str(tmp_path / "model.skops")])
        hashes.append(artifact.load(tmp_path / "model.skops").data_sha256)
    next((copy / "Grace_Hopper").iterdir()).unlink()
    main([str(copy), "--out", str(tmp_path / "model.skops")])
    hashes.append(artifact.load(tmp_path / "model.skops").data_sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def test_what_cannot_be_used_is_left_out(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other files, broken pictures, lone pictures and those in two folders are listed; the rest is trained on."""
    grace, eileen = copy / "Grace_Hopper", copy / "Eileen_Collins"
    (grace / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (grace / "IMG.jpg.json").write_text("{}")
    (grace / "IMG.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1")
    (eileen / "cut.jpg").write_bytes((eileen / "0.jpg").read_bytes()[:9000])
    (copy / "Ada_Lovelace").mkdir()
    photo("Eileen Collins").rotate(3).save(copy / "Ada_Lovelace" / "only.jpg")
    with Pillow.open(grace / "0.jpg") as picture:
        picture.save(eileen / "grace.png")
    main([str(copy), "--out", str(tmp_path / "model.skops")])
    output, page = capsys.readouterr().out, (tmp_path / "model.html").read_text()
    for name, reason in (
        ("Grace_Hopper/Thumbs.db", "hidden, or a file of the system"),
        ("Grace_Hopper/IMG.jpg.json", "This is a text file"),
        ("Grace_Hopper/IMG.heic", "This is a HEIC picture; convert it to JPEG, PNG or WebP"),
        ("Eileen_Collins/cut.jpg", "The picture is damaged or cut short"),
        ("Ada_Lovelace/only.jpg", "the only usable picture of its person"),
        ("Eileen_Collins/grace.png", "the same picture as Grace_Hopper/0.jpg"),
        ("Grace_Hopper/0.jpg", "the same picture as Eileen_Collins/grace.png"),
    ):
        assert re.search(rf"left out, {reason}.*: {name}$", output, re.MULTILINE)
        assert name in page
    assert [person.person_id for person in artifact.load(tmp_path / "model.skops").gallery.people] == [
        "eileen-collins",
        "grace-hopper",
    ]


def test_too_few_pictures_are_refused_before_any_is_decoded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With one picture each there is nothing to look at; the message counts them, and lists the rest."""
    for name in ("ada/1.jpg", "bea/1.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"\xff\xd8\xff, but nothing more")
    (tmp_path / "bea" / "2.txt").write_text("words")
    error = error_of([tmp_path], capsys)
    assert "Too few: ada (1), bea (1)." in error
    assert "left out, This is a text file; send a JPEG, PNG or WebP picture: bea/2.txt" in error


def test_an_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says what a training folder looks like."""
    assert "Put each person's into a folder" in error_of([tmp_path], capsys)


def test_a_missing_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the folder."""
    assert "nothing is not a folder" in error_of([tmp_path / "nothing"], capsys)


def test_one_person_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A classifier cannot be trained on a single person."""
    shutil.rmtree(copy / "Grace_Hopper")
    assert "pictures of one person, Eileen_Collins" in error_of([copy], capsys)


def test_one_person_under_two_names_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names both folders that give the same identifier."""
    shutil.copytree(copy / "Grace_Hopper", copy / "grace hopper")
    assert "'Grace_Hopper' and 'grace hopper' are the same person, grace-hopper" in error_of([copy], capsys)


@pytest.mark.parametrize("share", ["-0.1", "1", "nan"])
def test_an_impossible_share_is_refused(people: Path, share: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--false-accepts has to be a share."""
    assert "--false-accepts is" in error_of([people, "--false-accepts", share], capsys)


def test_an_unwritable_output_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in place of the model's folder gives a message without a traceback."""
    out = copy / "Grace_Hopper" / "0.jpg" / "model.skops"
    assert "Not trained." in error_of([copy, "--out", out], capsys)


@pytest.mark.parametrize(
    ("place", "message"), [("", "is a folder. Name a file"), ("s3://models/a.skops", "Copy it to S3")]
)
def test_a_wrong_output_is_refused_before_training(
    place: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder or an S3 address as --out is refused before any picture is read."""
    assert message in error_of([tmp_path / "no pictures", "--out", place or tmp_path], capsys)


def test_crops_of_faces_are_taken_whole(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a folder of crops each is a face, also those in which none is found; so are others with --crops."""
    folder = tmp_path / "crops"
    for path in people.rglob("*.jpg"):
        with Pillow.open(path) as picture:
            (face,) = FaceDetector().find(np.asarray(picture)).faces
            (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
            box = (face.left, face.top, face.left + face.width, face.top + face.height)
            picture.crop(box).save(folder / path.parent.name / path.name)
    with Pillow.open(folder / "Grace_Hopper" / "0.jpg") as missed:
        missed.rotate(180).save(folder / "Grace_Hopper" / "0.jpg")
    assert "face crops, whose whole is the face: 6 of 6 pictures" in output_of([folder], capsys)
    with Pillow.open(folder / "Grace_Hopper" / "1.jpg") as tall:
        tall.resize((100, 200)).save(folder / "Grace_Hopper" / "1.jpg")
    assert "face crops, whose whole is the face: 6 of 6 pictures" in output_of([folder, "--crops"], capsys)
    assert "left out, no face: Grace_Hopper/0.jpg" in output_of([folder, "--no-crops"], capsys)


def test_what_is_known_beforehand_is_listed_beforehand(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that are no pictures and people with one picture are listed before any picture is looked at."""
    (copy / "Grace_Hopper" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (copy / "Ada_Lovelace").mkdir()
    for name in ("Ada_Lovelace/only.jpg", "Grace_Hopper/cup.jpg"):
        scene("coffee.png").save(copy / name)
    output = output_of([copy], capsys)
    assert output.index("Thumbs.db") < output.index("cup.jpg")
    assert output.index("only.jpg") < output.index("cup.jpg")


@pytest.mark.parametrize("file", ["Thumbs.db", "cup.jpg"])
def test_a_strict_training_refuses_what_would_be_left_out(
    copy: Path, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --strict, one file that is no picture, or shows no face, is named, and nothing is written."""
    scene("coffee.png").save(copy / "Grace_Hopper" / file, "JPEG")
    assert f": Grace_Hopper/{file}" in error_of([copy, "--strict"], capsys)
    assert not (tmp_path / "model.skops").exists()


def test_wide_names_are_not_cut(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Long names and those in wide characters are whole on the console and the page, and nothing colours a file."""
    names = ["宮崎駿" * 12, "Pablo_Diego_José_Francisco_de_Paula_Juan_Nepomuceno_María_de_los_Remedios_Cipriano"]
    for old, new in zip(("Grace_Hopper", "Eileen_Collins"), names, strict=True):
        (copy / old).rename(copy / new)
    output = output_of([copy], capsys)
    page = (tmp_path / "model.html").read_text()
    assert all(name in output and name.replace("_", " ") in page for name in names)
    assert "\x1b" not in output


def test_every_figure_is_explained(people: Path, tmp_path: Path) -> None:
    """The page says what each figure means, and from what, when and by which version it was made; JSON has them all."""
    main([str(people), "--recipe", "hog-lbp", "--json", str(tmp_path / "model.json")])
    content, page = json.loads((tmp_path / "model.json").read_text()), (tmp_path / "model.html").read_text()
    trained = artifact.load(tmp_path / "model.skops")
    assert content["figures"] == trained.report
    assert content["figures"]["identify_score"] == trained.calibration.identify_score
    for name in content["figures"]:
        assert re.search(rf"<th>{name}</th>\s*<td[^>]*>[^<]+</td>\s*<td class=\"prose\">[A-Zam]", page)
    for value in (
        trained.data_sha256,
        content["provenance"]["date"],
        "How it was made",
        f"<td>{version('marquee')}</td>",
    ):
        assert value in page


def test_classifiers_are_compared_by_their_names(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The published recipe's classifiers are listed with each parameter's score and spread; one of them is chosen."""
    output = output_of([people, "--recipe", "wavelet", "--crops"], capsys)
    rows = [line for line in output.splitlines() if re.search(r"(C|n_estimators)=\d+ ", line)]
    assert [sum(name in row for row in rows) for name in _PUBLISHED] == [4, 4, 3, 3]
    assert all(len(re.findall(r"\d\.\d{3}", row)) == 2 for row in rows)
    (chosen,) = (row for row in rows if "chosen" in row)
    assert any(f"classifier: {name}" in output and name in chosen for name in _PUBLISHED)
