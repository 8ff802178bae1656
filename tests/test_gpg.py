"A name is proven by an OpenPGP key of the approvers list, and by nothing that only looks like one."

import base64
import shutil
import subprocess
import tempfile

import pytest

from continual_nb.core.files import ContinualError
from continual_nb.core.params import Promote
from continual_nb.decisions.signoff import Decision, verified
from continual_nb.loop.verify import Named, vouched

WORDS = ("--batch", "--pinentry-mode", "loopback", "--passphrase", "")
NOW = "2026-01-05T10:00:00+00:00"


class Ring:
    "A key ring of its own, with keys that have no passphrase."

    def __init__(self):
        self.home = tempfile.mkdtemp()

    def gpg(self, *words: str, given: bytes = b"", at: str = "20260105T100000") -> bytes:
        clock = ("--faked-system-time", at)
        words = ("gpg", "--homedir", self.home, *WORDS, *clock, *words)
        return subprocess.run(words, input=given, capture_output=True, check=True).stdout

    def key(self, name: str, lasts: str = "0", at: str = "20260101T000000") -> str:
        self.gpg("--quick-gen-key", f"{name} <{name}@example.org>", "ed25519", "sign", lasts, at=at)
        return self.public(name)

    def public(self, name: str) -> str:
        return (
            "openpgp "
            + base64.b64encode(self.gpg("--export", f"={name} <{name}@example.org>")).decode()
        )

    def sign(self, text: str, name: str, at: str = "20260105T100000") -> str:
        who = f"={name} <{name}@example.org>"
        return self.gpg("--armor", "-u", who, "--detach-sign", given=text.encode(), at=at).decode()

    def close(self):
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False)
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture(scope="module")
def ring():
    if not shutil.which("gpg"):
        pytest.skip("needs gpg, which .ci/run installs")
    ring = Ring()
    ring.ada, ring.eve = ring.key("ada"), ring.key("eve")
    ring.brief = ring.key("brief", lasts="2d")  # expires on January 3rd
    yield ring
    ring.close()


def signed(signature: str, text: str = "verdict: approve\n", at: str = NOW) -> Decision:
    return Decision(
        verdict="approve", by="Ada", signature=signature, signed_text=text, signed_at=at
    )


def test_the_listed_key_proves_the_name(ring):
    listed = Promote(approvers=[f"Ada {ring.ada}", "Grace"])
    assert listed.names == ("Ada", "Grace")
    signature = ring.sign("verdict: approve\n", "ada")
    assert verified(signed(signature), listed)
    assert not verified(signed(signature, "verdict: reject\n"), listed)
    assert not verified(signed(ring.sign("verdict: approve\n", "eve")), listed)
    assert not verified(signed(signature), Promote(approvers=["Ada"]))
    assert not verified(signed(signature, at=""), listed)
    beside = Promote(approvers=[f"Ada {ring.ada}", f"Eve {ring.eve}"])
    assert not verified(signed(ring.sign("verdict: approve\n", "eve")), beside)


def test_a_key_counts_while_it_is_good(ring):
    listed = Promote(approvers=[f"Ada {ring.brief}"])
    signature = ring.sign("verdict: approve\n", "brief", at="20260102T000000")
    assert verified(signed(signature, at="2026-01-02T00:00:00+00:00"), listed)
    assert not verified(signed(signature), listed)  # the text says that it was signed later


def test_a_revoked_key_proves_nothing(ring):
    before = ring.key("gone")
    signature = ring.sign("verdict: approve\n", "gone")
    assert verified(signed(signature), Promote(approvers=[f"Ada {before}"]))
    (print_,) = [
        line.split(":")[9]
        for line in ring.gpg("--with-colons", "--list-keys", "gone").decode().splitlines()
        if line.startswith("fpr")
    ]
    with open(f"{ring.home}/openpgp-revocs.d/{print_}.rev") as file:
        ring.gpg("--import", given=file.read().replace(":-----", "-----").encode())
    after = ring.public("gone")
    assert after != before
    assert not verified(signed(signature), Promote(approvers=[f"Ada {after}"]))


def test_without_gpg_the_missing_program_is_named(ring, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    listed = Promote(approvers=[f"Ada {ring.ada}"])
    with pytest.raises(ContinualError, match="gpg is not installed"):
        verified(signed("-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n"), listed)


def test_a_key_that_is_none_proves_nothing(ring):
    signature = ring.sign("verdict: approve\n", "ada")
    for key in ("AAAA", "AAAAA", "mDMEZx=="):
        assert not verified(signed(signature), Promote(approvers=[f"Ada openpgp {key}"]))


def test_a_file_of_signers_outside_vouches_for_the_key(ring, tmp_path):
    named = Named("iter/001", signed(ring.sign("verdict: approve\n", "ada")), True)
    file = tmp_path / "signers"
    file.write_text(f"Grace ssh-ed25519 AAAA\nAda {ring.ada}\n")
    assert vouched(named, file)
    file.write_text(f"Ada {ring.eve}\nEve {ring.ada}\n")
    assert not vouched(named, file)


def test_git_that_signs_with_gpg_signs_decisions(turned, copy, ring):
    loop = copy(turned)
    key, program = Ring.key(ring, "loop"), loop.home / "gpg"
    program.write_text(
        f"#!/bin/sh\nexec gpg --homedir {ring.home} {' '.join(WORDS[:-1])} '' \"$@\"\n"
    )
    program.chmod(0o755)
    loop.git("config", "gpg.program", str(program))
    loop.git("config", "user.signingkey", "loop@example.org")
    loop.set(approvers=f"[Ada {key}, Grace]")
    loop.git("commit", "-q", "-m", "Ada and Grace sign", "params.yaml")
    loop.dvc("repro")
    said = loop.continual("sign", "approve", "--by", "Ada", "--reason", "The gates passed.").out
    assert "Ada is verified" in said
    loop.dvc("repro", "promote")
    assert loop.json("data/work/promote/outcome.json")["verified"] is True
    loop.git("config", "user.signingkey", "nobody@example.org")
    words = ("sign", "approve", "--by", "Ada", "--reason", "x")
    assert "could not be signed" in loop.continual(*words, code=1).err
