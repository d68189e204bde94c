"""Tests of labels as people have them."""

from pathlib import Path

import pytest

from services.keras.convert.labels import LabelsProblem, read_labels


@pytest.mark.parametrize("text", ["A, B,C", "A,B , C"])
def test_list(text: str) -> None:
    """Labels may be listed, with commas between them."""
    assert read_labels(text) == ["A", "B", "C"]


@pytest.mark.parametrize("label", ["Celebrity", "x" * 5000])
def test_one_label(label: str) -> None:
    """A single name that is not a file's is a label, even one that no file can have."""
    assert read_labels(label) == [label]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", "A\nB b\nC, c\n"),
        ("labels", "A\r\nB b\r\n\r\nC, c"),
        ("labels.txt", "\ufeff0 A\n1 B b\n2 C, c\n"),
        ("labels.csv", "0,A\n1,B b\n2,C, c\n"),
        ("a,b.txt", "0: A\n1:\tB b\n2\tC, c\n"),
        ("powershell.txt", "A\r\nB b\r\nC, c\r\n".encode("utf-16")),
        ("metadata.json", '{"labels": ["A", "B b", "C, c"], "imageSize": 224}'),
        ("config.json", '{"id2label": {"0": "A", "1": "B b", "2": "C, c"}}'),
        ("labels.json", '["A", "B b", "C, c"]'),
        ("indices.json", '{"B b": 1, "A": 0, "C, c": 2}'),
        ("index.json", '{"2": "C, c", "0": "A", "1": "B b"}'),
        ("imagenet.json", '{"0": ["n1", "A"], "1": ["n2", "B b"], "2": ["n3", "C, c"]}'),
    ],
)
def test_file(tmp_path: Path, name: str, content: str | bytes) -> None:
    """A file has a label a line, with or without its index, or one of the forms of JSON that Keras's users have."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert read_labels(str(path)) == ["A", "B b", "C, c"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.txt", None, "missing.txt cannot be read: No such file"),
        ("empty.txt", "", "it is empty"),
        ("cut.json", '["A", ', "does not hold labels"),
        ("numbers.json", "[1, 2]", "its entries are not all names"),
        ("gaps.json", '{"A": 0, "B": 2}', "its indices are not 0 to 1, each once"),
        ("words.json", '{"a": "b"}', "its indices are not 0 to 0, each once"),
        ("nameless.json", '{"0": [], "1": ["b"]}', "its entries are not all names"),
        ("list.json", '[["A", "B"]]', "its entries are not all names"),
        ("deep.json", "[" * 100_000, "does not hold labels"),
        ("cut.txt", b"\xff\xfeA", "does not hold labels"),
        ("latin.txt", b"Caf\xe9", "does not hold labels: it is not text in UTF-8"),
    ],
)
def test_wrong_file(tmp_path: Path, name: str, content: str | bytes | None, reason: str) -> None:
    """The error for a file without labels names it and says why."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(LabelsProblem, match=reason):
        read_labels(str(path))
