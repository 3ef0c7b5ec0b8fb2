"""Settings: every field documented and written, every mistake named with its line."""

from pathlib import Path

import pytest
import torch
from pydantic import BaseModel

from rlaif.config import JudgeConfig, RlaifConfig, Section, read_config
from rlaif.config.ppo import APPROX_KL_LIMIT, LAGRANGIAN_BETAS
from rlaif.config_file import render_config
from rlaif.errors import ConfigError
from rlaif.project import Project, load_project, share
from rlaif.rl import LagrangianKL, k3


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rlaif.toml"
    path.write_text(text, encoding="utf-8")
    return path


def sections(model: type[BaseModel] = RlaifConfig) -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = []
    for field in model.model_fields.values():
        inner = [a for a in (field.annotation, *getattr(field.annotation, "__args__", ()))]
        found += [a for a in inner if isinstance(a, type) and issubclass(a, Section)]
    return found


def test_defaults_survive_a_trip_through_the_file(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, render_config(RlaifConfig()))) == RlaifConfig()
    assert read_config(written(tmp_path, "")) == RlaifConfig()


def test_changed_settings_survive_a_trip_through_the_file(tmp_path: Path) -> None:
    config = RlaifConfig.model_validate(
        {
            "policy": {"path": 'a "quoted" \\ path 路径'},
            "ppo": {"learning_rate": 1e-05, "missing_eos_score": -2.0},
            "evaluation": {"judge": {"path": "other", "template": "detailed"}},
        }
    )
    assert read_config(written(tmp_path, render_config(config))) == config


def test_every_setting_is_described() -> None:
    for section in sections():
        for name, field in section.model_fields.items():
            assert field.description or name == "judge", (section, name)
        assert (section.__doc__ or "").strip()


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        ("[ppo]\nupdats = 3\n", 2, ["ppo.updats", "'updates'"]),
        ("[pppo]\nupdates = 3\n", 1, ["unknown key 'pppo'", "'ppo'"]),
        ('[run]\nseed = "7"\n', 2, ["run.seed", "'7'", "a whole number"]),
        ("[ppo]\n\nupdates = 0\n", 3, ["ppo.updates", "a number above 0"]),
        ('[ppo]\nlearning_rate = "fast"\n', 2, ["ppo.learning_rate = 'fast'"]),
        ("[gate]\nmin_win_rate = nan\n", 2, ["gate.min_win_rate", "nan"]),
        ('[run]\ndevice = "tpu"\n', 2, ["run.device", "'cuda'"]),
        ("[run\n", 1, ["TOML"]),
        ("[ppo]\nrollout_batch = 10\nminibatch = 4\n", 3, ["ppo.minibatch = 4 does not divide"]),
        (
            '[policy]\noptimizer = "rloo"\n[rloo]\ngroup_size = 3\n',
            4,
            ["rloo.group_size = 3 does not divide rloo.rollout_batch = 64"],
        ),
        (
            '[policy]\noptimizer = "grpo"\n[grpo]\nminibatch = 48\n',
            4,
            ["grpo.minibatch = 48 does not divide grpo.rollout_batch = 64"],
        ),
        (
            '[policy]\noptimizer = "dpo"\n[dpo]\nmicro_batch = 5\n',
            4,
            ["dpo.micro_batch = 5 does not divide dpo.batch_size = 32"],
        ),
        (
            '[policy]\noptimizer = "best_of_n"\n[best_of_n]\nbatch_size = 24\n',
            3,
            ["best_of_n.micro_batch = 16 does not divide best_of_n.batch_size = 24"],
        ),
        ('[policy]\noptimizer = "sgd"\n', 2, ["optimizer", "rloo"]),
        *(
            (
                f'[policy]\noptimizer = "{other}"\n[ppo]\nreference = "ema"\n',
                4,
                ['ppo.reference = "ema"', f'policy.optimizer = "{other}"', '"incumbent"'],
            )
            for other in ("dpo", "rloo", "grpo", "best_of_n")
        ),
        ("[ppo]\nkl_horizon = 12\n", 2, ["ppo.kl_horizon = 12", "above 12.8"]),
        (
            "[ppo]\nrollout_batch = 10\nminibatch = 5\nkl_horizon = 2\n",
            4,
            ["ppo.kl_horizon = 2", "above 2"],
        ),
        (
            '[ppo]\nkl_control = "lagrangian"\nkl_beta = 2000.0\n',
            3,
            [
                "ppo.kl_beta = 2000.0 lies outside 1e-06 to 1000",
                'ppo.kl_control = "lagrangian"',
            ],
        ),
        (
            '[ppo]\nkl_place = "loss"\nkl_estimator = "k1"\n',
            3,
            ['ppo.kl_estimator = "k1"', 'ppo.kl_place = "loss"', '"k2"'],
        ),
        ('[ppo]\nkl_beta = 1e-7\nkl_control = "lagrangian"\n', 2, ["ppo.kl_beta = 1e-07"]),
        ("[ppo]\ncritic_warmup = 20\n", 2, ["ppo.critic_warmup = 20", "ppo.updates = 20"]),
        ("[ppo]\nspike_kl = 10\n", 2, ["ppo.spike_kl = 10 is never passed", "below 10"]),
        ("[ppo]\nkl_early_stop = 7.0\n", 2, ["ppo.kl_early_stop = 7", "below 6.67", '"off"']),
        (
            "[judging]\npairs_per_prompt = 99\n",
            2,
            ["judging.pairs_per_prompt = 99, ", "only 6 pairs"],
        ),
        ("[generation]\nbatch_size = 2\n", 2, ["not even one prompt"]),
        ('[evaluation.judge]\npaht = "x"\n', 2, ["evaluation.judge.paht", "'path'"]),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, line: int | None, parts: list[str]) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    message = str(caught.value)
    assert caught.value.exit_code == 78
    assert caught.value.line == line, message
    assert str(path) in message
    assert all(part in message for part in parts), message
    assert "to do:" in message


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "rlaif.toml"
    path.write_bytes(b"\xef\xbb\xbf[run]\r\nseed = 5\r\n")
    assert read_config(path).run.seed == 5


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rlaif init"):
        load_project(tmp_path)


