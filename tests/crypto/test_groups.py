"""The constants of both groups, made again from where they come from."""

from __future__ import annotations

import hashlib
from math import isqrt
from types import ModuleType

from selo.crypto import groups

SMALL_PRIMES = [n for n in range(2, 2000) if all(n % d for d in range(2, isqrt(n) + 1))]


def is_prime(number: int, rounds: int) -> bool:
    """Trial division, then Miller-Rabin with the first primes as bases (no adversary chose these numbers)."""
    if any(number % prime == 0 for prime in SMALL_PRIMES):
        return number in SMALL_PRIMES
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(number, base, odd, twos) for base in SMALL_PRIMES[:rounds])


def _passes(number: int, base: int, odd: int, twos: int) -> bool:
    x = pow(base, odd, number)
    if x in (1, number - 1):
        return True
    for _ in range(twos - 1):
        x = x * x % number
        if x == number - 1:
            return True
    return False


def seed(counter: int) -> bytes:
    return hashlib.sha256(groups.DSA_SEED_LABEL + counter.to_bytes(4, "big")).digest()


def candidate_q(domain_parameter_seed: bytes) -> int:
    """FIPS 186-4, A.1.1.2, steps 6 and 7 for N = 256."""
    u = int.from_bytes(hashlib.sha256(domain_parameter_seed).digest(), "big") % 2**255
    return 2**255 + u + 1 - u % 2


def test_ffdhe3072_is_the_prime_of_rfc_7919(reference: ModuleType) -> None:
    """p is what the formula of RFC 7919, appendix A.2, gives with exact integers; g is 2."""
    assert groups.FFDHE3072_P == reference.P
    assert groups.FFDHE3072_G == 2
    assert groups.FFDHE3072_P.bit_length() == 3072


def test_ffdhe3072_is_a_safe_prime() -> None:
    """p and (p-1)/2 are prime, so that 1 and p-1 are the only elements of small order; 2 generates the
    subgroup of prime order."""
    assert is_prime(groups.FFDHE3072_P, 4)
    assert is_prime((groups.FFDHE3072_P - 1) // 2, 4)
    assert pow(2, (groups.FFDHE3072_P - 1) // 2, groups.FFDHE3072_P) == 1


def test_dsa_seed_is_nobodys_choice() -> None:
    """The seed is the hash of the sentence and c = 192, and no smaller c gives a prime q."""
    assert seed(groups.DSA_SEED_COUNTER) == groups.DSA_SEED
    assert candidate_q(groups.DSA_SEED) == groups.DSA_Q
    assert is_prime(groups.DSA_Q, 40)
    assert not any(is_prime(candidate_q(seed(c)), 2) for c in range(groups.DSA_SEED_COUNTER))


def test_dsa_p_is_derived_from_the_seed() -> None:
    """FIPS 186-4, A.1.1.2, step 11 with L = 3072 and SHA-256: the first prime comes at counter 211."""
    first = int.from_bytes(groups.DSA_SEED, "big")
    q2 = 2 * groups.DSA_Q
    offset = 1
    for counter in range(groups.DSA_COUNTER + 1):
        v = [
            int.from_bytes(
                hashlib.sha256(((first + offset + j) % 2**256).to_bytes(32, "big")).digest(), "big"
            )
            for j in range(12)
        ]
        w = sum(value << (256 * j) for j, value in enumerate(v[:11])) + ((v[11] % 2**255) << (256 * 11))
        x = w + 2**3071
        p = x - (x % q2 - 1)
        offset += 12
        prime = p >= 2**3071 and is_prime(p, 1)
        assert prime == (counter == groups.DSA_COUNTER)
    assert p == groups.DSA_P
    assert is_prime(p, 4)


def test_dsa_g_is_derived_from_the_seed() -> None:
    """FIPS 186-4, A.2.3 with index 1: g comes at count 1 and has order q."""
    e = (groups.DSA_P - 1) // groups.DSA_Q
    w = hashlib.sha256(groups.DSA_SEED + b"ggen" + b"\x01" + b"\x00\x01").digest()
    assert pow(int.from_bytes(w, "big"), e, groups.DSA_P) == groups.DSA_G
    assert groups.DSA_G >= 2
    assert pow(groups.DSA_G, groups.DSA_Q, groups.DSA_P) == 1
