"""Chapter 1's section on a model of the reader's own, run on a random GPT-2 that is made here and saved to a folder."""

import nbformat

from icl_lab.address import ROOT

CHAPTER = ROOT / "chapters" / "01_what_is_icl.ipynb"


def run_section(**parameters):
    """Run the parameters, the first cell of code and the section's own cells; what they display, and their names."""
    cells = [cell for cell in nbformat.read(CHAPTER, as_version=4).cells if cell.cell_type == "code"]
    tags = [cell.metadata.get("tags", []) for cell in cells]
    at = next(i for i, names in enumerate(tags) if "parameters" in names)
    names, shown = {}, []
    exec(cells[at].source, names)
    names.update(parameters)
    exec(cells[at + 1].source, names)
    names["display"] = lambda one: shown.append(one.data)
    section = [cell for cell, names_of in zip(cells, tags, strict=True) if "own-model" in names_of]
    assert len(section) == 5
    for cell in section:
        exec(cell.source, names)
    return "\n".join(shown), names


def test_every_prompt_of_the_chapter_can_be_asked_of_a_model_of_the_hub_kind(own_model):
    shown, names = run_section(model=str(own_model), n_own=4)
    rows = names["own_rows"]
    assert [row for row in rows if row.endswith("demonstrations")] == [f"{k} demonstrations" for k in (0, 1, 4, 8)]
    assert sum("without" in row for row in rows) == len(names["CHANGES"]) - 2 == 7
    assert sum("asked in" in row for row in rows) == 2
    for accuracy in rows.values():
        assert 0 <= accuracy.low <= accuracy.mean <= accuracy.high <= 1
    assert "The capital of France is" in shown
    assert "Not measured here" not in shown


def test_what_is_taken_away_is_taken_away_from_the_reviews_too():
    _, names = run_section()
    (case,) = names["english"].cases(1, (4, 4), seed=3)
    texts = {}
    for what, how in names["CHANGES"].items():
        texts[what] = "".join(names["changed"]([case], how)[0].prompt.input_first("?"))
    assert len(set(texts.values())) == len(texts)
    for label in case.labels:
        assert label not in texts["label space"]
        assert label not in texts["labels"]
    for shot in case.prompt.demonstrations:
        assert shot.x not in texts["input distribution"]
        assert shot.x not in texts["inputs"]
    assert all(text.endswith(f"Review: {case.prompt.query}\nSentiment: ?") for text in texts.values())


def test_without_a_model_nothing_is_measured_and_the_page_says_so():
    shown, names = run_section()
    assert names["own_rows"] == {}
    assert "Not measured here" in shown
