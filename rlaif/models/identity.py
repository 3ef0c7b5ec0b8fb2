"""What a model is, whatever it is called: a digest of its files, or of its place on a hub."""

from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from rlaif.artifacts import model_folder_digest
from rlaif.errors import ModelError
from rlaif.records import digest_of

ADAPTER_CONFIG = "adapter_config.json"


def is_adapter(path: str) -> bool:
    """Whether a path leads to a folder that holds an adapter, not a whole model."""
    return (Path(path) / ADAPTER_CONFIG).is_file()


def model_digest(path: str) -> str:
    """Return the digest of a model's folder, or of its hub id with the revision in the cache.

    What people read about it (card, lineage, metrics) does not count: a promoted policy has the
    digest of the challenger that it was.

    Raises:
        ModelError: There is no such folder.
    """
    refuse_missing_folder(path)
    folder = Path(path)
    return model_folder_digest(folder) if folder.is_dir() else digest_of(_hub_model(path))


def refuse_missing_folder(path: str) -> None:
    """Refuse a path that can only be a folder and is not there, before a hub is asked for it.

    Raises:
        ModelError: There is no such folder.
    """
    local = path.startswith((".", "~", "/", "\\")) or path.count("/") > 1
    if local and not Path(path).is_dir():
        raise ModelError(
            f"there is no folder {path}", "a model's folder, or a hub id", "check the path"
        )


def _hub_model(path: str) -> list[str]:
    """Name a hub's model: its id, and the commit of the snapshot that loading takes."""
    for name in ("config.json", "modules.json"):
        found = try_to_load_from_cache(path, name)
        if isinstance(found, str):
            return ["hub", path, Path(found).parent.name]
    return ["hub", path]
