"""Added keys are stored encrypted, and master keys change without a pause."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from server.config.specs import Secret
from server.keys.encryption import KeyEncryption, KeyEncryptionError, new_master

SECRET = Secret("sk-do-not-show-this-0123456789")
OLD, NEW = Secret("o" * 32), Secret("n" * 32)


def open_with(encryption: KeyEncryption, encrypted: bytes) -> Secret:
    return encryption.decrypt(encrypted, SECRET.fingerprint)


def test_what_was_encrypted_comes_back_and_is_not_readable_meanwhile() -> None:
    encrypted = KeyEncryption([OLD]).encrypt(SECRET)
    assert SECRET.reveal().encode() not in encrypted
    assert open_with(KeyEncryption([OLD]), encrypted) == SECRET


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
@settings(deadline=None, max_examples=20)
def test_any_key_comes_back_unchanged(text: str) -> None:
    encryption = KeyEncryption([OLD])
    assert encryption.decrypt(encryption.encrypt(Secret(text)), Secret(text).fingerprint).reveal() == text


def test_the_first_master_key_encrypts_and_all_of_them_decrypt() -> None:
    encrypted = KeyEncryption([OLD]).encrypt(SECRET)
    both = KeyEncryption([NEW, OLD])
    assert open_with(both, encrypted) == SECRET
    assert open_with(KeyEncryption([NEW]), both.encrypt(SECRET)) == SECRET


def test_after_a_rotation_the_old_master_key_is_not_needed() -> None:
    rotated = KeyEncryption([NEW, OLD]).rotate(KeyEncryption([OLD]).encrypt(SECRET), SECRET.fingerprint)
    assert open_with(KeyEncryption([NEW]), rotated) == SECRET
    with pytest.raises(KeyEncryptionError):
        open_with(KeyEncryption([OLD]), rotated)


def test_a_key_of_another_master_is_told_by_its_fingerprint_with_a_way_out() -> None:
    with pytest.raises(KeyEncryptionError, match=f"key {SECRET.fingerprint} cannot be decrypted: MASTER_KEYS lacks"):
        open_with(KeyEncryption([NEW]), KeyEncryption([OLD]).encrypt(SECRET))


@pytest.mark.parametrize("damage", [b"", b"junk", b"gAAAAA", b"\xff" * 100])
def test_a_damaged_record_is_told_and_breaks_nothing(damage: bytes) -> None:
    with pytest.raises(KeyEncryptionError, match="the record is damaged"):
        open_with(KeyEncryption([OLD]), damage)


def test_a_record_that_was_changed_in_one_bit_is_refused() -> None:
    encrypted = bytearray(KeyEncryption([OLD]).encrypt(SECRET))
    encrypted[40] ^= 1
    with pytest.raises(KeyEncryptionError):
        open_with(KeyEncryption([OLD]), bytes(encrypted))


def test_a_record_under_another_keys_name_is_refused() -> None:
    with pytest.raises(KeyEncryptionError, match="key 12345678 is not what is stored under its name"):
        KeyEncryption([OLD]).decrypt(KeyEncryption([OLD]).encrypt(SECRET), "12345678")


def test_without_a_master_key_it_says_how_to_make_one() -> None:
    with pytest.raises(
        KeyEncryptionError, match="MASTER_KEYS is empty: let `python -m server key new-master` make one"
    ):
        KeyEncryption([]).encrypt(SECRET)
    with pytest.raises(KeyEncryptionError, match="MASTER_KEYS is empty"):
        open_with(KeyEncryption([]), b"")


def test_a_fernet_key_and_a_new_master_serve_as_master_keys() -> None:
    for master in (Fernet.generate_key().decode(), new_master()):
        assert len(master) >= 32
        encryption = KeyEncryption([Secret(master)])
        assert open_with(encryption, encryption.encrypt(SECRET)) == SECRET
    assert new_master() != new_master()


def test_no_master_key_is_shown() -> None:
    assert repr(KeyEncryption([NEW, OLD])) == "<KeyEncryption with 2 master keys>"
