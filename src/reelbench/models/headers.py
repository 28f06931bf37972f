"""A quick look at a file's own directory, without reading its contents: truncated, overwritten or mixed-up files are found in a moment.

What is right here may still have a wrong byte inside; only the sha256 tells that.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

_ZIPPED = (".pt", ".pth", ".npz", ".zip", ".whl")


def quick_check(path: Path) -> str:
    """What is wrong with the file's header; '' where nothing is seen, or the kind of file has no header that is known here.

    safetensors: the header is read and must describe the bytes that follow, exactly. Archives (PyTorch's .pt among them): their
    directory must be at the end. Raises OSError.
    """
    if path.suffix == ".safetensors":
        return _safetensors(path)
    with path.open("rb") as stream:
        start = stream.read(4)
    if path.suffix in _ZIPPED and start == b"PK\x03\x04" and not zipfile.is_zipfile(path):
        return "the archive's directory is missing: the file is cut off"
    return ""


def _safetensors(path: Path) -> str:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            return ""
    except SafetensorError as error:
        return f"no whole safetensors file: {error}"
    except (ValueError, RuntimeError, UnicodeDecodeError) as error:
        return f"no safetensors file: {error}"