def test_the_environment_overrides_one_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "[run]\nseed = 1\n")
    monkeypatch.setenv("RLAIF_RUN__SEED", "7")
    monkeypatch.setenv("RLAIF_POLICY__PATH", "some/model")
    config = read_config(path)
    assert (config.run.seed, config.policy.path) == (7, "some/model")
    monkeypatch.setenv("RLAIF_PPO__UPDATS", "7")
    with pytest.raises(ConfigError, match=r"RLAIF_PPO__UPDATS.*: unknown key 'ppo.updats'"):
        read_config(path)


def test_the_evaluation_listens_to_the_training_judge_unless_told() -> None:
    config = RlaifConfig()
    assert config.evaluation_jury == config.jury == (config.judge,)
    other = RlaifConfig.model_validate({"evaluation": {"judge": {"path": "other"}}})
    (judge,) = other.evaluation_jury
    assert judge.path == "other"
    assert config.fingerprint() != other.fingerprint()


JURY = """
[judge]
path = "org/big"
[[jurors]]
path = "models/\u5c0f"
critique = false
[[jurors]]
name = "third"
path = "org/big"
"""


def test_jurors_judge_beside_the_judge_and_survive_a_trip_through_the_file(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, JURY))
    assert [j.display_name for j in config.jury] == ["big", "\u5c0f", "third"]
    assert [j.critique for j in config.evaluation_jury] == [True, False, True]
    assert read_config(written(tmp_path, render_config(config))) == config


def test_the_fingerprint_knows_jurors_but_not_where_they_lie(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, JURY))
    moved = read_config(written(tmp_path, JURY.replace("org/big", "elsewhere/big")))
    fewer = read_config(written(tmp_path, JURY.split("[[jurors]]")[0]))
    assert config.fingerprint() == moved.fingerprint() != fewer.fingerprint()


def test_two_judges_of_one_name_are_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"jurors.1.name = 'big', as another judge") as caught:
        read_config(written(tmp_path, JURY.replace("third", "big")))
    assert caught.value.line == 8


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("bundled:tiny-judge", "tiny-judge"),
        ("org/judge-8b", "judge-8b"),
        ("../models/judge/", "judge"),
        ("C:\\models\\judge", "judge"),
        ("judge", "judge"),
    ],
)
def test_a_judge_is_called_by_the_last_part_of_its_path(path: str, name: str) -> None:
    assert JudgeConfig(path=path).display_name == name
    assert JudgeConfig(path=path, name="mine").display_name == "mine"


