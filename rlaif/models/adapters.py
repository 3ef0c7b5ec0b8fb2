"""Adapter folders: low-rank weights in PEFT's format, and which base they belong on.

Beside PEFT's ``adapter_model.safetensors`` and ``adapter_config.json`` lies ``base.json``, with the
digest of the base, by which it is known, and its name, by which it is looked for: a hub's id,
``bundled:NAME``, or a path that some folder above the adapter leads to. So a project may be moved
as a whole, and the digest of an adapter does not depend on where it was trained. Adapters that
others made have no ``base.json``; PEFT's own entry is believed then.

Importing this module imports PEFT, which takes a second.
"""

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model_state_dict,
    inject_adapter_in_model,
    set_peft_model_state_dict,
)
from peft.tuners.tuners_utils import check_target_module_exists
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, PreTrainedModel

from rlaif.errors import ModelError
from rlaif.models.identity import ADAPTER_CONFIG, model_digest
from rlaif.models.loading import LOADING_FAULTS, load_language_model
from rlaif.project import BUNDLED, share
from rlaif.records import Record
from rlaif.seeds import torch_generator

ADAPTER_WEIGHTS = "adapter_model.safetensors"
BASE_FILE = "base.json"
FILES = (ADAPTER_WEIGHTS, ADAPTER_CONFIG, BASE_FILE)
# What an adapter may differ in from PEFT's defaults, all else being what the base is computed with.
PLAIN = frozenset(
    {
        "task_type",
        "peft_type",
        "auto_mapping",
        "peft_version",
        "base_model_name_or_path",
        "revision",
        "inference_mode",
        "r",
        "target_modules",
        "exclude_modules",
        "lora_alpha",
        "lora_dropout",
        "fan_in_fan_out",
        "use_rslora",
        "init_lora_weights",
        "layers_to_transform",
        "layers_pattern",
        "rank_pattern",
        "alpha_pattern",
        "eva_config",
        "ensure_weight_tying",
    }
)
BASE_KEPT = (True, False, "gaussian", "eva", "orthogonal")  # other beginnings rewrite the base
_PREFIX = "base_model.model."


class BaseFacts(Record):
    """What ``base.json`` says."""

    base: str
    digest: str


def lora_config(rank: int, alpha: float) -> LoraConfig:
    """Return the settings of an adapter of every matrix but embeddings and head.

    Args:
        rank: r.
        alpha: The adapter's share is multiplied by alpha / r.
    """
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # PEFT divides it as a float
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def read_adapter_config(folder: Path, model: PreTrainedModel) -> LoraConfig:
    """Read the settings of an adapter that may be trained on.

    Its dropout is kept in them and never applied: what samples is what learns.

    Args:
        folder: The adapter.
        model: The base, or the base with adapters on or merged into it.

    Raises:
        ModelError: It is of a kind that cannot be.
    """
    with _readable(folder):
        config: LoraConfig = LoraConfig.from_pretrained(str(folder))
    odd = _odd(config, model)
    if odd:
        raise ModelError(
            f"{folder} holds an adapter with {', '.join(odd)}",
            "plain LoRA of matrices within blocks",
            "train all weights (ppo.lora_rank = 0), or merge it into its base (PEFT's "
            "merge_and_unload) and start from that",
        )
    return config


def _odd(config: PeftConfig, model: PreTrainedModel) -> list[str]:
    """What of an adapter's settings this package would not compute."""
    if not isinstance(config, LoraConfig):
        return [f"peft_type = {config.peft_type}"]
    plain = vars(LoraConfig())
    odd = [
        f"{name} = {value!r}"
        for name, value in vars(config).items()
        if name not in PLAIN and value and value != plain.get(name)
    ]
    if config.init_lora_weights not in BASE_KEPT:
        odd.append(f"init_lora_weights = {config.init_lora_weights!r}")
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    if config.target_modules != "all-linear":  # which means all but the ends
        names = (name for name, module in model.named_modules() if module in ends)
        odd += [f"a part of {name}" for name in names if check_target_module_exists(config, name)]
    return odd


def base_of(folder: Path) -> str:
    """Return the path or hub id of the base that an adapter belongs on.

    Raises:
        ModelError: It is not to be found, or is not the one that the adapter was trained on.
    """
    facts = folder / BASE_FILE
    if not facts.is_file():
        config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        return str(config["base_model_name_or_path"])
    wanted = BaseFacts.model_validate_json(facts.read_text(encoding="utf-8"))
    places = _places(wanted.base, folder)
    for place in places:
        if model_digest(place) == wanted.digest:
            return place
    found = f"another model in {places[0]}" if places else "no such folder here or above"
    raise ModelError(
        f"the base {wanted.base} of {folder}: {found}",
        f"the model with digest {wanted.digest[:12]}",
        "put the base back, or correct 'base' in base.json to where it lies now",
    )


def put_in(model: PreTrainedModel, name: str, config: LoraConfig) -> dict[str, Tensor]:
    """Put an adapter into a model, frozen and without effect; its weights are float32.

    Returns:
        Its parameters by name.
    """
    trainable = {id(p) for p in model.parameters() if p.requires_grad}
    with _quiet():
        inject_adapter_in_model(config, model, name)
    found: dict[str, Tensor] = {}
    for parameter_name, parameter in model.named_parameters():
        if f".{name}." in parameter_name:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(False)
            found[parameter_name] = parameter
        else:  # PEFT lets the newest adapter alone be trained
            parameter.requires_grad_(id(parameter) in trainable)
    return found


