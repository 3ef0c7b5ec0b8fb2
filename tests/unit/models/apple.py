"""A stand-in for Apple's GPU, of which there is none here: it knows no float64.

Its tensors say that they are on "mps", are computed on the CPU, and mix with none that are there.
"""

from typing import Any

import torch
from torch._C import DisableTorchFunctionSubclass
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

MPS = torch.device("mps")
MOVES = (torch.Tensor.to, torch.Tensor.cpu)


class AppleTensor(torch.Tensor):
    """A tensor on "mps"."""

    device = MPS  # type: ignore[assignment]  # torch's is a property

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        tensors = [x for x in tree_leaves((args, kwargs or {})) if isinstance(x, torch.Tensor)]
        with DisableTorchFunctionSubclass():
            foreign = any(x.dim() and not isinstance(x, cls) for x in tensors)
        if foreign:
            raise RuntimeError(f"{func.__name__} of tensors on mps and on the CPU")
        found = super().__torch_function__(func, types, args, kwargs or {})
        if func in MOVES and (func is torch.Tensor.cpu or torch.device("cpu") in args):
            return found.as_subclass(torch.Tensor)
        return tree_map(checked, found)


class Apple(TorchFunctionMode):
    """While it is on, tensors can be made on "mps" and moved there."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.Tensor.to and MPS in args:
            return args[0] if isinstance(args[0], AppleTensor) else on_apple(args[0].clone())
        if given.get("device") == MPS:
            return on_apple(func(*args, **{**given, "device": "cpu"}))
        return func(*args, **given)


def on_apple(x: torch.Tensor) -> AppleTensor:
    return checked(x.as_subclass(AppleTensor))


def checked(x: Any) -> Any:
    with DisableTorchFunctionSubclass():
        if isinstance(x, AppleTensor) and x.dtype == torch.float64:
            raise TypeError("the MPS framework doesn't support float64")
    return x
