"""The door: makes ``import rclpy`` and the message packages work without ROS."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from avatar_forcing_ros.standalone.facade import MESSAGE_PACKAGES, MODULES

_HERE = __name__.rpartition(".")[0]
_OWN_PACKAGE = _HERE.partition(".")[0]


class MissingFromStandalone(NotImplementedError, ImportError):  # noqa: N818
    """A name of ROS that is not provided; an ImportError too, so that fallbacks work."""


class MissingModule(NotImplementedError, ModuleNotFoundError):  # noqa: N818
    """A module of ROS that is not provided."""


def install(*, force: bool = False) -> bool:
    """Makes ROS's Python modules importable where there is no ROS; True where it did.

    Where the real ``rclpy`` is there nothing happens, unless ``force`` is set, which puts ours
    before it. Calling this twice is harmless.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return True
    if force:
        sys.meta_path.insert(0, _Finder())
        return True
    if "rclpy" in sys.modules or importlib.util.find_spec("rclpy") is not None:
        return False
    sys.meta_path.append(_Finder())
    return True


def uninstall() -> None:
    """Undoes ``install``; modules that were imported are forgotten."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for name, module in list(sys.modules.items()):
        if isinstance(getattr(module, "__loader__", None), _Loader):
            del sys.modules[name]


class _Finder(MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        top, _, rest = fullname.partition(".")
        if fullname in MODULES:
            is_package = any(name.startswith(f"{fullname}.") for name in MODULES)
            return ModuleSpec(fullname, _Loader(), is_package=is_package)
        if top in MESSAGE_PACKAGES and rest in ("", "msg", "srv"):
            return ModuleSpec(fullname, _Loader(), is_package=not rest)
        if top == _OWN_PACKAGE and rest == "msg":
            return ModuleSpec(fullname, _Loader())
        if top in ("rclpy", "tf2_ros"):
            raise MissingModule(f"{fullname} is not provided without a ROS installation")
        return None


class _Loader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        module.__doc__ = f"{name}, as far as {_OWN_PACKAGE} needs it, without ROS."
        if name in MODULES:
            for source, names in MODULES[name].items():
                ours = importlib.import_module(f"{_HERE}.{source}")
                for entry in names.split():
                    theirs, _, own = entry.partition("=")
                    setattr(module, theirs, getattr(ours, own or theirs))
        setattr(module, "__getattr__", lambda wanted: _missing(name, wanted))  # noqa: B010


def _missing(module: str, name: str) -> Any:
    """What a module gives for a name it does not hold yet."""
    if name.startswith("__"):  # asked by Python itself, which expects a plain no
        raise AttributeError(f"module '{module}' has no attribute '{name}'")
    package, _, kind = module.rpartition(".")
    if kind in ("msg", "srv") and package in (*MESSAGE_PACKAGES, _OWN_PACKAGE):
        from avatar_forcing_ros.standalone.messages import find

        try:
            found = find(package, kind, name)
        except NotImplementedError as error:
            raise MissingFromStandalone(str(error)) from None
        setattr(sys.modules[module], name, found)
        return found
    if f"{module}.{name}" in MODULES:
        return importlib.import_module(f"{module}.{name}")
    raise MissingFromStandalone(f"{module}.{name} is not provided without a ROS installation")