@torch.no_grad()
def start(parameters: dict[str, Tensor], seed: int) -> None:
    """Draw an adapter's beginning: A uniform within 1 / sqrt(in), B zero, so it changes nothing.

    Source: Hu et al. 2022, section 4.1, with the bounds of the authors' own code (Kaiming's with
    a = sqrt(5)).
    """
    generator = torch_generator(seed)
    for name in sorted(parameters):
        parameter = parameters[name]
        drawn = torch.zeros(parameter.shape)
        if ".lora_A." in name:
            bound = parameter.shape[1] ** -0.5
            drawn.uniform_(-bound, bound, generator=generator)
        parameter.copy_(drawn)


def read_adapter(model: PreTrainedModel, name: str, folder: Path) -> None:
    """Fill an adapter that was put in with the weights of a folder.

    Raises:
        ModelError: Weights are missing, or do not fit.
    """
    with _readable(folder):
        stored = load_file(str(folder / ADAPTER_WEIGHTS))
    own = {key.removeprefix(_PREFIX): value.float() for key, value in stored.items()}
    wanted = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in wanted.items()}:
        raise ModelError(
            f"the weights in {folder} are not those that its {ADAPTER_CONFIG} promises",
            f"{len(wanted)} matrices that fit the base",
            "restore the folder from a backup",
        )
    set_peft_model_state_dict(model, own, adapter_name=name)


def write_adapter(
    model: PreTrainedModel, name: str, config: LoraConfig, base: str, folder: Path
) -> None:
    """Write an adapter into a folder that is there.

    Args:
        model: The model that carries it.
        name: Its name there.
        config: Its settings.
        base: Path or hub id of the base.
        folder: Where to.
    """
    state = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    weights = {f"{_PREFIX}{k}": v.detach().cpu().contiguous() for k, v in state.items()}
    save_file(weights, str(folder / ADAPTER_WEIGHTS))
    settings: dict[str, Any] = config.to_dict()  # type: ignore[no-untyped-call]  # PEFT is not typed
    _write_facts(folder, _jsonable(settings), portable_name(base, folder), base)


def point_to_base(source: Path, copy: Path) -> None:
    """Let a copied adapter name its base by a full path, so that PEFT and we find it anywhere.

    Args:
        source: The adapter in its project.
        copy: The copy.

    Raises:
        ModelError: The base is not to be found.
    """
    config = json.loads((source / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    base = base_of(source)
    _write_facts(copy, config, base, base)


def write_merged(source: Path, folder: Path) -> None:
    """Write the whole model that an adapter stands for, in the type of its base's weights.

    Args:
        source: The adapter's folder.
        folder: Where to write weights, configuration and tokenizer.

    Raises:
        ModelError: The base is not to be found, or one of them cannot be read.
    """
    base = base_of(source)
    stored = AutoConfig.from_pretrained(base, trust_remote_code=False).dtype or torch.float32
    whole = load_language_model(str(source), torch.device("cpu"))
    for parameter in whole.model.parameters():
        parameter.data = parameter.data.to(stored)
    whole.save(folder)


def merged(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Return a base with an adapter's weights added to its own: W + (alpha / r) B A."""
    with _quiet():
        plain: PreTrainedModel = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    return plain


def portable_name(base: str, folder: Path) -> str:
    """Return a name of a base that leads there from ``folder`` even if both are moved together."""
    path = Path(base)
    if not path.is_dir():
        return base
    path = path.resolve()
    if path.parent == share("policies").resolve():
        return f"{BUNDLED}{path.name}"
    common = os.path.commonpath([path, folder.resolve()])
    return path.relative_to(common).as_posix()


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Say of a file that cannot be read whose it is."""
    try:
        yield
    except LOADING_FAULTS as exc:
        raise ModelError(
            f"the adapter in {folder} cannot be read: {exc}",
            f"{ADAPTER_CONFIG} and {ADAPTER_WEIGHTS} as they were written",
            "restore the folder from a backup",
        ) from exc


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what PEFT says of things that are meant to be so, or are its own to mend."""
    with warnings.catch_warnings():
        for message in ("Already found a `peft_config`", "fan_in_fan_out", "`is_gradient_check"):
            warnings.filterwarnings("ignore", message=message)
        yield


def _places(name: str, folder: Path) -> list[str]:
    """Return where a base of that name may be: folders that exist, or a hub."""
    if name.startswith(BUNDLED):
        return [str(share("policies", name.removeprefix(BUNDLED)))]
    above = [parent / name for parent in folder.resolve().parents]
    found = [str(path) for path in dict.fromkeys(above) if path.is_dir()]
    on_hub = name.count("/") == 1 and not Path(name).is_absolute()
    return found or ([name] if on_hub else [])


def _write_facts(folder: Path, config: dict[str, Any], name: str, base: str) -> None:
    config |= {"base_model_name_or_path": name, "inference_mode": True}
    facts = BaseFacts(base=name, digest=model_digest(base))
    for file, text in (
        (ADAPTER_CONFIG, json.dumps(config, ensure_ascii=False, indent=2, sort_keys=True)),
        (BASE_FILE, facts.model_dump_json(indent=1)),
    ):
        (folder / file).write_text(text + "\n", encoding="utf-8")


def _jsonable(config: dict[str, Any]) -> dict[str, Any]:
    """Settings with sets in order: a file's bytes must not depend on the order of a set."""
    return {key: sorted(v) if isinstance(v, set) else v for key, v in config.items()}
