import { describe, expect, test } from 'bun:test';
import { createPublicKey } from 'node:crypto';
import { generateKey } from '../core/crypto/private-key.ts';
import { type PublicKey, parsePublicKey } from '../core/crypto/public-key.ts';
import { requireGoodKey } from './good-key.ts';

function rsaKey(modulus: bigint): PublicKey {
  const n = Buffer.from(modulus.toString(16).padStart(512, '0'), 'hex').toString('base64url');
  const key = createPublicKey({ key: { kty: 'RSA', n, e: 'AQAB' }, format: 'jwk' });
  return parsePublicKey(new Uint8Array(key.export({ type: 'spki', format: 'der' })));
}

const isPrime = (n: bigint): boolean => {
  // Fermat's test to a few bases: enough for numbers that nobody chose to fool it.
  for (const base of [2n, 3n, 5n, 7n]) if (power(base, n - 1n, n) !== 1n) return false;
  return true;
};
function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let b = base % modulus, e = exponent; e > 0n; e >>= 1n, b = (b * b) % modulus)
    if (e & 1n) result = (result * b) % modulus;
  return result;
}
function nextPrime(from: bigint): bigint {
  let n = from | 1n;
  while (!isPrime(n)) n += 2n;
  return n;
}

const PRIMES_TO_167 = Array.from({ length: 166 }, (_, i) => i + 2).filter((n) => {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return true;
});

describe('keys for certificates', () => {
  test('ordinary keys are good', () => {
    for (const kind of ['p256', 'p384', 'p521', 'ed25519'] as const) requireGoodKey(generateKey(kind).publicKey);
    for (const bits of [2048, 3072] as const) requireGoodKey(generateKey('rsa', bits).publicKey);
  });
  test('modulus with a small factor', () => {
    const modulus = 751n * ((1n << 2047n) / 751n + 2n);
    expect(() => requireGoodKey(rsaKey(modulus % 2n === 0n ? modulus + 751n : modulus))).toThrow('small factor');
  });
  test('factors that are too close (Fermat)', () => {
    const p = nextPrime((1n << 1023n) + (1n << 1022n) + 12345n);
    const q = nextPrime(p + 2n);
    expect(() => requireGoodKey(rsaKey(p * q))).toThrow('too close');
  });
  test('ROCA: a power of 65537 modulo every small prime', () => {
    // A number with the fingerprint, of the right size; that it is no product of two primes does not matter to the check.
    const product = PRIMES_TO_167.reduce((all, prime) => all * BigInt(prime), 1n);
    let modulus = power(65537n, 123_456_789n, product);
    modulus += product * (((3n << 2046n) - modulus) / product);
    // Step through the residue class to one without a factor between 167 and 751.
    while (Array.from({ length: 584 }, (_, i) => BigInt(i + 168)).some((d) => modulus % d === 0n)) modulus += product;
    expect(() => requireGoodKey(rsaKey(modulus))).toThrow('ROCA');
  });
});
