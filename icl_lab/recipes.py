"""Named trainings, one short dataclass each. ``get("dense_d5")`` or ``icl-lab train dense_d5``.

Names say what is trained on; d = 20 unless the name says otherwise. A checkpoint is ``<size>/<recipe>``.

How optimizer, rate, batch, tokens and init were chosen: trials of ``dense_d8`` at small size, 60 CPU seconds and one
seed each (``python -m benchmarks.trials``; 1,280 prompts). The first row is what the recipes take. On the busy machine
a step took up to a fifth longer in one trial than in another.

trial                             steps  error at k=4   error at k=8   error at k=16
Muon 4e-3, batch 64                 414  0.556          0.253          0.076
Muon 4e-3, batch 256                126  0.674          0.478          0.343
Muon 1e-2, batch 64                 464  0.548          0.268          0.099
Muon 1.5e-3, batch 64               475  0.580          0.335          0.151
AdamW 1e-3, batch 64                485  0.552          0.296          0.102
AdamW 1e-3, batch 256               155  0.620          0.369          0.206
AdamW 3e-3, batch 64                571  0.592          0.358          0.181
AdamW 3e-4, batch 64                658  0.587          0.333          0.163
Muon 4e-3, interleaved              243  0.770          0.658          0.733
Muon 4e-3, init .02                 466  0.590          0.332          0.162
Adam 1e-4, init .02, interleaved    268  0.986          0.899          1.004
"""

from __future__ import annotations

from icl_lab.curriculum import Curriculum, SignsFirst
from icl_lab.errors import unknown
from icl_lab.functions import (
    ConvexCombination,
    DecisionTree,
    DenseLinear,
    Line,
    Mixture,
    Sinusoid,
    SparseAny,
    SparseLinear,
    TaskPool,
    TwoLayerReLU,
)
from icl_lab.functions.curves import INPUT_STD
from icl_lab.training import Recipe

ALL: dict[str, Recipe] = {}
DENSE_SPARSE2 = Mixture((DenseLinear(20), SparseLinear(20, nonzeros=2)))
SIGNS_OF_20 = SignsFirst(20, dims=8, grow=(0.0, 0.2), soften=(0.3, 0.5), mix=(0.5, 0.6))


def _add(recipe: Recipe) -> None:
    ALL[recipe.name] = recipe


# Dense linear functions in five dimensions: the training that the reader runs. Paper: Garg et al. 2022 (their toy
# setting, d=5, 11 points). Command: icl-lab train dense_d5. About a minute on one core; error .03 at k=10.
_add(Recipe("dense_d5", DenseLinear(5), n_points=11, steps=2600, size="tiny"))

# Lines, sinusoids and both: the first model selection. Paper: arXiv 2311.00871 (the classes; the laws are ours).
# Command: icl-lab train line_sine. 5 to 10 minutes on one core; error at k=10 .003 on lines and .1 on sinusoids.
_add(Recipe("line", Line(), n_points=41, steps=4000, size="tiny", input_scale=INPUT_STD))
_add(Recipe("sine", Sinusoid(), n_points=41, steps=3000, size="tiny", input_scale=INPUT_STD))
_add(Recipe("line_sine", Mixture((Line(), Sinusoid())), n_points=41, steps=5000, size="tiny", input_scale=INPUT_STD))

# Dense functions in the research's own dimension. Paper: Garg et al. 2022. Command: icl-lab train dense --size small.
# Half an hour on one core; error .49 at k=10 (least squares .49), .09 at k=20, .002 at k=40.
_add(Recipe("dense", DenseLinear(20), n_points=41, steps=6_000, lr=4e-3))

# Two of twenty, and the mixture. Paper: arXiv 2311.00871. Plain training stays on the least-squares curve for tens of
# thousands of steps. At small size: sparse2 for 9,000 steps, then 7,000 more (--plain --warm-start small/sparse2 --lr
# 3e-3): error .32 at k=10 (least squares .50), .04 at k=20. The mixture from there in 20,000 steps, dense prompts mixed
# in during the first three tenths: .36 and .03 on sparse, .51 and .09 on dense. 77 and 77 minutes on one core.
_add(
    Recipe(
        "sparse2",
        SparseLinear(20, nonzeros=2),
        n_points=41,
        steps=40_000,
        lr=4e-3,
        curriculum=SignsFirst(20, dims=8, grow=(0.0, 0.3), soften=(0.5, 0.8)),
    )
)
_add(Recipe("dense_sparse2", DENSE_SPARSE2, n_points=41, steps=80_000, lr=4e-3, curriculum=SIGNS_OF_20))

