"""What is checked before a cycle begins, so that bad input costs nothing."""

from collections.abc import Sequence
from pathlib import Path

from rlaif.config import PpoConfig, RlaifConfig
from rlaif.crew import Crew
from rlaif.errors import ArtifactError, ConfigError, ModelError
from rlaif.judges import Rubric, load_code, load_rubric
from rlaif.judges.asking import require_messages
from rlaif.ledger.writer import Ledger
from rlaif.models.actor_critic import check_plain_head
from rlaif.models.branch import check_branch
from rlaif.models.encoding import check_context, encode_answer, encode_conversation
from rlaif.models.identity import is_adapter, model_digest
from rlaif.models.loading import LanguageModel
from rlaif.policies import policy_path
from rlaif.project import Project
from rlaif.records import Prompt
from rlaif.stages.pools import read_pools
from rlaif.stages.supervised import read_examples
from rlaif.text import quoted


def preflight(project: Project, ledger: Ledger, config: RlaifConfig, crew: Crew) -> tuple[str, ...]:
    """Load every model once and read every file; nothing is written.

    Args:
        project: The project.
        ledger: Names the live policy.
        config: The settings of the cycle.
        crew: The cycle's models; what is loaded here stays loaded.

    Returns:
        The rubric's hash under the training judge, then under the gate's where that is another.

    Raises:
        ConfigError: A model, rubric, template, pool or file of supervised text is missing or wrong,
            a prompt does not fit into the policy's context, PPO's critic cannot branch off it, or
            it is an adapter that PPO cannot train on.
    """
    pool = read_pools(project.root, config.sampling.pools, config.sampling.eval_share)
    live = ledger.current_policy()
    path = project.resolve(config.policy.path) if live is None else policy_path(project, live)
    policy = crew.policy(path)
    check_plain_head(policy)
    if config.policy.optimizer == "ppo":
        _check_learner(path, policy, config.ppo)
    for prompt in pool:
        tokens = len(encode_conversation(policy, prompt.messages))
        what = f"prompt {prompt.id} ({quoted(prompt.text)})"
        check_context(policy, tokens, config.generation.max_tokens, what)
    _check_supervised(project, config, pool, policy)
    crew.embedder()
    check_feedback(crew, config)
    juries = (config.jury, config.evaluation_jury)
    return tuple(dict.fromkeys(crew.panel(jury).rubric_hash for jury in juries))


def _check_learner(path: str, policy: LanguageModel, settings: PpoConfig) -> None:
    """See whether PPO can train this policy as it is told to.

    Raises:
        ModelError: Its critic cannot branch off it, or it is an adapter of another kind.
    """
    if settings.critic == "branch":
        check_branch(policy, settings.critic_blocks)
    if settings.lora_rank and is_adapter(path):
        from rlaif.models.adapters import read_adapter_config  # and PEFT, which takes a second

        read_adapter_config(Path(path), policy.model)


def check_feedback(crew: Crew, config: RlaifConfig) -> None:
    """See whether judges can write what the settings ask of them beside verdicts.

    Raises:
        ConfigError: The rubric has no judge criterion, or a template lacks the message.
        ModelError: A judge writes no free text.
    """
    marks, mends = config.judging.mark_errors, config.revision.share > 0.0
    if not (marks or mends):
        return
    panel = crew.panel(config.jury)
    for juror in panel.jury if marks else ():
        juror.require_writing("[judging] mark_errors", "errors", bool(panel.rubric.references))
    if not mends:
        return
    _refuse_nothing_to_revise(config, panel.rubric)
    panel.jury[0].require_writing("[revision] share", "revise")


def check_rubric(project: Project, config: RlaifConfig, path: Path) -> None:
    """Find what keeps a cycle from judging by a file, as far as that shows without a model.

    Args:
        project: The project.
        config: The settings of the cycle.
        path: The rubric's file.

    Raises:
        ConfigError: It is no rubric, a function of its python criteria is missing, a judge's
            template cannot show all of it, or nothing in it can be revised by.
    """
    rubric = load_rubric(path)
    load_code(rubric, path, Project(project.root, config).functions)
    marks = ("errors",) if config.judging.mark_errors else ()
    require_messages(rubric, config.jury, config.judging, project.root, marks)
    if config.revision.share > 0.0:
        _refuse_nothing_to_revise(config, rubric)
    duels = config.judging.model_copy(update={"compare": "pairs"})
    require_messages(rubric, config.evaluation_jury, duels, project.root)


def _refuse_nothing_to_revise(config: RlaifConfig, rubric: Rubric) -> None:
    if not rubric.judge_criteria:
        raise ConfigError(
            f"[revision] share = {config.revision.share} and a rubric without a judge criterion",
            "a judge that faults answers, and mends what it faults",
            "set share = 0, or give the rubric a criterion of kind judge",
        )


def _check_supervised(
    project: Project, config: RlaifConfig, pool: Sequence[Prompt], policy: LanguageModel
) -> None:
    """Read the supervised text of PPO's ptx term, if it has any, and see whether it fits.

    Raises:
        ConfigError: The file, a line, or an example that the policy cannot take.
    """
    if config.supervised_text is None:
        return
    path = project.file(config.supervised_text)
    for line, example in read_examples(path, pool):
        try:
            asked = len(encode_conversation(policy, example.messages))
            answer = len(encode_answer(policy, example.text, example.ended))
            check_context(policy, asked, answer, "an example of supervised text")
        except ModelError as exc:
            raise ConfigError(exc.seen, exc.expected, exc.action, path=path, line=line) from exc


def verify_incumbent(project: Project, ledger: Ledger, version: str) -> None:
    """Check the live policy's bytes against the ledger.

    Raises:
        ModelError: The ledger knows no such policy.
        ArtifactError: Its folder is not what was promoted.
    """
    row = ledger.policy(version)
    if row is None:
        raise ModelError(f"there is no policy {version}", "a registered policy", "see status")
    path = policy_path(project, row)
    seen = model_digest(path)
    if seen != row.digest:
        raise ArtifactError(
            f"{version} at {Path(path).name} has digest {seen[:12]}",
            f"{row.digest[:12]}, which the ledger vouches for",
            "restore the folder, or go back with 'rlaif policy rollback'",
        )
