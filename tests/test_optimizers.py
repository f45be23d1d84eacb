"""Muon against torch.optim.Muon; what is stepped by which optimizer; the schedule's tensors; state out and in."""

import pytest
import torch
from torch import nn

from icl_lab import optimizers
from icl_lab.errors import InputError
from icl_lab.optimizers import Muon, orthogonalize
from icl_lab.transformer import Config, Transformer

SHAPES = [(24, 8), (8, 24), (16, 16), (24, 8), (8, 24), (12, 40)]
CPU = torch.device("cpu")


def matrices(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def give_gradients(params, step: int) -> None:
    for i, p in enumerate(params):
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(100 * step + i)) * 0.1 ** (i % 3)


def moved(optimizer, params, steps: int = 6) -> list[torch.Tensor]:
    """How far every matrix went."""
    start = [p.detach().clone() for p in params]
    for step in range(steps):
        give_gradients(params, step)
        optimizer.step()
    return [p.detach() - s for p, s in zip(params, start, strict=True)]


def relative(a, b) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("lr", [0.02, torch.tensor(0.02)])
def test_muon_is_torchs_muon(lr):
    ours, theirs = matrices(), matrices()
    reference = torch.optim.Muon(
        theirs, lr=0.02, momentum=0.9, nesterov=True, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
    )
    for a, b in zip(moved(Muon(ours, lr=lr, momentum=0.9), ours), moved(reference, theirs), strict=True):
        assert relative(a, b) < 0.01


def test_the_tolerance_above_would_miss_no_wrong_muon():
    """Another momentum, no Nesterov, another scale: each moves the matrices by more than ten times the tolerance."""
    for wrong in ({"momentum": 0.8}, {"nesterov": False}, {"adjust_lr_fn": "original"}, {"ns_steps": 4}):
        ours, theirs = matrices(), matrices()
        settings = {"momentum": 0.9, "weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"} | wrong
        reference = torch.optim.Muon(theirs, lr=0.02, **settings)
        a, b = moved(Muon(ours, lr=0.02, momentum=0.9), ours), moved(reference, theirs)
        assert max(map(relative, a, b)) > 0.1


def test_muon_in_float32_differs_by_rounding_only():
    ours, theirs = matrices(), matrices()
    a = moved(Muon(ours, lr=0.02, dtype=torch.float32), ours)
    for x, y in zip(a, moved(Muon(theirs, lr=0.02), theirs), strict=True):
        assert relative(x, y) < 0.02


@pytest.mark.parametrize("shape", [(3, 32, 8), (3, 8, 32), (2, 16, 16)])
def test_orthogonalized_matrices_keep_their_singular_vectors(shape):
    stack = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, s, vh = torch.linalg.svd(stack, full_matrices=False)
    stack = u @ torch.diag_embed(s.clamp(min=0.3)) @ vh
    core = u.mT @ orthogonalize(stack, torch.float32) @ vh.mT
    values = core.diagonal(dim1=-2, dim2=-1)
    assert float((core - torch.diag_embed(values)).abs().max()) < 1e-4
    assert 0.6 < float(values.min()) < float(values.max()) < 1.3


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_the_rest():
    model = Transformer(Config.of_size("tiny", dim=2, n_points=4))
    adam, muon = optimizers.build(model, "muon", 5e-3, CPU)
    names = {id(p): name for name, p in model.named_parameters()}
    taken = [[names[id(p)] for group in o.param_groups for p in group["params"]] for o in (adam, muon)]
    assert len(taken[1]) == 3 * 4
    assert all(name.startswith("h.") and name.endswith("weight") and "ln" not in name for name in taken[1])
    assert sorted(taken[0] + taken[1]) == sorted(names.values())
    assert {"read_in.weight", "wpe.weight", "read_out.weight", "h.0.ln_1.weight"} <= set(taken[0])


@pytest.mark.parametrize(("name", "betas"), [("adamw", (0.9, 0.95)), ("adam", (0.9, 0.999))])
def test_the_others_are_torchs_adam_without_decay(name, betas):
    generator = torch.Generator().manual_seed(0)
    ours, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    (built,) = optimizers.build(ours, name, 0.01, CPU)
    reference = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=betas)
    for _ in range(5):
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            p.grad = torch.randn(p.shape, generator=generator)
            q.grad = p.grad.clone()
        built.step()
        reference.step()
    torch.testing.assert_close(ours.weight, theirs.weight, atol=1e-6, rtol=1e-5)


def test_rates_are_multiplied_in_place():
    built = optimizers.build(Transformer(Config.of_size("tiny", dim=2, n_points=4)), "muon", 5e-3, CPU)
    tensors = [group["lr"] for o in built for group in o.param_groups]
    optimizers.set_rate(built, torch.tensor(0.5))
    optimizers.set_rate(built, torch.tensor(0.1))  # of the base rate, not of the last
    assert [float(t) for t in tensors] == pytest.approx([5e-4, 5e-4])
    assert all(group["lr"] is t for o, t in zip(built, tensors, strict=True) for group in o.param_groups)


def test_state_out_and_in_again_goes_on_as_if_nothing_happened():
    def build():
        model = Transformer(Config.of_size("tiny", dim=2, n_points=4)).init_weights(0)
        return list(model.parameters()), optimizers.build(model, "muon", 5e-3, CPU)

    params, built = build()
    for step in range(3):
        give_gradients(params, step)
        for o in built:
            o.step()
    flat = {name: t.clone() for name, t in optimizers.state_tensors(built).items()}
    others, again = build()
    for p, q in zip(params, others, strict=True):
        q.data.copy_(p.data)
    optimizers.load_state_tensors(again, flat)
    for ps, os in ((params, built), (others, again)):
        give_gradients(ps, 3)
        for o in os:
            o.step()
    assert all(torch.equal(p, q) for p, q in zip(params, others, strict=True))


def test_unknown_optimizer():
    with pytest.raises(InputError, match=r"Unknown optimizer 'moun'\. Did you mean 'muon'"):
        optimizers.check_optimizer("moun")
