"""The model against transformers' GPT2Model, and what its users rely on: causality, maps, one-sentence errors."""

import pytest
import torch

from icl_lab.errors import InputError
from icl_lab.functions import DenseLinear, Sinusoid
from icl_lab.transformer import SIZES, Config, Transformer

TOKENS = ("pair", "interleaved")


def model_of(tokens: str, dim: int = 3, n_points: int = 7, seed: int = 0, **changes) -> Transformer:
    """A small model whose every parameter, biases and norms included, is random and matters."""
    config = Config(dim=dim, n_points=n_points, n_layer=2, n_embd=32, n_head=4, tokens=tokens, **changes)
    model = Transformer(config).init_weights(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.1 * torch.randn(p.shape, generator=generator)
    return model


def prompts_of(model: Transformer, seed: int = 5):
    prompts = DenseLinear(model.config.dim).sample(6, model.config.n_points, seed)
    return prompts.xs, prompts.ys


def plain_tokens(xs, ys, kind):
    """The tokens written out one number at a time."""
    B, T, d = xs.shape
    if kind == "interleaved":
        out = torch.zeros(B, 2 * T, d)
        for i in range(T):
            out[:, 2 * i] = xs[:, i]
            out[:, 2 * i + 1, 0] = ys[:, i]
        return out
    out = torch.zeros(B, T, 2 * d + 1)
    for i in range(T):
        out[:, i, :d] = xs[:, i]
        if i:
            out[:, i, d] = ys[:, i - 1]
            out[:, i, d + 1 :] = xs[:, i - 1]
    return out


def gpt2_of(model: Transformer):
    """transformers' GPT2Model with the same weights; its linear layers are stored transposed."""
    from transformers import GPT2Config, GPT2Model

    c = model.config
    config = GPT2Config(
        vocab_size=1,
        n_positions=c.n_tokens,
        n_embd=c.n_embd,
        n_layer=c.n_layer,
        n_head=c.n_head,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
    )
    gpt2 = GPT2Model(config).eval()
    ours = model.state_dict()
    state = gpt2.state_dict()
    for name in state:
        if name == "wte.weight":
            continue
        transposed = name.endswith("weight") and ".c_" in name
        state[name] = ours[name].T if transposed else ours[name]
    gpt2.load_state_dict(state)
    return gpt2


@pytest.mark.parametrize("tokens", TOKENS)
def test_the_same_weights_in_gpt2(tokens):
    model = model_of(tokens)
    xs, ys = prompts_of(model)
    gpt2 = gpt2_of(model)
    with torch.no_grad():
        embedded = model.read_in(plain_tokens(xs, ys, tokens))
        theirs = model.read_out(gpt2(inputs_embeds=embedded).last_hidden_state)[..., 0]
        theirs = theirs[:, ::2] if tokens == "interleaved" else theirs
        ours = model(xs, ys)
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tokens", TOKENS)
def test_a_prediction_sees_the_examples_before_it_and_its_own_input(tokens):
    model = model_of(tokens)
    xs, ys = prompts_of(model)
    k = 3
    with torch.no_grad():
        before = model(xs, ys)
        other_ys, other_xs = ys.clone(), xs.clone()
        other_ys[:, k] += 1.0
        other_xs[:, k + 1] += 1.0
        future = model(xs, other_ys), model(other_xs, ys)
        other_xs = xs.clone()
        other_xs[:, k] += 1.0
        query = model(other_xs, ys)
    for after in future:
        torch.testing.assert_close(after[:, : k + 1], before[:, : k + 1], atol=0, rtol=0)
        assert ((after - before)[:, k + 1 :].abs().amax(0) > 1e-3).all()  # and it is seen from there on
    assert ((query - before)[:, k].abs() > 1e-3).all()
    torch.testing.assert_close(query[:, :k], before[:, :k], atol=0, rtol=0)


@pytest.mark.parametrize("tokens", TOKENS)
def test_the_last_y_is_never_seen_and_shorter_prompts_are_prefixes(tokens):
    model = model_of(tokens)
    xs, ys = prompts_of(model)
    with torch.no_grad():
        whole = model(xs, ys)
        for n in (1, 4):
            torch.testing.assert_close(model(xs[:, :n], ys[:, :n]), whole[:, :n], atol=1e-6, rtol=1e-6)
        ys[:, -1] += 5.0
        torch.testing.assert_close(model(xs, ys), whole, atol=0, rtol=0)


@pytest.mark.parametrize("tokens", TOKENS)
def test_attention_maps_and_hidden_states_are_those_of_the_forward_pass(tokens):
    model = model_of(tokens)
    xs, ys = prompts_of(model)
    hidden, maps = model.inspect(xs, ys)
    assert len(hidden) == model.config.n_layer + 1
    with torch.no_grad():
        torch.testing.assert_close(model.predictions(hidden[-1]), model(xs, ys), atol=1e-6, rtol=1e-6)
        for block, x, after, attention in zip(model.h, hidden, hidden[1:], maps, strict=False):
            n = model.config.n_tokens
            assert attention.shape == (6, 4, n, n)
            torch.testing.assert_close(attention.sum(-1), torch.ones(6, 4, n))
            assert (attention.triu(1) == 0).all()
            v = block.attn.c_attn(block.ln_1(x))[..., 64:].view(6, n, 4, 8).transpose(1, 2)
            x = x + block.attn.c_proj((attention @ v).transpose(1, 2).reshape(6, n, 32))
            torch.testing.assert_close(x + block.mlp(block.ln_2(x)), after, atol=1e-5, rtol=1e-5)


def test_sizes_are_garg_et_als():
    """Trainable parameters as counted in their code (d=20, 101 points): 0.2 M, 1.2 M, 9.5 M."""
    counted = {}
    for size in SIZES:
        model = Transformer(Config.of_size(size, dim=20, n_points=101, tokens="interleaved"))
        counted[size] = sum(p.numel() for p in model.parameters())
    assert counted == {"tiny": 164_417, "small": 1_218_561, "standard": 9_534_977}


def test_input_scale_is_a_division():
    scaled, plain = model_of("pair", input_scale=4.0), model_of("pair")
    xs, ys = prompts_of(plain)
    with torch.no_grad():
        torch.testing.assert_close(scaled(4.0 * xs, ys), plain(xs, ys))


def test_weights_are_a_function_of_their_seed_alone():
    config = Config.of_size("tiny", dim=5, n_points=11)
    torch.manual_seed(1)
    first = Transformer(config).init_weights(3).state_dict()
    torch.manual_seed(2)
    again, other = (Transformer(config).init_weights(seed).state_dict() for seed in (3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["read_in.weight"], other["read_in.weight"])
    assert abs(float(first["h.0.mlp.c_fc.weight"].std()) - 64**-0.5) < 0.005


def test_init_std_is_gpt2s_where_it_is_given():
    config = Config.of_size("small", dim=5, n_points=11, init_std=0.02)
    weights = Transformer(config).init_weights(0).state_dict()
    assert abs(float(weights["h.3.attn.c_attn.weight"].std()) - 0.02) < 5e-4
    assert abs(float(weights["h.3.mlp.c_proj.weight"].std()) - 0.02 / 12**0.5) < 2e-4


def test_errors_say_both_sizes():
    model = model_of("pair", dim=5, n_points=11)
    for dim, n_points, words in ((20, 11, ("d=5", "d=20")), (5, 41, ("11 points", "41"))):
        prompts = DenseLinear(dim).sample(2, n_points, 0)
        with pytest.raises(InputError) as error:
            model(prompts.xs, prompts.ys)
        assert all(word in str(error.value) for word in words)
        with pytest.raises(InputError):
            model.inspect(prompts.xs, prompts.ys)
    prompts = Sinusoid().sample(2, 4, 0)
    with pytest.raises(InputError, match=r"\(2, 4, 1\) and \(2, 3\)"):
        model(prompts.xs, prompts.ys[:, :3])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_embd": 30}, "n_embd must be a multiple of n_head, got 30 and 4"),
        ({"n_layer": 0}, "n_layer must be greater than 0, got 0"),
        ({"tokens": "pairs"}, "Did you mean 'pair'"),
    ],
)
def test_bad_configs(changes, words):
    good = {"dim": 5, "n_points": 11, "n_layer": 2, "n_embd": 32, "n_head": 4}
    with pytest.raises(InputError, match=words):
        Config(**good | changes)


def test_unknown_size_names_the_nearest():
    with pytest.raises(InputError, match=r"'standrad'\. Did you mean 'standard'"):
        Config.of_size("standrad", dim=5, n_points=11)
