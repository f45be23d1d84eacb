"""Named trainings, one short dataclass each. ``get("dense_d5")`` or ``icl-lab train dense_d5``.

Names say what is trained on; d = 20 unless the name says otherwise. A checkpoint is ``<size>/<recipe>``.
"""

from __future__ import annotations

from icl_lab.curriculum import Curriculum, SignsFirst
from icl_lab.errors import unknown
from icl_lab.functions import DenseLinear, Line, Mixture, Sinusoid, SparseLinear
from icl_lab.functions.curves import INPUT_STD
from icl_lab.training import Recipe

ALL: dict[str, Recipe] = {}


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

# Two of twenty, and the mixture. Paper: arXiv 2311.00871. Not trained to the end yet: time and error are open, and
# plain training stays on the least-squares curve for tens of thousands of steps.
_add(Recipe("sparse2", SparseLinear(20, nonzeros=2), n_points=41, steps=40_000))
_add(Recipe("dense_sparse2", Mixture((DenseLinear(20), SparseLinear(20, nonzeros=2))), n_points=41, steps=80_000))

# One of eight, by signs first: the pair that selects on a CPU. Paper: arXiv 2311.00871 (the classes; d and the
# curriculum are ours). Command: icl-lab train dense_sparse1_d8.
ONE_OF_8 = SparseLinear(8, nonzeros=1)
_add(Recipe("dense_d8", DenseLinear(8), n_points=17, steps=6_000, lr=4e-3))
_add(
    Recipe(
        "sparse1_d8",
        ONE_OF_8,
        n_points=17,
        steps=8_000,
        lr=4e-3,
        curriculum=SignsFirst(8, dims=3, grow=(0.0, 0.2), soften=(0.2, 0.6)),
    )
)
_add(
    Recipe(
        "dense_sparse1_d8",
        Mixture((DenseLinear(8), ONE_OF_8)),
        n_points=17,
        steps=16_000,
        lr=4e-3,
        curriculum=SignsFirst(8, dims=3, grow=(0.0, 0.1), soften=(0.1, 0.35), mix=(0.35, 0.5)),
    )
)

# The same mixture by Garg et al.'s choices: tokens, init, optimizer and curriculum. Shows what hangs on ours. Paper:
# arXiv 2208.01066, which trains for 500,000 steps.
_add(
    Recipe(
        "dense_sparse2_garg",
        Mixture((DenseLinear(20), SparseLinear(20, nonzeros=2))),
        n_points=41,
        steps=500_000,
        size="standard",
        optimizer="adam",
        tokens="interleaved",
        init_std=0.02,
        curriculum=Curriculum(),
    )
)


def get(name: str) -> Recipe:
    """The recipe of that name. Raises InputError for an unknown one."""
    if name not in ALL:
        raise unknown("recipe", name, ALL)
    return ALL[name]
