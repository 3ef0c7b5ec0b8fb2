"""``rlaif.toml`` -> a frozen :class:`RlaifConfig`; the only module that reads the environment.

Every field has a default and a description; ``rlaif init`` writes them all. A setting can be
overridden for one process by ``RLAIF_<SECTION>__<FIELD>``, for instance ``RLAIF_RUN__SEED=7``.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from rlaif.config.answering import GenerationConfig, PolicyConfig, RunConfig, SamplingConfig
from rlaif.config.auditing import AuditConfig
from rlaif.config.deciding import EvaluationConfig, GateConfig, OracleConfig
from rlaif.config.feedback import FeedbackConfig
from rlaif.config.judging import (
    EmbedderConfig,
    JudgeConfig,
    JudgingConfig,
    PreferencesConfig,
    RevisionConfig,
    RubricConfig,
)
from rlaif.config.optimisers import (
    BestOfNConfig,
    DpoConfig,
    GrpoConfig,
    RlooConfig,
    check_micro_batch,
)
from rlaif.config.ppo import PpoConfig
from rlaif.config.reward_model import RewardModelConfig
from rlaif.config.section import Section
from rlaif.config.serving import BudgetConfig, ServerConfig
from rlaif.errors import ConfigError
from rlaif.records import digest_of
from rlaif.sides import is_tie
from rlaif.toml_source import ContradictionError, TomlFile, read_toml

__all__ = [
    "CONFIG_NAME",
    "ENV_PREFIX",
    "AuditConfig",
    "BestOfNConfig",
    "BudgetConfig",
    "DpoConfig",
    "EmbedderConfig",
    "EvaluationConfig",
    "FeedbackConfig",
    "GateConfig",
    "GenerationConfig",
    "GrpoConfig",
    "JudgeConfig",
    "JudgingConfig",
    "OracleConfig",
    "PolicyConfig",
    "PpoConfig",
    "PreferencesConfig",
    "RevisionConfig",
    "RewardModelConfig",
    "RlaifConfig",
    "RlooConfig",
    "RubricConfig",
    "RunConfig",
    "SamplingConfig",
    "Section",
    "ServerConfig",
    "hide_model_hub_noise",
    "read_config",
]

CONFIG_NAME = "rlaif.toml"
ENV_PREFIX = "RLAIF_"
BUNDLED_JUDGE = "bundled:tiny-judge"
PLACES = frozenset({"path", "pools", "ptx_path", "python", "endpoints", "key_variable", "key_file"})


class RlaifConfig(Section):
    """All settings of a project."""

    keys_belong: ClassVar[str] = (
        "take it out: a key stands in no setting, but in the variable of the environment that "
        "key_variable of [judge.server] names, or in the file, mode 0600, that key_file names"
    )

    run: RunConfig = RunConfig()
    policy: PolicyConfig = PolicyConfig()
    judge: JudgeConfig = JudgeConfig()
    budget: BudgetConfig = BudgetConfig()
    jurors: Annotated[tuple[JudgeConfig, ...], Field(strict=False)] = ()
    rubric: RubricConfig = RubricConfig()
    embedder: EmbedderConfig = EmbedderConfig()
    sampling: SamplingConfig = SamplingConfig()
    generation: GenerationConfig = GenerationConfig()
    judging: JudgingConfig = JudgingConfig()
    revision: RevisionConfig = RevisionConfig()
    audit: AuditConfig = AuditConfig()
    preferences: PreferencesConfig = PreferencesConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    reward_model: RewardModelConfig = RewardModelConfig()
    ppo: PpoConfig = PpoConfig()
    dpo: DpoConfig = DpoConfig()
    rloo: RlooConfig = RlooConfig()
    grpo: GrpoConfig = GrpoConfig()
    best_of_n: BestOfNConfig = BestOfNConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    gate: GateConfig = GateConfig()
    oracle: OracleConfig = OracleConfig()

    @model_validator(mode="after")
    def _consistent(self) -> "RlaifConfig":
        n = self.generation.completions_per_prompt
        most = n * (n - 1) // 2
        if self.judging.pairs_per_prompt > most:
            raise ContradictionError(
                ("judging", "pairs_per_prompt"),
                f"= {self.judging.pairs_per_prompt}, but {n} completions make only {most} pairs",
                "raise generation.completions_per_prompt or lower judging.pairs_per_prompt",
            )
        if self.generation.batch_size < n:
            raise ContradictionError(
                ("generation", "batch_size"),
                f"= {self.generation.batch_size} holds not even one prompt's {n} completions",
                "raise it",
            )
        self._check_jury()
        self.reward_model.check("reward_model")
        self._check_optimizer()
        return self

    def _check_jury(self) -> None:
        self.judge.check("judge")
        for place, juror in enumerate(self.jurors):
            juror.check("jurors", place)
        if self.evaluation.judge is not None:
            self.evaluation.judge.check("evaluation", "judge")
        self._check_namesakes()
        names = [judge.display_name for judge in self.jury]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise ContradictionError(
                    ("jurors", place - 1, "name"),
                    f"= {name!r}, as another judge is called",
                    "give each a name of its own",
                )
        self._check_money()
        self._check_what_is_compared()
        self._check_bundled_judge()

    def _check_namesakes(self) -> None:
        """Tell models of one name on different servers apart: their replies must not be shared."""
        gate = self.evaluation.judge
        for judge in self.jury if gate is not None else ():
            if gate is None or gate.server is None or judge.server is None:
                continue
            same = (gate.server.model, gate.name) == (judge.server.model, judge.name)
            if same and gate.server.endpoints != judge.server.endpoints:
                raise ContradictionError(
                    ("evaluation", "judge", "name"),
                    f"= {gate.name!r}: another judge asks for {judge.server.model} elsewhere",
                    "give this one a name of its own, so that their replies are not mixed up",
                )

    def _check_money(self) -> None:
        served = [j.server for j in (*self.jury, *self.evaluation_jury) if j.server is not None]
        priced = all(server.prompt_price or server.reply_price for server in served)
        for name in ("cycle_money", "day_money"):
            if served and not priced and getattr(self.budget, name) != "off":
                raise ContradictionError(
                    ("budget", name),
                    "is never reached by a judge whose calls cost nothing",
                    "set prompt_price and reply_price of each [judge.server], or limit tokens",
                )

    def _check_what_is_compared(self) -> None:
        if self.judging.compare == "lists" and self.judging.pairwise_weight == 0.0:
            raise ContradictionError(
                ("judging", "compare"),
                '= "lists" beside pairwise_weight = 0: nothing is compared',
                'raise pairwise_weight, or set compare = "pairs"',
            )
        self._check_clamp()
        if self.revision.share and not self.judge.critique:
            raise ContradictionError(
                ("revision", "share"),
                f"= {self.revision.share:g}, but the judge writes no critique to revise by",
                "set judge.critique = true",
            )

    def _check_clamp(self) -> None:
        """Refuse a clamp by which every comparison is a tie, where no rating adds to it."""
        widest, clamp = 0.5 - self.judging.clamp, self.judging.clamp
        margins = {
            "preferences.min_margin": self.preferences.min_margin,
            "evaluation.tie_margin": self.evaluation.tie_margin,
        }
        if self.judging.pairwise_weight < 1.0:
            return
        for name, margin in margins.items():
            if is_tie(0.5 + widest, margin):
                raise ContradictionError(
                    ("judging", "clamp"),
                    f"= {clamp:g} beside pairwise_weight = 1 makes every comparison a tie: P is at "
                    f"most {widest:g} from one half, and {name} = {margin:g}",
                    "lower the clamp or that margin, or let ratings count: lower pairwise_weight",
                )

    def _check_bundled_judge(self) -> None:
        """Refuse to ask the bundled judge for what it was never taught."""
        if not any(judge.model == BUNDLED_JUDGE for judge in self.jury):
            return
        wanted = (
            ("judging", "compare", self.judging.compare == "lists", "rank answers"),
            ("judging", "mark_errors", self.judging.mark_errors, "mark errors"),
            ("revision", "share", self.revision.share > 0.0, "revise answers"),
        )
        for section, field, asked, ability in wanted:
            if asked:
                raise ContradictionError(
                    (section, field),
                    f"asks the bundled judge to {ability}, which it was not trained to do",
                    "take a general model as judge, or set this back",
                )

    def _check_optimizer(self) -> None:
        """Check what the optimiser reads: its section, and of PPO's what all of them read."""
        if self.policy.optimizer != "ppo" and self.ppo.reference == "ema":
            raise ContradictionError(
                ("ppo", "reference"),
                '= "ema" is an average that PPO alone keeps, and '
                f'policy.optimizer = "{self.policy.optimizer}"',
                'take "base" or "incumbent"',
            )
        match self.policy.optimizer:
            case "ppo":
                self.ppo.check("ppo")
            case "dpo":
                check_micro_batch("dpo", self.dpo.micro_batch, self.dpo.batch_size)
            case "rloo":
                self.rloo.check("rloo")
            case "grpo":
                self.grpo.check("grpo")
            case "best_of_n":
                own = self.best_of_n
                check_micro_batch("best_of_n", own.micro_batch, own.batch_size)

    @property
    def jury(self) -> tuple[JudgeConfig, ...]:
        """Who makes the labels: the judge, and the jurors beside it."""
        return (self.judge, *self.jurors)

    @property
    def evaluation_jury(self) -> tuple[JudgeConfig, ...]:
        """Whom the gate listens to: a judge of its own, or those who make the labels."""
        return self.jury if self.evaluation.judge is None else (self.evaluation.judge,)

    @property
    def supervised_text(self) -> str | None:
        """The file that PPO's ptx term reads, relative to the project; None where it reads none."""
        path = self.ppo.ptx_path
        used = self.policy.optimizer == "ppo" and self.ppo.ptx_coefficient > 0 and path != "off"
        return path if used else None

    def fingerprint(self) -> str:
        """Return a digest over every setting but paths, so that it is the same in every folder."""
        sections = self.model_dump(mode="json")
        return digest_of(_without_paths(sections))


