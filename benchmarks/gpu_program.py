"""What a GPU would run, counted without one: `segment` compiled for an H100 and an H200, and read.

    python benchmarks/gpu_program.py [--environment=FOLDER]

XLA's compiler for CUDA needs no card. It is installed once, 1.4 GB, into an environment of its own, in the temporary
folder unless told otherwise. Writes results/gpu_program.json and the table in docs/gpu.md.

Seconds are an estimate, no measurement: for each kernel the longer of the time of its bytes, at nine tenths of the
memory's bandwidth, and that of a launch. Caches are left out.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
VERSION = "0.10.2"
PACKAGES = ["jax", "jaxlib", "jax-cuda13-plugin", "jax-cuda13-pjrt"]
COMPILER = [*(f"{name}=={VERSION}" for name in PACKAGES), "nvidia-cuda-nvcc==13.5.37"]
MARKS = "<!-- begin table -->\n", "<!-- end table -->"
COLUMNS = {
    "kernels": "kernels an iteration",
    "kib": "KiB a picture and iteration",
    "temporary_mib": "temporary MiB",
    "trips": "trips of loops",
    "fma": "fma",
    "rcp": "rcp",
    "div": "div",
    "estimated_seconds": "seconds, estimated",
}


def main() -> None:
    """Compile in the environment, and write down what comes out."""
    default = Path(tempfile.gettempdir()) / f"iem_jax-gpu-program-{VERSION}"
    given = [Path(text.removeprefix("--environment=")) for text in sys.argv[1:] if text.startswith("--environment=")]
    python = make_environment(given[0] if given else default)
    with tempfile.TemporaryDirectory() as folder:
        settings = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": str(ROOT),
            "XLA_FLAGS": f"--xla_dump_to={folder} --xla_dump_hlo_as_text",
        }
        command = [str(python), str(ROOT / "benchmarks" / "gpu_compile.py"), folder]
        result = subprocess.run(command, env=settings, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    record = {"benchmark": "gpu_program", "packages": COMPILER, "results": json.loads(result.stdout)}
    text = json.dumps(record, indent=1)
    (ROOT / "benchmarks" / "results" / "gpu_program.json").write_text(text + "\n")
    write_table(record["results"])
    print(text)


def make_environment(folder: Path) -> Path:
    """Return the Python of an environment with XLA's compiler for CUDA and what iem_jax needs; make it if need be."""
    python = folder / "bin" / "python"
    is_whole = folder / "is_whole"
    if not is_whole.exists():
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        others = [line for line in project["dependencies"] if not line.startswith("jax>")]
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *COMPILER, *others], check=True, stdout=2)
        is_whole.touch()
    return python


def write_table(results: dict[str, dict[str, Any]]) -> None:
    """Put the table into docs/gpu.md."""
    lines = ["| " + " | ".join(["program", *COLUMNS.values()]) + " |", "| --- " * (len(COLUMNS) + 1) + "|"]
    for name, result in results.items():
        lines.append("| " + " | ".join([name, *(str(result[key]) for key in COLUMNS)]) + " |")
    page = ROOT / "docs" / "gpu.md"
    before, rest = page.read_text().split(MARKS[0])
    page.write_text(before + MARKS[0] + "\n".join(lines) + "\n" + MARKS[1] + rest.split(MARKS[1])[1])


if __name__ == "__main__":
    main()
