"""Sliders: one for each parameter, each calls the view; no widget where the book runs or ipywidgets is missing."""

import sys

import pytest

from icl_lab import widgets
from icl_lab.errors import InputError
from icl_lab.figures import subplots

ipywidgets = pytest.importorskip("ipywidgets")
pytestmark = pytest.mark.filterwarnings("ignore:.*ipykernel:DeprecationWarning")  # 7.7.1, Colab's, uses old names


@pytest.fixture
def view(monkeypatch):
    """A view that notes its calls; where the book's kernel is not running."""
    monkeypatch.delenv("ICL_LAB_RECORD", raising=False)
    calls = []

    def view(**parameters):
        calls.append(parameters)
        fig, ax = subplots(height=1.0)
        ax.plot([0, 1], [0, 1])
        return fig

    view.calls = calls
    return view


@pytest.fixture
def shown(monkeypatch):
    """What was displayed, in order."""
    things = []
    monkeypatch.setattr("IPython.display.display", lambda thing: things.append(thing))
    return things


def sliders_of(box):
    return {child.description: child for child in box.children if isinstance(child, ipywidgets.SelectionSlider)}


def test_no_parameter_is_refused(view):
    with pytest.raises(InputError, match=r"^explore needs at least one parameter with its values, got none\.$"):
        widgets.explore(view)
    assert view.calls == []


@pytest.mark.parametrize("values", [[], [3], (3,)])
def test_a_parameter_that_cannot_move_is_refused(view, values):
    with pytest.raises(InputError, match=r"the slider 'k' needs at least two values, got \[3?\]"):
        widgets.explore(view, share=[0.1, 0.5], k=values)
    assert view.calls == []


@pytest.mark.parametrize("book", [True, False])
def test_refusals_come_in_the_book_too(view, monkeypatch, book):
    """A mistake in a chapter shows when it is built, not when a reader opens it."""
    if book:
        monkeypatch.setenv("ICL_LAB_RECORD", "record.json")
    with pytest.raises(InputError):
        widgets.explore(view, k=[1])


def test_one_slider_for_each_parameter(view, shown):
    box = widgets.explore(view, share=[0.1, 0.5, 0.9], k=[2, 10], kind=["line", "sinusoid"])
    sliders = sliders_of(box)
    assert list(sliders) == ["share", "k", "kind"]
    assert [value for _, value in sliders["share"].options] == [0.1, 0.5, 0.9]
    assert [label for label, _ in sliders["kind"].options] == ["line", "sinusoid"]
    assert view.calls == [{"share": 0.1, "k": 2, "kind": "line"}]  # drawn once, at the first values
    assert shown[-1] is box


def test_labels_stand_beside_the_sliders(view, shown):
    box = widgets.explore(view, labels={"k": "examples"}, k=[1, 2], non_zeros=[1, 2])
    assert list(sliders_of(box)) == ["examples", "non zeros"]


def test_moving_a_slider_calls_the_view_with_the_new_value(view, shown):
    box = widgets.explore(view, share=[0.1, 0.5, 0.9], k=[2, 10])
    sliders = sliders_of(box)
    sliders["k"].value = 10
    sliders["share"].value = 0.9
    assert view.calls[1:] == [{"share": 0.1, "k": 10}, {"share": 0.9, "k": 10}]
    sliders["share"].value = 0.9  # not moved
    assert len(view.calls) == 3


def test_a_slider_draws_when_it_is_let_go(view, shown):
    """A view takes up to a second: drawing at every value that is passed over would lag behind."""
    box = widgets.explore(view, k=[1, 2, 3])
    assert all(slider.continuous_update is False for slider in sliders_of(box).values())


def test_the_view_is_shown_as_a_picture(view, shown):
    box = widgets.explore(view, k=[1, 2])
    assert isinstance(box.children[-1], ipywidgets.Output)
    picture, last = shown  # drawn within the box, before the box itself is shown
    assert last is box
    assert picture.data.startswith(b"\x89PNG")
    sliders_of(box)["k"].value = 2
    assert len(shown) == 3


def test_in_the_book_there_is_a_sentence_and_no_widget(view, shown, monkeypatch):
    monkeypatch.setenv("ICL_LAB_RECORD", "record.json")
    box = widgets.explore(view, k=[1, 2])
    assert box is None
    assert view.calls == []
    assert [sentence.data for sentence in shown] == [widgets.STATIC]
    assert "sliders" in widgets.STATIC


def test_without_ipywidgets_there_is_a_sentence(view, shown, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # importing it now fails
    box = widgets.explore(view, k=[1, 2])
    assert box is None
    assert [sentence.data for sentence in shown] == [widgets.STATIC]
