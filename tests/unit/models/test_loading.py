"""Loading models: dtypes, end tokens, conversations, and what is refused."""

import json
from pathlib import Path

import pytest
import torch

from rlaif.errors import ModelError
from rlaif.models.encoding import encode_answer, encode_conversation
from rlaif.models.identity import model_digest
from rlaif.models.loading import ALIGNMENT, load_language_model, pick_device
from rlaif.models.padding import left_pad, right_pad
from rlaif.records import Message
from rlaif.testing import make_tiny_lm

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bit_checkpoints_get_float32_masters(tmp_path: Path, dtype: str) -> None:
    lm = load_language_model(str(make_tiny_lm(tmp_path, dtype=dtype)), CPU, trainable=True)
    assert {p.dtype for p in lm.model.parameters()} == {torch.float32}
    assert all(p.requires_grad for p in lm.model.parameters())
    assert not lm.model.training


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_weights_begin_where_those_do_that_were_never_on_disk(tmp_path: Path, dtype: str) -> None:
    """In a mapped file they begin anywhere, and products' low bits depend on it."""
    policy = str(make_tiny_lm(tmp_path / "policy", dtype=dtype))
    model = load_language_model(policy, CPU, trainable=True).model
    assert {parameter.data_ptr() % ALIGNMENT for parameter in model.parameters()} == {0}


def test_a_frozen_model_takes_no_gradient(tmp_path: Path) -> None:
    lm = load_language_model(str(make_tiny_lm(tmp_path)), CPU)
    assert not any(p.requires_grad for p in lm.model.parameters())


def test_an_end_token_that_is_also_the_filler_learns(tmp_path: Path) -> None:
    loaded = load_language_model(
        str(make_tiny_lm(tmp_path / "policy", pad_is_eos=True)), CPU, trainable=True
    )
    row = torch.tensor([[5, loaded.end_id, 6]])
    loaded.model.base_model(input_ids=row).last_hidden_state.square().sum().backward()
    slope = loaded.model.get_input_embeddings().weight.grad
    assert bool(slope[loaded.end_id].any())


def test_conversations_go_through_the_chat_template(tmp_path: Path) -> None:
    chat = load_language_model(str(make_tiny_lm(tmp_path / "chat")), CPU)
    plain = load_language_model(str(make_tiny_lm(tmp_path / "plain", chat=False)), CPU)
    turns = [Message(role="user", content="Hello")]
    assert plain.tokenizer.decode(encode_conversation(plain, turns)) == "Hello"
    wrapped = chat.tokenizer.decode(encode_conversation(chat, turns))
    assert "Hello" in wrapped
    assert len(wrapped) > len("Hello")


def test_an_answer_has_its_end_token_only_where_it_ended(tmp_path: Path) -> None:
    lm = load_language_model(str(make_tiny_lm(tmp_path)), CPU)
    open_end = encode_answer(lm, "你好, yes", ended=False)
    assert encode_answer(lm, "你好, yes", ended=True) == [*open_end, min(lm.eos_ids)]
    assert lm.tokenizer.decode(open_end) == "你好, yes"


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = make_tiny_lm(tmp_path)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelError, match="tokenizer") as caught:
        load_language_model(str(folder), CPU)
    assert caught.value.exit_code == 78
    assert str(folder) in str(caught.value)


def edited(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | values), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b""),
        ("model.safetensors", b"cut"),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"no JSON"),
        ("config.json", b"[]"),
        ("config.json", b"{}"),
    ],
)
def test_a_broken_file_is_refused_with_the_folder(
    tmp_path: Path, name: str, content: bytes
) -> None:
    folder = make_tiny_lm(tmp_path)
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match="cannot load") as caught:
        load_language_model(str(folder), CPU)
    assert str(folder) in str(caught.value)
    assert "to do:" in str(caught.value)


def test_a_config_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    folder = make_tiny_lm(tmp_path)
    edited(folder, hidden_size=7)
    with pytest.raises(ModelError, match="cannot load"):
        load_language_model(str(folder), CPU)


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    folder = make_tiny_lm(tmp_path)
    layers = load_language_model(str(folder), CPU).model.config.num_hidden_layers
    edited(folder, num_hidden_layers=layers + 1, layer_types=None)
    with pytest.raises(ModelError, match=rf"lacks the weights .*layers\.{layers}\..* and 6 more"):
        load_language_model(str(folder), CPU)


def test_a_chat_template_that_refuses_a_conversation_is_named(tmp_path: Path) -> None:
    lm = load_language_model(str(make_tiny_lm(tmp_path)), CPU)
    lm.tokenizer.chat_template = "{{ raise_exception('no system turn, please') }}"
    turns = [Message(role="system", content="Be kind."), Message(role="user", content="Hi")]
    with pytest.raises(ModelError, match="system, user: no system turn, please"):
        encode_conversation(lm, turns)


def test_a_hub_id_that_cannot_be_reached_says_what_to_do() -> None:
    with pytest.raises(ModelError, match="download it beforehand"):
        load_language_model("nobody/nothing-of-that-name", CPU)


def test_a_model_without_an_end_token_is_refused(tmp_path: Path) -> None:
    folder = make_tiny_lm(tmp_path)
    for name in ("generation_config.json", "config.json", "tokenizer_config.json"):
        path = folder / name
        if path.exists():
            values = json.loads(path.read_text(encoding="utf-8"))
            values.pop("eos_token_id", None)
            values.pop("eos_token", None)
            path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ModelError, match="end-of-sequence"):
        load_language_model(str(folder), CPU)


def test_the_digest_is_of_the_weights_not_of_the_card(tmp_path: Path) -> None:
    folder = make_tiny_lm(tmp_path)
    before = model_digest(str(folder))
    (folder / "README.md").write_text("a card", encoding="utf-8")
    (folder / "lineage.json").write_text("{}", encoding="utf-8")
    assert model_digest(str(folder)) == before
    config = folder / "config.json"
    config.write_text(config.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert model_digest(str(folder)) != before


def test_a_hub_models_digest_follows_its_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    never_fetched = model_digest("team/assistant")
    cache = tmp_path / "models--team--assistant"
    (cache / "refs").mkdir(parents=True)
    digests = []
    for commit, name in (("a" * 40, "config.json"), ("b" * 40, "config.json")):
        (cache / "snapshots" / commit).mkdir(parents=True)
        (cache / "snapshots" / commit / name).write_text("{}", encoding="utf-8")
        (cache / "refs" / "main").write_text(commit, encoding="utf-8")
        digests.append(model_digest("team/assistant"))
        assert model_digest("team/assistant") == digests[-1]
    assert len({never_fetched, *digests}) == 3


def test_an_explicit_device_is_taken_as_it_is() -> None:
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in {"cpu", "cuda", "mps"}


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=r"run\.device = 'cuda'"):
        pick_device("cuda")


def test_padding_by_hand() -> None:
    ids, mask = left_pad([[1, 2, 3], [4]], 9)
    assert ids.tolist() == [[1, 2, 3], [9, 9, 4]]
    assert mask.tolist() == [[True, True, True], [False, False, True]]
    ids, mask = right_pad([[1, 2, 3], [4]], 9)
    assert ids.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]
