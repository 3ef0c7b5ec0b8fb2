"""The models of a project, loaded when first needed and let go when a stage needs the room."""

import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rlaif.config import JudgeConfig, RlaifConfig
from rlaif.config.secrets import read_key
from rlaif.errors import ConfigError
from rlaif.judges import (
    Judge,
    JudgeContext,
    Juror,
    RubricJudge,
    load_code,
    load_rubric,
    load_templates,
    make_judge,
)
from rlaif.judges.budget import Budget
from rlaif.judges.replies import MemoryReplies, ReplyStore
from rlaif.judges.second_asking import asked_twice
from rlaif.judges.transformers_judge import TransformersJudge
from rlaif.models.embedding import Embedder
from rlaif.models.loading import LanguageModel, load_language_model, pick_device
from rlaif.progress import Answered, nobody
from rlaif.project import Project


class Crew:
    """Loads each model once.

    Args:
        project: Where its files lie.
        config: The settings that name the models.
        replies: Where servers' replies are kept.
        budget: What judging on servers may cost; None: anything.
        rubric_path: The rubric's file, where it is not the one of the settings.
        tell: Told of each server of a judge that takes no more calls while others do.
        answered: Told of judges' replies as they come.

    Attributes:
        config: The settings that name the models.
    """

    def __init__(
        self,
        project: Project,
        config: RlaifConfig,
        replies: ReplyStore | None = None,
        budget: Budget | None = None,
        rubric_path: Path | None = None,
        tell: Callable[[str], None] | None = None,
        answered: Answered = nobody,
    ) -> None:
        self._tell = tell
        self._answered = answered
        self._own_rubric_path = rubric_path
        self._replies = replies or MemoryReplies()
        self._budget = budget
        self._project = Project(project.root, config)
        self.config = config
        self._device = pick_device(config.run.device)
        self._embedder: Embedder | None = None
        self._policies: dict[str, LanguageModel] = {}
        self._panels: dict[tuple[str, ...], RubricJudge] = {}

    def embedder(self) -> Embedder:
        """Return the embedding model."""
        if self._embedder is None:
            path = self._project.resolve(self.config.embedder.path)
            self._embedder = Embedder.load(path, str(self._device))
        return self._embedder

    def policy(self, path: str) -> LanguageModel:
        """Return a policy for sampling and scoring, frozen."""
        if path not in self._policies:
            self._policies[path] = load_language_model(path, self._device)
        return self._policies[path]

    def panel(self, jury: Sequence[JudgeConfig]) -> RubricJudge:
        """Return the rubric with those who judge by it."""
        key = tuple(config.model_dump_json() for config in jury)
        if key not in self._panels:
            rubric = load_rubric(self._rubric_path)
            asks = bool(rubric.judge_criteria)
            judging = self.config.judging
            if tuple(jury) != self.config.jury:  # only those who make labels rank; duels are pairs
                judging = judging.model_copy(update={"compare": "pairs"})
            self._panels[key] = RubricJudge(
                rubric,
                judging=judging,
                jury=[self._juror(config) for config in jury] if asks else (),
                encoder=self.embedder() if rubric.embedding_criteria else None,
                code=load_code(rubric, self._rubric_path, self._project.functions),
                together=jury[0].batch_size,
            )
        return self._panels[key]

    def self_graders(self, jury: Sequence[JudgeConfig], policies: Mapping[str, str]) -> list[str]:
        """Say which judges would grade themselves: those whose model is a policy of the project.

        Args:
            jury: Who judges.
            policies: Digests of policies' weights by what they are called.

        Returns:
            A sentence for each; of a judge on a server its name alone can tell.
        """
        found = []
        for juror, config in zip(self.panel(jury).jury, jury, strict=False):
            weights = getattr(juror.judge, "model_digest", None)
            names = [name for name, digest in policies.items() if digest == weights]
            if config.backend == "openai" and _last(config.model) == _last(self.config.policy.path):
                names = [self.config.policy.path]
            found += [f"the judge {juror.name} is the policy {names[0]} itself"] if names else []
        return found

    def rubric_text(self) -> tuple[str, str, str]:
        """Return the rubric's name, version and text, as the ledger keeps them."""
        rubric = load_rubric(self._rubric_path)
        return rubric.name, rubric.version, self._rubric_path.read_text(encoding="utf-8")

    def refuse_other_rubric(self, begun_with: str, now: str, cycle: int) -> None:
        """Refuse to go on with a cycle under another rubric than it was begun with.

        Raises:
            ConfigError: The rubric, its templates or the judge changed under way.
        """
        if begun_with != now:
            raise ConfigError(
                f"cycle {cycle} was begun under another rubric, template or judge "
                f"({begun_with[:12]}, now {now[:12]})",
                "the same ones until a cycle has ended: its labels must mean one thing",
                "put the old files back, or the old rlaif if that is what changed, finish the "
                "cycle, then change them",
                path=self._rubric_path,
            )

    def release(self) -> None:
        """Let the policies go, so that training has the memory."""
        self._policies.clear()
        gc.collect()

    def _juror(self, config: JudgeConfig) -> Juror:
        return Juror(
            name=config.display_name,
            judge=self._judge(config),
            templates=load_templates(config.template, self._project.root),
            min_label_mass=config.min_label_mass,
            critique=config.critique,
        )

    def _judge(self, config: JudgeConfig) -> Judge:
        """Return the model behind a judge: in this process, on servers, or of another package."""
        root, seed = self._project.root, self.config.run.seed
        if config.backend == "transformers":
            path = self._project.resolve(config.path)
            return TransformersJudge(
                load_language_model(path, self._device), config, self._answered
            )
        if config.server is not None:
            from rlaif.judges.remote import OpenAIJudge  # and the SDK, which takes a second

            key = read_key(config.server.key_variable, config.server.key_file, root)
            served = OpenAIJudge(
                config.server,
                self._replies,
                key=key,
                budget=self._budget,
                seed=seed,
                name=config.name,
                tell=self._tell,
                answered=self._answered,
            )
            return asked_twice(served, config.min_label_mass)
        return make_judge(
            config.backend, config.options, JudgeContext(root, str(self._device), seed)
        )

    @property
    def _rubric_path(self) -> Path:
        return self._own_rubric_path or self._project.file(self.config.rubric.path)


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]
