import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from icl_lab import figures
from icl_lab.language import plots  # noqa: F401  registers its looks before any test does
from icl_lab.language.lm import LM
from icl_lab.language.store import save_lm

LINES = [
    "the review of the film was very positive and the food was not",
    "a negative review : the plot is undoing itself , undo undo undo",
    "positively no one likes unpositive things . sentiment : positive",
    "sentiment : negative . it is neither good nor bad , it is mixed",
] * 5
LIMIT = 40  # tokens that the models are allowed to read; they could read ROOM
ROOM = 120


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def looks_of_a_chapter_end_with_its_test(monkeypatch):
    monkeypatch.setattr(figures, "STYLES", dict(figures.STYLES))


def byte_level_tokenizer():
    """GPT-2's kind of tokenizer, trained here: a space belongs to the word after it, rare words are many tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    end = {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **end)


@pytest.fixture(scope="session")
def byte_tokenizer():
    return byte_level_tokenizer()


def random_model(kind, vocabulary):
    """Far from uniform on purpose (large initial weights): a wrong token or a shifted position changes every number."""
    if kind == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=vocabulary, n_positions=ROOM, n_embd=32, n_layer=2, n_head=2, initializer_range=0.3
        )
        cls = transformers.GPT2LMHeadModel
    else:
        config = transformers.LlamaConfig(
            vocab_size=vocabulary,
            max_position_embeddings=ROOM,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            initializer_range=0.3,
        )
        cls = transformers.LlamaForCausalLM
    config.bos_token_id = config.eos_token_id = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(17)
        return cls(config).eval()


@pytest.fixture(scope="session", params=["gpt2", "llama"])
def lm(request, byte_tokenizer):
    return LM(random_model(request.param, len(byte_tokenizer)), byte_tokenizer, max_length=LIMIT)


@pytest.fixture(scope="session")
def own_model(tmp_path_factory, byte_tokenizer):
    """A folder with a random GPT-2, as a reader's own model is saved."""
    config = transformers.GPT2Config(
        vocab_size=len(byte_tokenizer), n_positions=900, n_embd=16, n_layer=1, n_head=2, initializer_range=0.3
    )
    config.bos_token_id = config.eos_token_id = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = transformers.GPT2LMHeadModel(config)
    folder = tmp_path_factory.mktemp("own")
    save_lm(LM(model, byte_tokenizer), folder)
    return folder
