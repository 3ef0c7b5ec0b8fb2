"""A project whose ledger was filled through the writer: two finished cycles, one under way."""

from pathlib import Path

from rlaif.artifacts import landing, model_folder_digest
from rlaif.cli.init import Choices, make_project
from rlaif.ledger.writer import Ledger
from rlaif.policies import point_current
from rlaif.project import Project, load_project
from rlaif.records import (
    ArtifactRef,
    Choice,
    Completion,
    EvaluationReport,
    GateCheck,
    GateDecision,
    JudgeCall,
    Judgement,
    PolicyReport,
    Preference,
    Prompt,
    Rating,
    RewardModelReport,
    Unscored,
    WinRate,
)

RUBRIC = "r" * 64
RED = "\x1b[31mred\x1b[0m"
CHINESE = "法国的首都是巴黎。"
ASKED = {
    "capital": ("What is the capital of France?", "train"),
    "sum": ("What is 2 + 2?", "train"),
    "held-1": ("Hi there! Tell me the opposite of push.", "eval"),
    "held-2": ("Hurry up. Do you know the capital of Chile?", "eval"),
}
ANSWERS = {
    "capital-0": ("capital", "It is Paris."),
    "capital-1": ("capital", f"Find out yourself. {RED}"),
    "sum-0": ("sum", "Five."),
    "sum-1": ("sum", "Four.\ncycle 9: promote"),
}
ORACLE = {
    "base": 0.25,
    "incumbent": 0.25,
    "challenger": 0.75,
    "correct_base": 0.5,
    "correct_challenger": 0.75,
    "win_rate_vs_base": 0.8125,
    "judge_agreement": 0.875,
    "prompts": 2,
}
CHECK = GateCheck(name="win_rate", passed=True, reason="the lower bound 0.61 is above 0.50")
FAILED = GateCheck(name="kl_base", passed=False, reason="KL to base 61.00 is not at most 60.00")


def fill_project(root: Path, *, cycles: int = 3) -> Project:
    """Make a project: cycle 1 promoted v0001, cycle 2 held, cycle 3 is being judged."""
    make_project(root, Choices())
    project = load_project(root)
    with Ledger.open(project.ledger_path) as ledger:
        ledger.add_rubric(RUBRIC, "helpdesk", "1", 'name = "helpdesk"')
        for version in ("v0000", "v0001"):
            write_folder(project.policies / version, version)
        base = model_folder_digest(project.policies / "v0000")
        ledger.register_base("v0000", base, "policies/v0000", {"made": "by hand"})
        fillers = (first_cycle, second_cycle, third_cycle)
        for number, fill in enumerate(fillers[:cycles], start=1):
            live = ledger.current_policy()
            assert live is not None
            ledger.begin_cycle(
                number,
                run_seed=7,
                config=project.config.model_dump(mode="json"),
                config_hash=project.config.fingerprint(),
                rubric_hash=RUBRIC,
                incumbent=live.version,
            )
            fill(ledger, project)
        ledger.add_event("note", "filled by a test")
        point_current(project, ledger)
    return project


def write_folder(folder: Path, words: str) -> None:
    """Write something that stands for a policy's folder, with a card beside the model."""
    with landing(folder) as aside:
        (aside / "config.json").write_text("{}", encoding="utf-8")
        (aside / "model.safetensors").write_text(words, encoding="utf-8")
        (aside / "README.md").write_text(f"# {words}\n", encoding="utf-8")


def first_cycle(ledger: Ledger, project: Project) -> None:
    """Fill a cycle that promotes, with an oracle."""
    _sample(ledger, 1)
    _judge(ledger, 1)
    _prefer(ledger, 1)
    _train(ledger, 1)
    _evaluate(ledger, project, 1, rate=0.75)
    decision = GateDecision(decision="promote", checks=(CHECK,))
    digest = model_folder_digest(project.policies / "v0001")
    ledger.begin_stage(1, "promotion")
    with ledger.unit(1, "promotion", "gate") as unit:
        unit.add_gate_decision(decision)
        unit.add_policy("v0001", digest, "policies/v0001", "v0000", {"win rate": 0.75})
        unit.add_promotion("v0001", "the gate promoted it", "promote")
    ledger.finish_stage(1, "promotion")
    ledger.finish_cycle(1)
    ledger.add_oracle_report(1, ORACLE)


def second_cycle(ledger: Ledger, project: Project) -> None:
    """Fill a cycle that holds, without an oracle."""
    _sample(ledger, 2)
    _train(ledger, 2)
    _evaluate(ledger, project, 2, rate=0.5)
    ledger.begin_stage(2, "promotion")
    with ledger.unit(2, "promotion", "gate") as unit:
        unit.add_gate_decision(GateDecision(decision="hold", checks=(CHECK, FAILED)))
    ledger.finish_stage(2, "promotion")
    ledger.finish_cycle(2)


def third_cycle(ledger: Ledger, project: Project) -> None:  # noqa: ARG001 - as the others
    """Fill a cycle that was stopped while judging."""
    _sample(ledger, 3)
    ledger.begin_stage(3, "judging")


def answer(name: str, cycle: int, text: str, prompt_id: str, policy: str) -> Completion:
    """Make a completion with a readable id."""
    return Completion(
        id=f"completion-{name}-{cycle}",
        prompt_id=prompt_id,
        policy=policy,
        index=int(name[-1]) if name[-1].isdigit() else 0,
        text=text,
        length=5,
        ended=True,
    )


