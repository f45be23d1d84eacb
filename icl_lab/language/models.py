"""Tiny language models for the worlds, and `load_lm`, which treats them and the models of the hub alike.

The models are ``transformers``' own: a Llama of a few layers (rotary positions, so that what is learned about "the
token after" does not depend on where it stands) with one token per word.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial

import torch
from tqdm import tqdm

from icl_lab.errors import InputError, positive, unknown
from icl_lab.language.lm import LM
from icl_lab.language.store import folder_of, need_transformers, quiet, shipped, verify
from icl_lab.optimizers import Muon
from icl_lab.precision import has_bf16

# Small causal models of the Hugging Face hub that the course has been written with; others work by owner/name.
HUB = (
    "gpt2",
    "distilgpt2",
    "gpt2-medium",
    "EleutherAI/pythia-70m",
    "EleutherAI/pythia-160m",
    "HuggingFaceTB/SmolLM2-135M",
)
BOS, EOS, UNK = "<s>", "</s>", "<unk>"


def word_tokenizer(words: list[str]):
    """A Hugging Face tokenizer with one token per word, split at white space; it begins every text with <s>."""
    transformers = need_transformers()
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([EOS, BOS, UNK, *words]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])]
    )
    special = {"bos_token": BOS, "eos_token": EOS, "unk_token": UNK, "pad_token": EOS}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def tiny_lm(
    world, width: int = 64, layers: int = 2, heads: int = 4, context: int = 128, seed: int = 0, matching: bool = False
) -> LM:
    """An untrained Llama-style model for a world's vocabulary (about 0.1 M parameters at the default size).

    ``matching``: two changes that help a model to find earlier words and copy what came after them. Attention has
    biases, so that a head can look one word back whatever the words; and the matrix that reads words is not the one
    that writes them, so that a word does not speak for itself.

    Raises InputError for sizes that do not fit: width must be a multiple of 2 * heads (rotary turns pairs).
    """
    transformers = need_transformers()
    for name, value in {"width": width, "layers": layers, "heads": heads, "context": context}.items():
        positive(name, value)
    if width % (2 * heads):
        raise InputError(f"width must be a multiple of 2 * heads = {2 * heads}, got {width}.")
    tokenizer = word_tokenizer(world.vocabulary())
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context,
        tie_word_embeddings=not matching,
        attention_bias=matching,
        initializer_range=width**-0.5,  # 1/sqrt(fan-in); the usual 0.02 is small for so narrow a model
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(config)
    return LM(model, tokenizer)


def train_lm(
    world,
    steps: int = 600,
    batch_size: int = 16,
    lr: float = 5e-3,
    seed: int = 0,
    lm: LM | None = None,
    device: str = "cpu",
    progress: bool = True,
    optimizer: str = "adamw",
    labels_only: bool = False,
) -> LM:
    """Train a tiny model on a world's documents by next-token prediction and return it with ``lm.history``.

    ``lm``: the model to go on with; None: `tiny_lm(world, seed=seed)`. ``lm.history``: a list of (step, loss in nats
    per token that counts). ``optimizer``: "adamw", or "muon" (on the matrices of the blocks, AdamW on the rest).
    ``labels_only``: only the labels (what ``world.answers`` marks) count in the loss, as in meta-training; the rest of
    the text is read.
    The same arguments give the same weights on the same machine and number of threads.
    Raises InputError for counts that are not positive, an unknown optimizer, a world that does not say which of its
    words are answers where that is asked for, and documents longer than the model can read.
    """
    for name, value in {"steps": steps, "batch_size": batch_size, "lr": lr}.items():
        positive(name, value)
    lm = tiny_lm(world, seed=seed) if lm is None else lm
    model, tokenizer = lm.model.to(device).train(), lm.tokenizer
    optimizers = _optimizers(model, optimizer, lr)
    rate = partial(_rate, steps=steps)
    schedules = [torch.optim.lr_scheduler.LambdaLR(one, rate) for one in optimizers]
    lm.history, started = [], time.process_time()
    bar = tqdm(range(steps), disable=not progress, desc="train_lm", mininterval=2.0)
    for step in bar:
        documents = world.batch(seed, step, batch_size)
        ids, targets = (t.to(device) for t in _tensors(tokenizer, documents, lm.max_length))
        hidden = model.base_model(input_ids=ids).last_hidden_state  # (batch, tokens, width)
        if labels_only:  # read everything, but spell out only what counts
            chosen = _answers(world, documents, targets)
            hidden, targets = hidden[chosen], targets[chosen]  # (chosen, width), (chosen,)
        logits = model.get_output_embeddings()(hidden)  # (..., vocabulary)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for one, schedule in zip(optimizers, schedules, strict=True):
            one.step()
            schedule.step()
        if step % 20 == 0 or step == steps - 1:
            lm.history.append((step, loss.item()))
            bar.set_postfix(loss=f"{lm.history[-1][1]:.3f}", refresh=False)
    model.eval()
    lm.training = {
        "steps": steps,
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "optimizer": optimizer,
        "labels_only": labels_only,
        "final_loss": lm.history[-1][1],
        "cpu_seconds": round(time.process_time() - started, 1),
        "world": {"name": type(world).__name__, **asdict(world)},
    }
    return lm


def _answers(world, documents: list[str], targets: torch.Tensor) -> torch.Tensor:
    """(batch, tokens) bool: the targets that the world counts as answers. One word is one token here."""
    if not hasattr(world, "answers"):
        raise InputError(f"The world {type(world).__name__} does not say which words are answers: train on all words.")
    marks = [torch.tensor(world.answers(document)) for document in documents]
    return torch.nn.utils.rnn.pad_sequence(marks, batch_first=True, padding_value=False).to(targets.device)


def _optimizers(model, name: str, lr: float) -> list[torch.optim.Optimizer]:
    """AdamW with the weight decay of language models; or Muon on the blocks' matrices, AdamW on the rest, no decay."""
    if name == "adamw":
        return [torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.1)]
    if name != "muon":
        raise unknown("optimizer", name, ("adamw", "muon"))
    blocks = [p for n, p in model.named_parameters() if ".layers." in n and p.ndim == 2]
    chosen = {id(p) for p in blocks}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    dtype = torch.bfloat16 if has_bf16(next(model.parameters()).device) else torch.float32
    adam = torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.95), weight_decay=0.0)
    return [Muon(blocks, lr=lr, dtype=dtype), adam]


