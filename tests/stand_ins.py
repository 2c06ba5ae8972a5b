"""Objects that speak one protocol for arrays and nothing else, and one that behaves as a tensor of torch."""

from __future__ import annotations


class Tensor:
    """Speaks DLPack and nothing else, as numpy's own arrays do it."""

    def __init__(self, values, device=None):
        self.values, self.device = values, device

    def __dlpack__(self, **options):
        if self.device is not None:
            raise BufferError("the data live on a device")
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device or self.values.__dlpack_device__()


class OldTensor(Tensor):
    """The protocol before versions: `stream` is the only option."""

    def __dlpack__(self, stream=None):
        return super().__dlpack__(stream=stream)


class Frame:
    """Speaks the array protocol and nothing else, as a data frame does."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


class Interface:
    """Speaks `__array_interface__` and nothing else."""

    def __init__(self, values):
        self.values = values
        self.__array_interface__ = values.__array_interface__


class Torch:
    """Stands in for a tensor of torch, which is too large to install for a test.

    Like one, it gives nothing away, by any protocol, while it requires a gradient; one of bfloat16 is nothing
    that numpy takes, but may be looked at as int16.
    """

    def __init__(self, values, dtype=None, *, requires_grad=False):
        self.values, self.requires_grad = values, requires_grad
        self.dtype = dtype or f"torch.{values.dtype}"

    def detach(self):
        return Torch(self.values, self.dtype)

    def view(self, dtype):
        return Torch(self.values.view(dtype), f"torch.{dtype}")

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        if self.requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return self.values.__dlpack__(max_version=max_version)

    def __array__(self, dtype=None):
        if self.requires_grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy()."
            )
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values
