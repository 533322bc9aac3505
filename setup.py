"""The compiled core of the engine `fused`: one source, built for vectors of several widths; one of them is loaded at run time.

Without a compiler all builds are left out, and everything works, slower. All else stands in pyproject.toml.
"""

import platform
from pathlib import Path

from setuptools import Extension, setup

CORE = Path("studies/train/engines/fused/core")
FLAGS = [
    "-std=c++17",
    "-O3",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wno-psabi",
    "-g0",
    "-fvisibility=hidden",
]
BUILDS = {"core": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    BUILDS |= {"core_avx2": ["-march=x86-64-v3"], "core_avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512"]}

setup(
    ext_modules=[
        Extension(
            f"studies.train.engines.fused.{name}",
            [str(CORE / "fused.cpp")],
            depends=sorted(map(str, CORE.glob("*.h"))),
            extra_compile_args=[*FLAGS, *flags],
            language="c++",
            optional=True,
        )
        for name, flags in BUILDS.items()
    ]
)