def _sample(ledger: Ledger, cycle: int) -> None:
    prompts = [
        Prompt.model_validate(
            {"id": key, "messages": ({"role": "user", "content": text},), "split": split}
        )
        for key, (text, split) in ASKED.items()
    ]
    ledger.begin_stage(cycle, "sampling")
    with ledger.unit(cycle, "sampling", "draw") as unit:
        unit.add_prompts(prompts)
        unit.add_cycle_prompts("train", [p.id for p in prompts if p.split == "train"])
        unit.add_cycle_prompts("eval", [p.id for p in prompts if p.split == "eval"])
    ledger.finish_stage(cycle, "sampling")
    ledger.begin_stage(cycle, "generation")
    with ledger.unit(cycle, "generation", "0") as unit:
        unit.add_completions(
            "train", [answer(n, cycle, text, p, "p0") for n, (p, text) in ANSWERS.items()]
        )
    ledger.finish_stage(cycle, "generation")


def _judge(ledger: Ledger, cycle: int) -> None:
    ids = [f"completion-{name}-{cycle}" for name in ANSWERS]
    call = JudgeCall(
        request_hash="q" * 64,
        judge="tiny-judge",
        request="Is it right?",
        reply=f"{CHINESE} 3",
        label_probs={"1": 0.1, "3": 0.85},
        prompt_tokens=12,
        reply_tokens=5,
        latency=0.5,
    )
    judgements = [
        judgement("a", "correct", ids[:1], CHINESE, Rating(score=0.875), call),
        judgement("b", "courteous", ids[1:2], f"It is rude: {RED}", Unscored(reason="no label")),
        judgement("c", "ends", ids[:2], "Both end with a full stop.", Choice(p_first=0.9375)),
    ]
    ledger.begin_stage(cycle, "judging")
    with ledger.unit(cycle, "judging", "0") as unit:
        unit.add_judgements(RUBRIC, judgements)
    ledger.finish_stage(cycle, "judging")


def judgement(
    name: str,
    criterion: str,
    ids: list[str],
    critique: str,
    verdict: Rating | Choice | Unscored,
    call: JudgeCall | None = None,
) -> Judgement:
    """Make a judgement with a readable id."""
    return Judgement(
        id=f"critique-{name}",
        criterion=criterion,
        kind="pairwise" if len(ids) > 1 else "pointwise",
        completion_ids=tuple(ids),
        critique=critique,
        verdict=verdict,
        call=call,
    )


def _prefer(ledger: Ledger, cycle: int) -> None:
    labels = (("capital", 0.75, "0", "1"), ("sum", 0.125, "0", "1"), ("sum", 0.5, "1", "0"))
    ledger.begin_stage(cycle, "preferences")
    with ledger.unit(cycle, "preferences", "0") as unit:
        unit.add_preferences(
            [
                Preference(
                    id=f"preference-{prompt}-{label}",
                    prompt_id=prompt,
                    first_id=f"completion-{prompt}-{first}-{cycle}",
                    second_id=f"completion-{prompt}-{second}-{cycle}",
                    label=label,
                    split="train" if prompt == "capital" else "heldout",
                    rubric_hash=RUBRIC,
                    origin="comparison",
                )
                for prompt, label, first, second in labels
            ]
        )
    ledger.finish_stage(cycle, "preferences")


def _train(ledger: Ledger, cycle: int) -> None:
    reward_model = RewardModelReport(
        preferences=2,
        heldout=1,
        accuracy=0.8125,
        ece=0.0625,
        length_correlation=-0.25,
        train_loss=0.5,
        gain=1.0,
        bias=0.0,
        artifact=ArtifactRef(name="reward-model", digest="d" * 64),
    )
    ppo = PolicyReport(
        updates=20 if cycle == 1 else 7,
        kl_reference=5.5,
        beta=0.0625,
        reward_first=0.0,
        reward_last=1.0,
        stopped="all 20 updates done" if cycle == 1 else "KL rose\nto 99.00",
        artifact=ArtifactRef(name="challenger", digest="c" * 64),
    )
    for stage, report in (("reward_model", reward_model), ("ppo", ppo)):
        ledger.begin_stage(cycle, stage)
        with ledger.unit(cycle, stage, "job") as unit:
            unit.add_report(stage, report)
        ledger.finish_stage(cycle, stage)


def _evaluate(ledger: Ledger, project: Project, cycle: int, *, rate: float) -> None:
    wins = WinRate(
        rate=rate,
        low=rate - 0.125,
        high=rate + 0.125,
        length_controlled=rate,
        prompts=2,
        tied=0,
        unscored=0,
    )
    report = EvaluationReport(
        vs_incumbent=wins,
        vs_base=wins.model_copy(update={"rate": 0.8125}),
        score_challenger=0.75,
        score_incumbent=0.625,
        diversity_challenger=0.5,
        diversity_base=0.5,
        length_challenger=9.0,
        length_base=10.0,
        kl_base=6.25,
        rubric_hash=RUBRIC,
        judge_path="tiny-judge",
        judge_is_trainer=True,
    )
    base, first = (model_folder_digest(project.policies / v) for v in ("v0000", "v0001"))
    answering = {"base": base, "challenger": first if cycle == 1 else f"held-{cycle}"}
    if cycle > 1:
        answering["incumbent"] = first
    ledger.begin_stage(cycle, "evaluation")
    with ledger.unit(cycle, "evaluation", "0") as unit:
        for role, policy in answering.items():
            words = f"{role} of cycle {cycle}: {CHINESE}"
            unit.add_completions(
                f"eval-{role}",
                [answer(f"{role}-{p}", cycle, words, p, policy) for p in ("held-1", "held-2")],
            )
        unit.add_report("evaluation", report)
    ledger.finish_stage(cycle, "evaluation")
