"""The builds of the compiled core, one for each width of vectors."""

from pathlib import Path

REMEDY = "install a C++ compiler, such as g++, and install this package again"
_FOLDER = Path(__file__).parent
_BUILDS = {"AVX512": "core_avx512", "AVX2": "core_avx2", "DEFAULT": "core"}  # by capability, as torch names it, widest first


def any_built() -> bool:
    """True where there is a build that every processor of this kind can run."""
    return _path("core") is not None


def best_build(capability: str) -> Path:
    """The build with the widest vectors of a processor with this capability.

    Raises FileNotFoundError where none was built.
    """
    names = list(_BUILDS)
    able = [_BUILDS[name] for name in names[names.index(capability if capability in names else "DEFAULT") :]]
    found = next(filter(None, map(_path, able)), None)
    if found is None:
        raise FileNotFoundError(f"the core of the engine fused is not built: {REMEDY}")
    return found


def _path(name: str) -> Path | None:
    return next((path for path in sorted(_FOLDER.glob(f"{name}.*")) if path.suffix in (".so", ".pyd")), None)
