import type { PublicKey } from '../core/crypto/public-key.ts';
import { InputError } from '../core/errors.ts';

/** Modulus sizes of RSA keys that get a certificate, bits: those that logs and verifiers have names for. */
const RSA_SIZES = [2048, 3072, 4096];

/** Rounds of Fermat's method: finds factors that a careless generator put next to each other. */
const FERMAT_ROUNDS = 100;

/**
 * Requires a key that is worth a certificate. ECDSA and Ed25519 keys are good once parsed; an RSA key must have a usual
 * size and exponent and none of the known faults of bad generators. KEY_INVALID or KEY_UNSUPPORTED.
 */
export function requireGoodKey(key: PublicKey): void {
  if (key.kind !== 'rsa') return;
  if (!RSA_SIZES.includes(key.bits))
    throw new InputError('KEY_UNSUPPORTED', `RSA key of ${key.bits} bits; ${RSA_SIZES.join(', ')} are accepted`);
  const { n, e } = key.native.export({ format: 'jwk' });
  if (e !== 'AQAB') throw new InputError('KEY_UNSUPPORTED', 'RSA exponent is not 65537');
  const modulus = BigInt(`0x${Buffer.from(n as string, 'base64url').toString('hex')}`);
  if (SMALL_PRIMES.some((prime) => modulus % BigInt(prime) === 0n)) throw weak('has a small factor');
  if (hasRocaFingerprint(modulus)) throw weak('was made by a generator with the ROCA flaw (CVE-2017-15361)');
  if (hasNearbyFactors(modulus)) throw weak('has two factors that are too close (CVE-2022-26320)');
}

const SMALL_PRIMES = primesUpTo(751);

function primesUpTo(max: number): number[] {
  const primes: number[] = [];
  for (let n = 2; n <= max; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes;
}

/**
 * ROCA: the flawed generator's primes are powers of 65537 modulo the product of the first primes, so the modulus is one
 * too, modulo each of them; a sound modulus practically never is (Nemec et al., The Return of Coppersmith's Attack, 2017).
 */
function hasRocaFingerprint(modulus: bigint): boolean {
  return SMALL_PRIMES.filter((prime) => prime <= 167).every((prime) => {
    const residue = Number(modulus % BigInt(prime));
    let power = 1;
    do {
      if (power === residue) return true;
      power = (power * 65537) % prime;
    } while (power !== 1);
    return false;
  });
}

/** Fermat: n = a² - b² with a just above the root of n. */
function hasNearbyFactors(modulus: bigint): boolean {
  let a = integerSquareRoot(modulus);
  if (a * a < modulus) a++;
  for (let round = 0; round < FERMAT_ROUNDS; round++, a++) {
    const rest = a * a - modulus;
    const b = integerSquareRoot(rest);
    if (b * b === rest) return true;
  }
  return false;
}

/** Newton's method, rounded down. */
function integerSquareRoot(n: bigint): bigint {
  if (n < 2n) return n;
  let x = 1n << BigInt(Math.ceil(n.toString(2).length / 2));
  for (;;) {
    const next = (x + n / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

function weak(problem: string): InputError {
  return new InputError('KEY_INVALID', `RSA key ${problem}`);
}