# One of eight and one of ten, by signs first: pairs that select after an hour on a CPU. Paper: arXiv 2311.00871 (the
# classes; d and the curriculum are ours). Command: icl-lab train dense_sparse1_d8.
for _d in (8, 10):
    _sparse = SparseLinear(_d, nonzeros=1)
    _add(Recipe(f"dense_d{_d}", DenseLinear(_d), n_points=2 * _d + 1, steps=6_000, lr=4e-3))
    _add(
        Recipe(
            f"sparse1_d{_d}",
            _sparse,
            n_points=2 * _d + 1,
            steps=8_000,
            lr=4e-3,
            curriculum=SignsFirst(_d, dims=3, grow=(0.0, 0.2), soften=(0.2, 0.6)),
        )
    )
    _add(
        Recipe(
            f"dense_sparse1_d{_d}",
            Mixture((DenseLinear(_d), _sparse)),
            n_points=2 * _d + 1,
            steps=16_000,
            lr=4e-3,
            curriculum=SignsFirst(_d, dims=3, grow=(0.0, 0.1), soften=(0.1, 0.35), mix=(0.35, 0.5)),
        )
    )

# The same mixture by Garg et al.'s choices: tokens, init, optimizer and curriculum. Shows what hangs on ours. Paper:
# arXiv 2208.01066, which trains for 500,000 steps.
_add(
    Recipe(
        "dense_sparse2_garg",
        DENSE_SPARSE2,
        n_points=41,
        steps=500_000,
        size="standard",
        optimizer="adam",
        tokens="interleaved",
        init_std=0.02,
        curriculum=Curriculum(),
    )
)

# Lines and sinusoids by Garg et al.'s choices, at a size where a CPU can follow: the replica beside line_sine_w500,
# which has the same law. Paper: arXiv 2208.01066. Command: icl-lab train line_sine_garg. 22 minutes on one core; error
# .01 on lines and .15 on sinusoids at k=20, where line_sine_w500 has .002 and .05 after a minute.
_add(
    Recipe(
        "line_sine_garg",
        Mixture((Line(), Sinusoid())),
        n_points=21,
        steps=20_000,
        size="tiny",
        input_scale=INPUT_STD,
        optimizer="adam",
        tokens="interleaved",
        init_std=0.02,
        curriculum=Curriculum(),
    )
)

# Each class at its raw scale: every coefficient N(0, 1), so that the size of y tells the class. Paper: arXiv 2311.00871
# (which scale it used is not known to us). Not trained yet.
_add(
    Recipe(
        "dense_sparse2_raw",
        Mixture((DenseLinear(20, scale="raw"), SparseLinear(20, scale="raw", nonzeros=2))),
        n_points=41,
        steps=80_000,
        curriculum=SIGNS_OF_20,
    )
)

# Any number of non-zeros, uniform on 1 to 20: what a model does that was shown everything between the classes. At small
# size 5,000 steps from the mixture (--warm-start small/dense_sparse2 --lr 3e-3): 35 minutes, beside other work.
_add(Recipe("sparse_any", SparseAny(20), n_points=41, steps=60_000))

# Lines, sinusoids and some convex combinations of them, their weight uniform: what pretraining on a few combinations
# repairs. Paper: Zhang et al. 2025 (arXiv 2503.15579) for the question; the laws are ours. At small size, 2,500 steps
# as small/line_sine had: 12 minutes on one core.
_add(
    Recipe(
        "line_sine_combined",
        Mixture((Line(), Sinusoid(), ConvexCombination(Line(), Sinusoid(), None)), (0.4, 0.4, 0.2)),
        n_points=41,
        steps=10_000,
        input_scale=INPUT_STD,
    )
)

# Two-layer networks and decision trees. Paper: Garg et al. 2022, who train each for 500,000 steps with their
# curriculum; at k=100 they find errors of .17 and .12. At small size 3,600 steps without much of a curriculum (one
# coordinate more every 100 steps, lr 4e-3; 20 and 40 minutes on one core) reach .175 and .83.
WIDER = Curriculum(dims=5, points=26, points_step=5)
_add(Recipe("relu", TwoLayerReLU(20), n_points=101, steps=30_000, curriculum=WIDER))
_add(Recipe("tree", DecisionTree(20), n_points=101, steps=60_000, curriculum=WIDER))

# Sinusoids in a share of the prompts, lines in the rest: how much of a class a model must see to select it. The share
# in the name is in thousandths; three seeds each. Command: icl-lab train line_sine_w050 --seed 1.
SINE_SHARES = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
for _share in SINE_SHARES:
    _add(
        Recipe(
            f"line_sine_w{round(1000 * _share):03d}",
            Mixture((Line(), Sinusoid()), (1 - _share, _share)),
            n_points=21,
            steps=1_500,
            size="tiny",
            input_scale=INPUT_STD,
        )
    )

# A fixed pool of tasks instead of a fresh one in every prompt: memorizing against learning. Paper: Raventos et al. 2023
# (arXiv 2306.15063): d=8, 16 points, noise variance .25; they train for 500,000 steps of 256 prompts.
POOLS = (2**4, 2**8, 2**12, 2**16)
for _tasks in POOLS:
    _add(
        Recipe(
            f"dense_pool_{_tasks}",
            TaskPool(DenseLinear(8, scale="raw", noise=0.5), _tasks),
            n_points=16,
            steps=6_000,
            lr=4e-3,
        )
    )


def get(name: str) -> Recipe:
    """The recipe of that name. Raises InputError for an unknown one."""
    if name not in ALL:
        raise unknown("recipe", name, ALL)
    return ALL[name]
