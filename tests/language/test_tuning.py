import copy
import re

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from icl_lab.errors import InputError
from icl_lab.language.lm import LM
from icl_lab.language.prompts import Demonstration, Prompt, Template
from icl_lab.language.scoring import direct
from icl_lab.language.tuning import (
    as_examples,
    attention_flops,
    fine_tune,
    forward_flops,
    tune_soft_prompt,
    with_soft_prompt,
    word_vectors,
)

STYLE = Template("{x} :{y}", "{y} :{x}", " .\n")
SHOTS = (("the plot", " positive"), ("it is undoing itself", " negative"), ("food", " neither"))
PROMPT = Prompt("the film", tuple(Demonstration(*shot) for shot in SHOTS), STYLE)
EXAMPLES = as_examples(PROMPT)


def answer_loss(model, lm, vectors=None):
    """Mean over answer tokens of - log p, one unpadded text after another: what tuning descends, written out."""
    terms = []
    for prompt, answer in EXAMPLES:
        head, tail = lm.encode(prompt.input_first("")[0]), lm.encode(answer)
        ids = torch.tensor([([lm.prefix] if lm.add_bos else []) + head + tail])
        words = model.get_input_embeddings()(ids)
        if vectors is not None:
            at = int(lm.add_bos)
            words = torch.cat([words[:, :at], vectors[None], words[:, at:]], dim=1)
        logp = model(inputs_embeds=words).logits[0].log_softmax(-1)
        terms += [-logp[-len(tail) - 1 + i, token] for i, token in enumerate(tail)]
    return torch.stack(terms).mean()


def reference(lm, parameters, loss, steps, lr):
    optimizer, values = torch.optim.Adam(parameters, lr=lr), []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        values.append(value.item())
    return values


def test_examples_are_the_demonstrations_as_queries():
    assert [(p.query, p.demonstrations, answer) for p, answer in EXAMPLES] == [(x, (), y) for x, y in SHOTS]
    assert all(p.template == STYLE for p, _ in EXAMPLES)


def test_fine_tuning_is_adam_on_the_answers_and_leaves_the_model_alone(lm):
    before = copy.deepcopy(lm.model.state_dict())
    tuned = fine_tune(lm, EXAMPLES, (1, 3), lr=1e-3)
    for name, value in lm.model.state_dict().items():
        assert torch.equal(value, before[name])
    model = copy.deepcopy(lm.model)
    losses = reference(lm, list(model.parameters()), lambda: answer_loss(model, lm), 3, 1e-3)
    assert [tuned[step].training["loss"] for step in (1, 3)] == pytest.approx([losses[0], losses[2]], rel=1e-4)
    # By what they say, not by their weights: those without a gradient (biases of keys) Adam moves by rounding alone.
    ids = torch.tensor([lm.encode("the film is undoing itself")])
    with torch.no_grad():
        found, wanted, old = (m(input_ids=ids).logits.log_softmax(-1) for m in (tuned[3].model, model, lm.model))
    assert torch.allclose(found, wanted, atol=2e-3)
    assert not torch.allclose(old, wanted, atol=0.1)
    assert tuned[3].training["bytes"] == 4 * sum(p.numel() for p in lm.model.parameters())
    assert tuned[3].training["flops"] == 3 * tuned[1].training["flops"]
    assert not np.allclose(direct(tuned[1], PROMPT, ["x", "y"]), direct(tuned[3], PROMPT, ["x", "y"]))


def test_tuning_a_soft_prompt_changes_the_vectors_alone(lm):
    start = word_vectors(lm, "undo food") + 0.1
    before = copy.deepcopy(lm.model.state_dict())
    tuned = tune_soft_prompt(lm, EXAMPLES, start, 3, lr=1e-2)[3]
    for name, value in lm.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.requires_grad for p in lm.model.parameters())
    vectors = torch.nn.Parameter(start.clone())
    losses = reference(lm, [vectors], lambda: answer_loss(lm.model, lm, vectors), 3, 1e-2)
    lm.model.zero_grad()
    assert tuned.training["loss"] == pytest.approx(losses[2], rel=1e-4)
    assert torch.allclose(tuned.model.vectors, vectors, atol=1e-3)
    assert not torch.allclose(tuned.model.vectors, start, atol=1e-2)
    assert tuned.training["bytes"] == 4 * start.numel()


