"""What the patches of ``faults/`` change, a module for each part of the package.

Each table is {name: (file, what is there, what the fault puts in its place)}.
"""

from planted import cycle, judging, lean, models, people, ppo, rl, serving, stages, trust

TABLES: tuple[dict[str, tuple[str, str, str]], ...] = (
    rl.FAULTS,
    lean.FAULTS,
    models.FAULTS,
    stages.FAULTS,
    ppo.FAULTS,
    cycle.FAULTS,
    judging.FAULTS,
    serving.FAULTS,
    trust.FAULTS,
    people.FAULTS,
)