def test_names_resolve_to_folders_bundled_ones_and_hub_ids(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    project = Project(tmp_path, RlaifConfig())
    assert project.resolve("mine") == str(tmp_path / "mine")
    assert project.resolve("org/model") == "org/model"
    assert Path(project.resolve("bundled:tiny")).is_dir()
    with pytest.raises(ConfigError, match="does not ship"):
        project.resolve("bundled:nothing")
    assert share("prompts", "rubrics", "helpdesk.toml").is_file()


@pytest.mark.parametrize("beta", [1e-6, 1e3])
def test_a_multiplier_may_begin_at_its_controllers_bounds(beta: float) -> None:
    control = LagrangianKL(0.1)
    assert (control.lowest, control.highest) == LAGRANGIAN_BETAS
    sections = {"ppo": {"kl_control": "lagrangian", "kl_beta": beta}}
    assert LagrangianKL(RlaifConfig.model_validate(sections).ppo.kl_beta).beta == beta
    for other in ("fixed", "adaptive"):
        beyond = {"ppo": {"kl_control": other, "kl_beta": 2.0 * beta}}
        assert RlaifConfig.model_validate(beyond).ppo.kl_beta == 2.0 * beta


def test_the_limit_of_the_estimate_is_that_of_the_estimator() -> None:
    assert float(k3(torch.tensor(0.0), torch.tensor(9.0))) == APPROX_KL_LIMIT


def test_what_an_unused_optimizer_says_is_let_be(tmp_path: Path) -> None:
    unused = "[rloo]\ngroup_size = 3\n[dpo]\nmicro_batch = 5\n[best_of_n]\nmicro_batch = 5\n"
    path = tmp_path / "rlaif.toml"
    path.write_text(unused, encoding="utf-8")
    assert read_config(path).policy.optimizer == "ppo"
    other = '[policy]\noptimizer = "grpo"\n[ppo]\nminibatch = 48\n'
    path.write_text(other, encoding="utf-8")
    assert read_config(path).ppo.minibatch == 48


@pytest.mark.parametrize(
    ("kind", "rank", "fine"),
    [("trunks", 0, True), ("adapters", 4, True), ("heads", 4, True), ("heads", 0, True),
     ("trunks", 4, False), ("adapters", 0, False)],
)  # fmt: skip
def test_members_of_an_ensemble_are_adapters_where_there_is_a_rank(
    tmp_path: Path, kind: str, rank: int, fine: bool
) -> None:
    text = f'[reward_model]\nensemble = 2\nensemble_kind = "{kind}"\nlora_rank = {rank}\n'
    path = written(tmp_path, text)
    if fine:
        assert read_config(path).reward_model.lora_rank == rank
    else:
        with pytest.raises(ConfigError, match=r"reward_model\.ensemble_kind"):
            read_config(path)


SERVED = """
[judge]
backend = "openai"
template = "detailed"
[judge.server]
endpoints = ["http://127.0.0.1:8000/v1"]
model = "org/judge-8b"
"""
ELSEWHERE = SERVED.split("[judge]\n")[1].replace("[judge.", "[evaluation.judge.")
ELSEWHERE = ELSEWHERE.replace("8000", "9000")


def test_a_judge_on_a_server_survives_a_trip_through_the_file(tmp_path: Path) -> None:
    text = (
        SERVED
        + '[[jurors]]\nbackend = "brief"\n[jurors.options]\nlongest = 100\n"a b" = "\u5c0f"\n'
    )
    config = read_config(written(tmp_path, text))
    assert [j.display_name for j in config.jury] == ["judge-8b", "brief"]
    assert config.jurors[0].options == {"longest": 100, "a b": "\u5c0f"}
    assert read_config(written(tmp_path, render_config(config))) == config


def test_the_fingerprint_knows_the_model_but_not_where_it_is_served(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, SERVED))
    moved = read_config(written(tmp_path, SERVED.replace("127.0.0.1", "10.0.0.7")))
    other = read_config(written(tmp_path, SERVED.replace("8b", "70b")))
    assert config.fingerprint() == moved.fingerprint() != other.fingerprint()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[judge]\nbackend = "openai"\n', 2, "without servers"),
        (SERVED.replace('"detailed"', '"compact"'), 4, "how the bundled judge is asked"),
        (SERVED.replace('backend = "openai"', 'backend = "transformers"'), 3, "table of servers"),
        (SERVED.replace("model =", "# model ="), 5, "no model to ask for"),
        ("[judge]\n[judge.options]\na = 1\n", 2, "are not for the backend"),
        (f"{SERVED}samples = 3\n", 8, "would all be alike"),
        (
            '[evaluation]\n[evaluation.judge]\nbackend = "openai"\n',
            3,
            "without servers",
        ),
        (f"{SERVED}[budget]\nday_money = 3.0\n", 9, "whose calls cost nothing"),
        (
            f"{SERVED}[evaluation.judge]\n{ELSEWHERE}",
            8,
            "asks for org/judge-8b elsewhere",
        ),
        ('[judge]\nbackend = "x"\n[judge.options]\napi_key = "s"\n', 4, "kept in the ledger"),
        ('[judging]\ncompare = "lists"\npairwise_weight = 0.0\n', 2, "nothing is compared"),
        ("[judging]\nclamp = 0.49\npairwise_weight = 1.0\n", 2, "makes every comparison a tie"),
        (
            "[judging]\nclamp = 0.4\npairwise_weight = 1.0\n[evaluation]\ntie_margin = 0.11\n",
            2,
            "evaluation.tie_margin = 0.11",
        ),
        ('[judging]\ncompare = "lists"\n', 2, "asks the bundled judge to rank answers"),
        ("[judging]\nmark_errors = true\n", 2, "asks the bundled judge to mark errors"),
        ("[revision]\nshare = 0.5\n", 2, "asks the bundled judge to revise answers"),
        ("[judge]\ncritique = false\n[revision]\nshare = 0.5\n", 4, "no critique to revise by"),
    ],
)
def test_a_backend_has_what_it_needs_and_nothing_else(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read_config(written(tmp_path, text))
    assert caught.value.line == line


def test_a_variable_for_a_list_of_tables_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLAIF_JURORS__NAME", "x")
    with pytest.raises(ConfigError, match=r"RLAIF_JURORS__NAME is set, but \[\[jurors\]\]"):
        read_config(written(tmp_path, JURY))
