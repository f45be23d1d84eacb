import re
from collections import Counter

import numpy as np
import pytest

from icl_lab.errors import InputError
from icl_lab.language.worlds import Recognition
from icl_lab.language.worlds.recognition import FORMATS, HELD_OUT, LABELS, NAMES, TASKS, TRAINED, WORDS

WORLD = Recognition()
CLASS_OF = {  # word -> (attribute, class), read off the lists
    word: (attribute, number)
    for attribute, lines in WORDS.items()
    for number, line in enumerate(lines)
    for word in line.split()
}


def read(text):
    """(format, instruction or None, [(sentence words, label)]) by the written grammar."""
    words = text.split()
    told = None
    if "?" in words[:8]:
        cut = words.index("?")
        told, words = words[:cut], words[cut + 1 :]
    end = words[-1]
    examples = [e.split() for e in " ".join(words[:-1]).split(f" {end} ")]
    marks = {e[-2] for e in examples}
    first = {e[0] for e in examples}
    prefix = first.pop() if len(first) == 1 and next(iter(first)) in {p for p, _, _ in FORMATS} else ""
    assert len(marks) == 1
    return (prefix, marks.pop(), end), told, [(e[bool(prefix) : -2], e[-1]) for e in examples]


def test_documents_ask_one_task_all_along_in_a_training_format():
    tasks, told_n, formats, named = Counter(), 0, Counter(), 0
    for index in range(500):
        style, told, examples = read(WORLD.document(0, index))
        formats[style] += 1
        assert len(examples) == WORLD.sentences
        fitting = set(TASKS)
        for words, label in examples:
            classes = dict(CLASS_OF[w] for w in words if w in CLASS_OF)
            assert len(classes) == 5
            fitting &= {(a, v) for a, v in TASKS if LABELS[a][v][classes[a]] == label}
            named += any(w in NAMES for w in words)
            assert not any(w in NAMES for w in (label, style[0], style[1]))
        assert len(fitting) == 1
        (attribute, which) = task = fitting.pop()
        tasks[task] += 1
        if told is not None:
            told_n += 1
            assert sorted(w for w in told if w != "or") == sorted(LABELS[attribute][which])
    assert set(formats) <= set(TRAINED)
    assert set(tasks) == set(TASKS)
    assert max(tasks.values()) < 80  # 50 expected
    assert told_n / 500 == pytest.approx(1 / 3, abs=0.065)
    assert named / (500 * WORLD.sentences) == pytest.approx(0.25, abs=0.03)


def test_formats_are_held_out_whole_and_known_in_their_parts():
    assert (len(TRAINED), len(HELD_OUT), len(set(TRAINED) & set(HELD_OUT))) == (40, 10, 0)
    for part in range(3):
        assert {f[part] for f in TRAINED} == {f[part] for f in FORMATS}
        assert {f[part] for f in HELD_OUT} == {f[part] for f in FORMATS}


def test_every_label_word_belongs_to_one_task_and_the_vocabulary_holds_all_there_is():
    assert len(WORLD.labels()) == len(set(WORLD.labels())) == 24
    assert not set(WORLD.labels()) & (set(CLASS_OF) | set(NAMES))
    known = set(WORLD.vocabulary())
    assert len(known) == len(WORLD.vocabulary())
    cases = WORLD.cases(100, 3, instruction=True, formats=HELD_OUT)
    texts = ["".join(c.prompt.input_first(c.labels[c.answer])) for c in cases]
    texts += [WORLD.document(1, i) for i in range(300)]
    assert {word for text in texts for word in text.split()} <= known


def test_the_answer_is_the_task_and_the_query_and_settings_change_nothing_else():
    plain = WORLD.cases(40, 2, seed=3)
    for number, case in enumerate(plain):
        attribute, which = TASKS[number % 10]
        for text, label in [(d.x, d.y) for d in case.prompt.demonstrations] + [
            (case.prompt.query, case.labels[case.answer])
        ]:
            classes = dict(CLASS_OF[w] for w in text.split() if w in CLASS_OF)
            assert LABELS[attribute][which][classes[attribute]] == label
    told = WORLD.cases(40, 4, seed=3, instruction=True)
    other = WORLD.cases(40, 2, seed=3, task=("how", 1), formats=HELD_OUT)
    for a, b, c in zip(plain, told, other, strict=True):
        assert a.prompt.query == b.prompt.query == c.prompt.query
        assert a.prompt.demonstrations == b.prompt.demonstrations[2:]
        assert [d.x for d in a.prompt.demonstrations] == [d.x for d in c.prompt.demonstrations]
        assert c.labels[c.answer] in LABELS["how"][1]
        assert b.prompt.instruction.endswith(" ?")
        assert not a.prompt.instruction
    assert WORLD.cases(5, 2, seed=3) == plain[:5] != WORLD.cases(5, 2, seed=4)
    assert Counter(np.array([c.answer for c in plain]) % 2)[0] > 5


def test_bad_input_is_one_sentence():
    with pytest.raises(InputError, match="sentences must be greater than 0"):
        Recognition(sentences=0)
    with pytest.raises(InputError, match="Unknown task"):
        WORLD.cases(1, task=("why", 0))
    with pytest.raises(InputError, match=re.escape("k >= 0 and a format, got k = -1 and 40 formats")):
        WORLD.cases(1, -1)
