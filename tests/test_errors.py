"""The error tree is the one its module draws."""

from __future__ import annotations

import inspect
import re

import pytest

from hasten import errors
from hasten.errors import HastenError

CLASSES = {
    name: found
    for name, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, HastenError)
}


def drawn() -> dict[str, tuple[str | None, str]]:
    """Read the drawing: each class with its parent and what is written beside it."""
    found: dict[str, tuple[str | None, str]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^ {4}([│ ]*(?:[├└]── )?)([A-Z]\w+)(.*)$", line)
        if match:
            depth, name, note = len(match[1]), match[2], match[3]
            above = [one for one in above if one[0] < depth]
            found[name] = (above[-1][1] if above else None, note)
            above.append((depth, name))
    return found


def test_the_drawing_holds_every_class_below_its_parent() -> None:
    """No class is missing from the drawing, none is drawn elsewhere than it is."""
    parents = {name: parent for name, (parent, _) in drawn().items()}
    expected = {
        name: None if found is HastenError else found.__mro__[1].__name__
        for name, found in CLASSES.items()
    }
    assert parents == expected


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_the_drawing_says_what_each_error_carries(name: str) -> None:
    """``.field`` in the drawing is an attribute, and ``retryable`` stands where it is true."""
    note = drawn()[name][1]
    error = make(name)
    for attribute in re.findall(r"(?<=\.)[a-z_]+(?=[ ;]|$)", note):
        assert hasattr(error, attribute), attribute
    if name != "HastenError":
        assert error.retryable == ("retryable" in note)


def test_codes_are_distinct() -> None:
    """A machine can tell any two errors apart by their code."""
    codes = [found.code for found in CLASSES.values()]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_the_message_is_kept(name: str) -> None:
    """What is said when raising is what people read."""
    assert "what was wrong" in str(make(name))


def test_invalid_input_names_field_and_what_is_allowed() -> None:
    """The caller learns which field, which value, and what would do."""
    error = errors.InvalidInput("no such area", field="area", value="x", allowed=["a", "b"])
    assert (error.field, error.value, error.allowed, error.others) == ("area", "x", ("a", "b"), ())


def test_a_missing_extra_says_the_line_that_installs_it() -> None:
    """The message is the command."""
    error = errors.MissingExtra("the server", "server")
    assert "pip install 'hasten[server]'" in str(error)
    assert error.extra == "server"


def make(name: str) -> HastenError:
    """Build any error of the tree with a message."""
    found, message = CLASSES[name], "what was wrong"
    extra: dict[str, str] = {}
    if name == "MissingExtra":
        return errors.MissingExtra(message, "server")
    if issubclass(found, errors.InvalidInput):
        extra = {"field": "area"}
    elif issubclass(found, errors.StepError):
        extra = {"step": "rank"}
    elif issubclass(found, errors.StoredFailure):
        extra = {"original": "model_timeout"}
    return found(message, **extra)
