"""Ed25519 keys for bundles: a private key in a PEM file, a public key as 64 hexadecimal digits."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from reelbench.errors import ConfigError, OutputError, UnavailableError

_PUBLIC = re.compile(r"[0-9a-f]{64}")


def create(file: Path) -> str:
    """Write a new private key, readable by its owner alone, and give its public key. Raises OutputError where the file is there."""
    ed25519, serialization = _library()
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as sink:
            sink.write(pem)
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror}", "a key is never written over another") from error
    return _hex(key)


def sign(text: bytes, file: Path) -> tuple[bytes, str]:
    """The signature (64 bytes) and the public key that verifies it. Raises ConfigError for a file that holds no such key."""
    ed25519, serialization = _library()
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(
            f"the key {file} cannot be read: {error.strerror}", "'reelbench models bundle key' makes one"
        ) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{file} holds no private key without a password", "'reelbench models bundle key' makes one"
        ) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ConfigError(f"{file} is a key of another kind than Ed25519", "'reelbench models bundle key' makes one")
    return bytes(key.sign(text)), _hex(key)


def verify(text: bytes, signature: bytes, public: str) -> bool:
    """Whether the holder of this public key signed the text. Raises ConfigError for what is no public key."""
    if not _PUBLIC.fullmatch(public):
        raise ConfigError(f"'{public[:80]}' is no public key", "it has 64 hexadecimal digits")
    ed25519, _ = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def _hex(private: Any) -> str:
    return str(private.public_key().public_bytes_raw().hex())


def _library() -> tuple[Any, Any]:
    """The modules ``ed25519`` and ``serialization`` of cryptography."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise UnavailableError(
            "bundles are signed with the package 'cryptography'", "pip install cryptography"
        ) from error
    return ed25519, serialization