@pytest.mark.parametrize("add_bos", [False, True])
def test_the_embeddings_of_words_as_a_soft_prompt_are_those_words(lm, add_bos):
    lm = LM(lm.model, lm.tokenizer, add_bos, lm.max_length)
    front = "good . positive\nthe food"  # ends at a token boundary, whatever follows
    soft = with_soft_prompt(lm, word_vectors(lm, front))
    rows = [lm.encode(" was good"), lm.encode(" is undo undo undoing")]
    first = [lm.prefix] if lm.add_bos else []
    plain = lm._run([first + lm.encode(front) + row for row in rows])
    for row, (logprobs, _), (found, _) in zip(rows, plain, soft._run([first + row for row in rows]), strict=True):
        n = len(row) - 1 + len(first)
        assert len(found) == n
        assert np.allclose(found, logprobs[-n:], atol=1e-4)
    assert soft.max_length == lm.max_length - len(lm.encode(front))


@pytest.mark.parametrize("tuning", ["weights", "vectors"])
def test_operations_are_those_that_pytorch_counts(lm, tuning):
    model = copy.deepcopy(lm.model)
    model.set_attn_implementation("eager")  # the counter does not know the fused attention of a CPU
    words = torch.randn(4, 9, 32, requires_grad=True)
    model.requires_grad_(tuning == "weights")
    with FlopCounterMode(display=False) as counter:
        loss = model(inputs_embeds=words).logits.sum()
    forward = counter.get_total_flops()
    assert forward_flops(lm, [9] * 4) == forward
    with FlopCounterMode(display=False) as counter:
        loss.backward()
    wanted = 3 * forward if tuning == "weights" else 2 * forward + attention_flops(lm, [9] * 4)
    assert forward + counter.get_total_flops() == wanted


def test_texts_of_different_lengths_are_counted_each_at_its_own(lm):
    assert forward_flops(lm, [3, 9]) == forward_flops(lm, [3]) + forward_flops(lm, [9])
    lengths = [len(lm.encode(p.input_first("")[0])) + len(lm.encode(y)) - 1 + int(lm.add_bos) for p, y in EXAMPLES]
    assert fine_tune(lm, EXAMPLES, 1)[1].training["flops"] == 3 * forward_flops(lm, lengths)
    longer = [n + 2 for n in lengths]
    soft = tune_soft_prompt(lm, EXAMPLES, torch.zeros(2, 32), 2)[2]
    assert soft.training["flops"] == 2 * (2 * forward_flops(lm, longer) + attention_flops(lm, longer))


def test_bad_input_is_one_sentence(lm):
    for call, message in (
        (lambda: fine_tune(lm, []), "needs at least one example"),
        (lambda: fine_tune(lm, [(PROMPT, "")]), "has no tokens, so there is nothing to learn"),
        (lambda: fine_tune(lm, EXAMPLES, 0), "steps must be greater than 0"),
        (lambda: fine_tune(lm, EXAMPLES, ()), "steps must be greater than 0"),
        (lambda: fine_tune(lm, EXAMPLES, 1, lr=0), "lr must be greater than 0"),
        (lambda: with_soft_prompt(lm, torch.zeros(3, 31)), "vectors of shape (n, 32), got (3, 31)"),
        (lambda: with_soft_prompt(lm, torch.zeros(0, 32)), "vectors of shape (n, 32), got (0, 32)"),
        (lambda: with_soft_prompt(lm, torch.zeros(40, 32)), "40 vectors leave no room"),
        (lambda: word_vectors(lm, ""), "has no tokens to make vectors of"),
        (lambda: with_soft_prompt(lm, torch.zeros(1, 32)).generate_until(["a"]), "it does not generate"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            call()