def _rate(step: int, steps: int) -> float:
    """Learning rate, as a part of the peak: up over a tenth of the steps (100 at most), then down in a line."""
    warmup = max(1, min(steps // 10, 100))
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


def _tensors(tokenizer, documents: list[str], limit: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (batch, tokens) and, for each, the next token; -100 where the text is over and nothing is learned."""
    rows = [torch.tensor(ids) for ids in tokenizer(documents).input_ids]
    longest = max(len(row) for row in rows)
    if longest > limit:
        raise InputError(f"A document of this world has {longest} tokens, the model reads at most {limit}.")
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)
    return padded[:, :-1].clamp(min=0), padded[:, 1:]


def load_lm(name_or_path: str, device: str = "cpu", add_bos: bool | None = None) -> LM:
    """A language model by the short name of a shipped one, a folder, or a Hugging Face id.

    Raises InputError, one sentence each, for: a name that is neither (the nearest known one is suggested), a folder
    without a model, weights that are not those of their card, a model that could not be fetched, no transformers.
    """
    transformers = need_transformers()
    name = str(name_or_path)
    folder, known = folder_of(name), [*shipped(), *HUB]
    if folder.is_dir():
        verify(folder)
        source = str(folder)
    elif name in HUB or (name.count("/") == 1 and not name.startswith((".", "/", "~"))):
        source = name
    else:
        raise unknown("language model", name, known)
    try:
        with quiet() if folder.is_dir() else nullcontext():  # a download shows its progress
            tokenizer = transformers.AutoTokenizer.from_pretrained(source)
            model = transformers.AutoModelForCausalLM.from_pretrained(source)
    except (OSError, ValueError) as error:
        where = "read from the folder" if folder.is_dir() else "fetched from the Hugging Face hub as"
        raise InputError(f"No language model could be {where} '{name}': {_first_line(error)}") from error
    return LM(model.float().to(device), tokenizer, add_bos=add_bos)  # half precision is for the file alone


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
