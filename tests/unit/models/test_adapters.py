"""Adapters: the lean ones against PEFT's, folders that find their base, one base under many."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import LlamaConfig, LlamaForCausalLM

from rlaif.errors import ModelError
from rlaif.models.actor_critic import score_responses
from rlaif.models.adapters import ADAPTER_WEIGHTS, BASE_FILE, base_of, lora_config, put_in, start
from rlaif.models.decoding import DecodeSettings, decode
from rlaif.models.identity import is_adapter, model_digest
from rlaif.models.lean.layout import Layout
from rlaif.models.lean.trunk import LeanTrunk
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.models.shared_base import SharedBase
from rlaif.rl import Rollout
from rlaif.seeds import seed_everything, torch_generator
from rlaif.testing import make_tiny_lm
from tests.other_models import make_other_lm, reconfigured
from tests.unit.models.test_lean import FAMILIES, ROWS, library_states, make, wanted_places

CPU = torch.device("cpu")
PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12], [13]]


@pytest.fixture
def base(tmp_path: Path) -> str:
    return str(make_tiny_lm(tmp_path / "models" / "base", dtype="bfloat16"))


def shaken(lm: LanguageModel, seed: int = 5) -> LanguageModel:
    """Give an adapter some effect."""
    generator = torch_generator(seed)
    with torch.no_grad():
        for parameter in lm.own:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return lm


def scores(lm: LanguageModel) -> torch.Tensor:
    rollout = Rollout.from_lists(PROMPTS, [[3, 4, 5], [6, 7], [8, 9, 10, 11]], lm.pad_id)
    return score_responses(lm, rollout, 1.0).logprobs


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_states_and_gradients_are_pefts(family: str, checkpointing: bool) -> None:
    model = make(family).requires_grad_(False)
    lean = LeanTrunk(model, torch.float64)
    adapter = put_in(model, "policy", lora_config(rank=3, alpha=5.0))
    generator = torch_generator(1)
    for parameter in adapter.values():
        parameter.data = torch.randn(parameter.shape, generator=generator).double() * 0.3
        parameter.requires_grad_(True)
    trunk = lean.wearing(model, "policy", checkpointing=checkpointing)
    layout = Layout.of(ROWS, 0, max_waste=0.2)
    states = trunk.states(layout, wanted_places(layout, ROWS, 2))
    weights = torch.sin(torch.arange(states.numel(), dtype=torch.float64)).view_as(states)
    (states * weights).sum().backward()
    own = [p.grad.clone() for p in adapter.values()]
    model.zero_grad()
    expected = library_states(model, 2)
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)
    (expected * weights).sum().backward()
    for mine, parameter in zip(own, adapter.values(), strict=True):
        torch.testing.assert_close(mine, parameter.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "matrices"),
    [
        ({"target_modules": {"q_proj", "v_proj"}}, 2 * 3),
        ({"layers_to_transform": [1], "layers_pattern": "layers"}, 7),
    ],
    ids=["of each block", "of one block"],
)
def test_an_adapter_of_some_matrices_leaves_the_others_alone(
    settings: dict[str, object], matrices: int
) -> None:
    model = make("llama").requires_grad_(False)
    lean = LeanTrunk(model, torch.float64)
    config = lora_config(rank=2, alpha=4.0)
    for name, value in settings.items():
        setattr(config, name, value)
    adapter = put_in(model, "policy", config)
    generator = torch_generator(1)
    for parameter in adapter.values():
        parameter.data = torch.randn(parameter.shape, generator=generator).double() * 0.3
        parameter.requires_grad_(True)
    layout = Layout.of(ROWS, 0)
    states = lean.wearing(model, "policy").states(layout, wanted_places(layout, ROWS, 0))
    expected = library_states(model, 0)
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)
    assert len(adapter) == 2 * matrices
    states.square().sum().backward()
    own = [p.grad.clone() for p in adapter.values()]
    model.zero_grad()
    expected.square().sum().backward()
    for mine, parameter in zip(own, adapter.values(), strict=True):
        torch.testing.assert_close(mine, parameter.grad, atol=1e-4, rtol=1e-4)


def test_an_adapters_share_is_alpha_over_its_rank() -> None:
    model = make("llama").requires_grad_(False)
    adapter = put_in(model, "policy", lora_config(rank=4, alpha=3.0))
    projection = model.model.layers[0].self_attn.q_proj
    generator = torch_generator(1)
    given = torch.randn(2, projection.in_features, generator=generator).double()
    plain = projection(given)
    for parameter in adapter.values():
        parameter.data = torch.randn(parameter.shape, generator=generator).double()
    down, up = (
        next(p for name, p in adapter.items() if f"layers.0.self_attn.q_proj.lora_{x}." in name)
        for x in "AB"
    )
    assert down.shape[0] == up.shape[1] == 4
    torch.testing.assert_close(projection(given), plain + 3.0 / 4 * given @ down.T @ up.T)


def test_a_new_adapter_changes_nothing_and_is_drawn_from_its_seed(base: str) -> None:
    shared = SharedBase.open(base, CPU, "float32")
    plain = scores(shared.bare())
    one = shared.fresh("one", 4, 8.0, seed=1)
    torch.testing.assert_close(scores(one), plain, rtol=0, atol=0)
    again = SharedBase.open(base, CPU, "float32").fresh("one", 4, 8.0, seed=1)
    other = shared.fresh("other", 4, 8.0, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(one.own, again.own, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.own, other.own, strict=True))


def test_a_new_adapter_is_drawn_evenly_within_the_bounds_of_its_authors() -> None:
    model = make("llama", torch.float32, hidden_size=256, num_attention_heads=8)
    adapter = put_in(model, "new", lora_config(rank=4, alpha=8.0))
    start(adapter, 3)
    down = {name: a for name, a in adapter.items() if ".lora_A." in name}
    assert {a.shape[1] for a in down.values()} == {256, 48}
    begun = {
        tuple((a[0, :5] * a.shape[1] ** 0.5).round(decimals=3).tolist()) for a in down.values()
    }
    assert len(begun) == len(down), "each matrix has random numbers of its own"
    for name, drawn in adapter.items():
        if name not in down:
            assert not drawn.any()
            continue
        bound = drawn.shape[1] ** -0.5
        assert 0.9 * bound < drawn.abs().max() <= bound
        assert drawn.std() == pytest.approx(bound / 3**0.5, rel=0.2)


def test_a_fused_optimisers_writes_are_seen_once_they_are_told(base: str) -> None:
    policy = shaken(SharedBase.open(base, CPU, "float32").fresh("policy", 4, 8.0, seed=1))
    assert policy.lean is not None
    optimizer = torch.optim.AdamW(policy.trained, lr=0.1, fused=True)
    layout = Layout.of(PROMPTS, 0)
    before = policy.lean.states(layout)
    before.square().sum().backward()
    optimizer.step()
    policy.weights_may_have_moved()
    after = policy.lean.states(layout).detach()
    assert not torch.allclose(after, before, atol=1e-3)
    assert policy.worn is not None
    same = policy.worn.like("same")
    assert same.lean is not None
    torch.testing.assert_close(after, same.lean.states(layout), rtol=0, atol=0)


def test_adapters_on_one_base_do_not_disturb_each_other(base: str) -> None:
    shared = SharedBase.open(base, CPU, "float32")
    plain = scores(shared.bare())
    policy = shaken(shared.fresh("policy", 4, 8.0, seed=1))
    moved = scores(policy)
    copied = policy.worn.like("reference") if policy.worn is not None else policy
    assert not torch.allclose(moved, plain, atol=1e-3)
    torch.testing.assert_close(scores(copied), moved, rtol=0, atol=0)
    shaken(policy, seed=9)
    torch.testing.assert_close(scores(copied), moved, rtol=0, atol=0)
    torch.testing.assert_close(scores(shared.bare()), plain, rtol=0, atol=0)
    assert [p.requires_grad for p in policy.own] == [True] * len(policy.own)
    assert not copied.trained
    trained = [n for n, p in policy.model.named_parameters() if p.requires_grad]
    assert trained
    assert all(".policy." in name for name in trained)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_what_is_written_is_read_again_and_is_what_peft_reads(base: str, tmp_path: Path) -> None:
    policy = shaken(SharedBase.open(base, CPU, "float32").fresh("policy", 4, 6.0, seed=1))
    folder = tmp_path / "adapter"
    folder.mkdir()
    policy.save(folder)
    again = SharedBase.open(str(folder), CPU, "float32")
    worn = again.wearing("reward-0", folder)
    torch.testing.assert_close(scores(worn), scores(policy), rtol=0, atol=0)
    theirs = PeftModel.from_pretrained(
        LlamaForCausalLM.from_pretrained(base, dtype=torch.float32), str(folder)
    )
    ids = torch.tensor([[5, 6, 7, 8]])
    states = theirs.base_model.model.model(ids).last_hidden_state[0]
    assert policy.lean is not None
    mine = policy.lean.states(Layout.of([[5, 6, 7, 8]], 0))
    torch.testing.assert_close(mine, states, rtol=1e-4, atol=1e-4)


def test_loaded_by_itself_an_adapter_is_the_whole_model(base: str, tmp_path: Path) -> None:
    policy = shaken(SharedBase.open(base, CPU, "float32").fresh("policy", 4, 6.0, seed=1))
    folder = tmp_path / "adapter"
    folder.mkdir()
    policy.save(folder)
    whole = load_language_model(str(folder), CPU)
    assert whole.worn is None
    assert not any("lora" in name for name, _ in whole.model.named_parameters())
    torch.testing.assert_close(scores(whole), scores(policy), rtol=1e-4, atol=1e-4)
    settings = DecodeSettings(max_tokens=6)
    mine = [answer.token_ids for answer in decode(policy, PROMPTS, settings)]
    assert mine == [answer.token_ids for answer in decode(whole, PROMPTS, settings)]


def written(base: str, folder: Path, seed: int = 1) -> Path:
    policy = shaken(SharedBase.open(base, CPU, "float32").fresh("policy", 4, 6.0, seed=seed))
    folder.mkdir(parents=True)
    policy.save(folder)
    return folder


def test_the_same_adapter_has_the_same_digest_wherever_its_project_lies(tmp_path: Path) -> None:
    digests = set()
    for name in ("here", "there/deeper"):
        base = make_tiny_lm(tmp_path / name / "models" / "base")
        folder = written(str(base), tmp_path / name / "state" / "artifacts" / "challenger")
        digests.add(model_digest(str(folder)))
    assert len(digests) == 1


def test_a_project_may_be_moved_and_its_adapters_copied_within_it(tmp_path: Path) -> None:
    base = make_tiny_lm(tmp_path / "old" / "models" / "base")
    folder = written(str(base), tmp_path / "old" / "state" / "artifacts" / "challenger")
    (tmp_path / "old" / "policies").mkdir()
    shutil.copytree(folder, tmp_path / "old" / "policies" / "v0001")
    shutil.move(tmp_path / "old", tmp_path / "new")
    for place in ("state/artifacts/challenger", "policies/v0001"):
        found = base_of(tmp_path / "new" / place)
        assert Path(found) == tmp_path / "new" / "models" / "base"


def test_a_base_that_is_gone_or_another_is_named(tmp_path: Path) -> None:
    base = make_tiny_lm(tmp_path / "base")
    folder = written(str(base), tmp_path / "adapter")
    make_tiny_lm(base, seed=8)
    with pytest.raises(ModelError, match=r"another model in .*base"):
        load_language_model(str(folder), CPU)
    shutil.rmtree(base)
    with pytest.raises(ModelError, match="no such folder"):
        load_language_model(str(folder), CPU)


def test_an_adapter_that_others_made_names_its_base_as_peft_does(base: str, tmp_path: Path) -> None:
    folder = written(base, tmp_path / "adapter")
    (folder / BASE_FILE).unlink()
    for file in folder.glob("token*"):
        file.unlink()
    reconfigured(folder, {"base_model_name_or_path": base})
    assert is_adapter(str(folder))
    assert load_language_model(str(folder), CPU).tokenizer.chat_template


@pytest.mark.parametrize("fault", ["cut", "shape"])
def test_a_broken_adapter_is_refused(base: str, tmp_path: Path, fault: str) -> None:
    folder = written(base, tmp_path / "adapter")
    if fault == "cut":
        (folder / ADAPTER_WEIGHTS).write_bytes(b"not weights")
    else:
        reconfigured(folder, {"r": 5})
    with pytest.raises(ModelError, match="adapter"):
        load_language_model(str(folder), CPU)
    with pytest.raises(ModelError):
        SharedBase.open(str(folder), CPU, "float32").wearing("policy", folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_dora": True}, "use_dora = True"),
        ({"bias": "all"}, "bias = 'all'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights = 'pissa'"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices"),
        ({"target_modules": ["q_proj", "lm_head"]}, "a part of lm_head"),
        ({"target_modules": ".*(v_proj|embed_tokens)"}, "a part of model.embed_tokens"),
    ],
    ids=lambda found: next(iter(found)) if isinstance(found, dict) else "",
)
def test_what_is_more_than_plain_lora_is_refused_where_it_would_be_trained_on(
    base: str, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    folder = reconfigured(written(base, tmp_path / "adapter"), changes)
    with pytest.raises(ModelError, match="plain LoRA") as caught:
        SharedBase.open(base, CPU, "float32").wearing("policy", folder)
    assert said in caught.value.seen


def test_an_adapter_that_was_trained_with_dropout_is_trained_on_without(
    base: str, tmp_path: Path
) -> None:
    folder = written(base, tmp_path / "adapter")
    plain = SharedBase.open(base, CPU, "float32").wearing("policy", folder, trainable=True)
    reconfigured(folder, {"lora_dropout": 0.5, "init_lora_weights": "gaussian"})
    dropping = SharedBase.open(base, CPU, "float32").wearing("policy", folder, trainable=True)
    torch.testing.assert_close(scores(dropping), scores(plain), rtol=0, atol=0)


def test_models_of_other_blocks_share_a_base_too(tmp_path: Path) -> None:
    """GPT-2 has no lean trunk: the library computes, and adapters are put on and taken off."""
    folder = make_other_lm(tmp_path / "gpt2", "gpt2")
    shared = SharedBase.open(str(folder), CPU, "float32")
    assert shared.bare().lean is None
    plain = scores(shared.bare())
    policy = shaken(shared.fresh("policy", 4, 8.0, seed=1))
    other = shaken(shared.fresh("other", 4, 8.0, seed=2), seed=3)
    alone = scores(other)
    seen: Sequence[torch.Tensor] = [scores(lm) for lm in (policy, shared.bare(), other, policy)]
    torch.testing.assert_close(seen[2], alone)
    torch.testing.assert_close(seen[1], plain)
    torch.testing.assert_close(seen[0], seen[3])
    assert not torch.allclose(seen[0], seen[2], atol=1e-3)
    assert all(p.requires_grad for p in (*policy.own, *other.own))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_three_models_and_a_head_weigh_little_more_than_one(tmp_path: Path, precision: str) -> None:
    folder = make_tiny_lm(tmp_path / "wide")
    sizes = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 3}
    config = LlamaConfig.from_pretrained(folder, **sizes, num_attention_heads=4, head_dim=64)
    seed_everything(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    shared = SharedBase.open(str(folder), CPU, precision)  # type: ignore[arg-type]  # either
    alone = shared.resident_bytes()
    element = 4 if precision == "float32" else 2
    assert alone == pytest.approx(element * config_weights(str(folder)), rel=0.01)
    for name in ("policy", "reference", "reward-0"):
        shared.fresh(name, 4, 8.0, seed=1)
    assert shared.resident_bytes() < (1.1 if precision == "float32" else 1.2) * alone


def config_weights(folder: str) -> int:
    model = LlamaForCausalLM.from_pretrained(folder)
    return sum(p.numel() for p in model.parameters())
