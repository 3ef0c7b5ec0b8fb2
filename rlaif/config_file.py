"""Settings written as a TOML file: every one with its value and its explanation."""

from collections.abc import Sequence

from pydantic import BaseModel

from rlaif.config import RlaifConfig


def render_config(config: RlaifConfig) -> str:
    """Write every setting as TOML, each with its description as a comment."""
    lines = ["# Settings of this rlaif project. Every setting is listed with its value.", ""]
    for name, value in config:
        tables = value if isinstance(value, tuple) else (value,)
        header = f"[[{name}]]" if isinstance(value, tuple) else f"[{name}]"
        for table in tables:
            lines += [f"# {_summary(type(table))}", header, *_fields(table), ""]
            lines += _inner_tables(name, table)
    return "\n".join(lines)


def _inner_tables(name: str, section: BaseModel) -> list[str]:
    lines: list[str] = []
    for key, value in section:
        inner = f"{name}.{key}"
        if isinstance(value, BaseModel):
            lines += [f"[{inner}]", *_fields(value), "", *_inner_tables(inner, value)]
        elif isinstance(value, dict) and value:
            pairs = [f"{_toml_value(k)} = {_toml_value(v)}" for k, v in value.items()]
            lines += [f"[{inner}]", *pairs, ""]
    return lines


def _summary(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").strip().splitlines()[0]


def _fields(section: BaseModel) -> list[str]:
    lines: list[str] = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if value is None or isinstance(value, BaseModel | dict):
            continue
        lines += [f"# {field.description}", f"{key} = {_toml_value(value)}"]
    return lines


def _toml_value(value: str | float | bool | Sequence[str]) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
