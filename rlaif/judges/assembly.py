"""A project's settings -> a rubric judge with its models loaded, and no model that it needs not."""

from rlaif.config import JudgeConfig
from rlaif.judges.aggregation import VerdictSettings
from rlaif.judges.backend import Judge, SentenceEncoder
from rlaif.judges.panel import RubricJudge
from rlaif.judges.rendering import load_templates
from rlaif.judges.rubric import load_rubric
from rlaif.project import Project


def open_rubric_judge(
    project: Project,
    *,
    device: str = "auto",
    judge_config: JudgeConfig | None = None,
    embedder: SentenceEncoder | None = None,
) -> RubricJudge:
    """Load a project's rubric and the models that it needs.

    Args:
        project: The project.
        device: Where the judge model runs; see ``models.loading.pick_device``.
        judge_config: Another judge than the project's own, for instance the gate's.
        embedder: An embedder that is loaded already.

    Raises:
        RubricError: The rubric file is wrong.
        ConfigError: The template is missing or broken.
        ModelError: A model cannot be loaded, or cannot serve.
    """
    config = judge_config or project.config.judge
    rubric = load_rubric(project.file(project.config.rubric.path))
    settings = VerdictSettings.from_config(config, project.config.judging)
    if rubric.embedding_criteria and embedder is None:
        embedder = _load_embedder(project)
    if not rubric.judge_criteria:
        return RubricJudge(rubric, settings, embedder=embedder)
    templates = load_templates(config.template, project.root)
    judge = _load_judge(project, config, device)
    return RubricJudge(rubric, settings, judge=judge, templates=templates, embedder=embedder)


def _load_judge(project: Project, config: JudgeConfig, device: str) -> Judge:
    from rlaif.judges.transformers_judge import TransformersJudge
    from rlaif.models.loading import load_language_model, pick_device

    return TransformersJudge(
        load_language_model(project.resolve(config.path), pick_device(device)), config
    )


def _load_embedder(project: Project) -> SentenceEncoder:
    from rlaif.models.embedding import Embedder

    return Embedder.load(project.resolve(project.config.embedder.path))