def _without_paths(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return [_without_paths(v) for v in value]
    if not isinstance(value, dict):
        return value
    return {k: _without_paths(v) for k, v in value.items() if k not in PLACES}


def read_config(path: Path) -> RlaifConfig:
    """Read a settings file.

    Args:
        path: The file, usually ``rlaif.toml``.

    Raises:
        ConfigError: The file is missing or wrong, or a variable of the environment is.
    """
    source = read_toml(path)
    own, overrides = source.validate(RlaifConfig), _overrides()
    if not overrides:
        return own
    data = {k: dict(v) if isinstance(v, dict) else v for k, v in source.data.items()}
    for (section, field), (name, value) in overrides.items():
        table = data.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(
                f"{name} is set, but [[{section}]] is a list of tables",
                "a variable for a setting of a single table",
                f"remove the variable, and write {section} into the file",
                path=path,
            )
        table[field] = value
    names = ", ".join(name for name, _ in overrides.values())
    return TomlFile(Path(names), "", ConfigError).validate(RlaifConfig, data)


def hide_model_hub_noise() -> None:
    """Quieten libraries whose progress bars and warnings would drown rlaif's own lines.

    And let torch take large tensors in huge pages (``THP_MEM_ALLOC_ENABLE``), which costs less.
    """
    for key, value in {
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "THP_MEM_ALLOC_ENABLE": "1",
    }.items():
        os.environ.setdefault(key, value)


def _overrides() -> dict[tuple[str, str], tuple[str, str | float | bool]]:
    """Return what ``RLAIF_SECTION__FIELD`` sets: (section, field) -> the variable and its value."""
    found: dict[tuple[str, str], tuple[str, str | float | bool]] = {}
    for key, text in sorted(os.environ.items()):
        section, separator, field = key.removeprefix(ENV_PREFIX).lower().partition("__")
        if key.startswith(ENV_PREFIX) and separator:
            found[section, field] = (key, _toml_reading(text))
    return found


def _toml_reading(text: str) -> str | float | bool:
    """Read an environment variable as a TOML value, or as bare text."""
    try:
        value: str | float | bool = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value
