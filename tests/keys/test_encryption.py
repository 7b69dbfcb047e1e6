"""Added keys are stored encrypted, and master keys change without a pause."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from server.config.specs import Secret
from server.keys.encryption import Vault, VaultError, new_master

SECRET = Secret("sk-do-not-show-this-0123456789")
OLD, NEW = Secret("o" * 32), Secret("n" * 32)


def open_with(vault: Vault, encrypted: bytes) -> Secret:
    return vault.decrypt(encrypted, SECRET.fingerprint)


def test_what_was_encrypted_comes_back_and_is_not_readable_meanwhile() -> None:
    encrypted = Vault([OLD]).encrypt(SECRET)
    assert SECRET.reveal().encode() not in encrypted
    assert open_with(Vault([OLD]), encrypted) == SECRET


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
@settings(deadline=None, max_examples=20)
def test_any_key_comes_back_unchanged(text: str) -> None:
    vault = Vault([OLD])
    assert vault.decrypt(vault.encrypt(Secret(text)), Secret(text).fingerprint).reveal() == text


def test_the_first_master_key_encrypts_and_all_of_them_decrypt() -> None:
    encrypted = Vault([OLD]).encrypt(SECRET)
    both = Vault([NEW, OLD])
    assert open_with(both, encrypted) == SECRET
    assert open_with(Vault([NEW]), both.encrypt(SECRET)) == SECRET


def test_after_a_rotation_the_old_master_key_is_not_needed() -> None:
    rotated = Vault([NEW, OLD]).rotate(Vault([OLD]).encrypt(SECRET), SECRET.fingerprint)
    assert open_with(Vault([NEW]), rotated) == SECRET
    with pytest.raises(VaultError):
        open_with(Vault([OLD]), rotated)


def test_a_key_of_another_master_is_told_by_its_fingerprint_with_a_way_out() -> None:
    with pytest.raises(VaultError, match=f"key {SECRET.fingerprint} cannot be decrypted: MASTER_KEYS lacks"):
        open_with(Vault([NEW]), Vault([OLD]).encrypt(SECRET))


@pytest.mark.parametrize("damage", [b"", b"junk", b"gAAAAA", b"\xff" * 100])
def test_a_damaged_record_is_told_and_breaks_nothing(damage: bytes) -> None:
    with pytest.raises(VaultError, match="the record is damaged"):
        open_with(Vault([OLD]), damage)


def test_a_record_that_was_changed_in_one_bit_is_refused() -> None:
    encrypted = bytearray(Vault([OLD]).encrypt(SECRET))
    encrypted[40] ^= 1
    with pytest.raises(VaultError):
        open_with(Vault([OLD]), bytes(encrypted))


def test_a_record_under_another_keys_name_is_refused() -> None:
    with pytest.raises(VaultError, match="key 12345678 is not what is stored under its name"):
        Vault([OLD]).decrypt(Vault([OLD]).encrypt(SECRET), "12345678")


def test_without_a_master_key_it_says_how_to_make_one() -> None:
    with pytest.raises(VaultError, match="MASTER_KEYS is empty: let `python -m server key new-master` make one"):
        Vault([]).encrypt(SECRET)
    with pytest.raises(VaultError, match="MASTER_KEYS is empty"):
        open_with(Vault([]), b"")


def test_a_fernet_key_and_a_new_master_serve_as_master_keys() -> None:
    for master in (Fernet.generate_key().decode(), new_master()):
        assert len(master) >= 32
        vault = Vault([Secret(master)])
        assert open_with(vault, vault.encrypt(SECRET)) == SECRET
    assert new_master() != new_master()


def test_no_master_key_is_shown() -> None:
    assert repr(Vault([NEW, OLD])) == "<Vault with 2 master keys>"
