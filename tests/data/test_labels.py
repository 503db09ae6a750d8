import pytest

from imgcls_ray.data.labels import Labels


def test_labels_are_sorted_whatever_the_order_of_the_names() -> None:
    labels = Labels.of(["tulip", "daisy", "tulip", "rose"])
    assert labels.names == ("daisy", "rose", "tulip")
    assert [labels.index(name) for name in labels.names] == [0, 1, 2]
    assert len(labels) == 3


def test_labels_survive_json() -> None:
    labels = Labels.of(["b", "ä", "a"])
    assert Labels.from_json(labels.to_json()) == labels


def test_digest_tells_other_names_and_other_borders_apart() -> None:
    digests = {Labels.of(names).sha256 for names in (["a", "b"], ["a", "c"], ["ab"], ["a", "b", "c"])}
    assert len(digests) == 4


def test_changed_names_are_refused() -> None:
    document = Labels.of(["a", "b"]).to_json()
    document["names"] = ["a", "c"]
    with pytest.raises(ValueError, match="do not fit their sha256"):
        Labels.from_json(document)


@pytest.mark.parametrize("names", [(), ("b", ""), ("a", "a")])
def test_no_names_empty_or_repeated_ones_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="not empty and stand once"):
        Labels(names)


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(ValueError, match="no class 'c'; the classes are a, b"):
        Labels.of(["a", "b"]).index("c")
