import { createECDH, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { serializeUtf8 } from '../bytes/bytes.ts';
import { CURVES, type CurveKind } from './curves.ts';
import { type EcdsaSignature, parseEcdsaSignature } from './ecdsa-signature.ts';
import { sha256 } from './hash.ts';
import type { EcdsaKey } from './public-key.ts';

/**
 * node:crypto verifies ECDSA over messages only, a log entry holds just the digest. So the key is shifted instead: with z the
 * number of the digest and z0 that of a fixed message, (r, s) is valid for z under Q exactly if it is valid for the fixed
 * message under Q' = Q + t·G, t = (z - z0)/r, since (z0/s)·G + (r/s)·Q' = (z/s)·G + (r/s)·Q.
 *
 * Affine addition has no answer for t·G = ±Q, and t = 0 is no scalar. Whoever chooses digest and key can reach all three, but
 * with four messages, whose numbers differ, t takes four values: one of them always serves.
 */
export const SHIFTED_HASH = 'sha256';
export const SHIFTED_MESSAGES: readonly Uint8Array[] = [0, 1, 2, 3].map((i) => serializeUtf8(`hallmark ${i}`));
const SHIFTED_DIGESTS = SHIFTED_MESSAGES.map((message) => sha256(message));

/** A signature, its form already verified, to verify over a digest. */
export interface DigestCheck {
  readonly key: EcdsaKey;
  readonly digest: Uint8Array;
  readonly signature: EcdsaSignature;
}

/** The key under which the same signature verifies `message` with SHIFTED_HASH exactly if it verifies the digest. */
export interface ShiftedCheck {
  readonly key: KeyObject;
  readonly message: Uint8Array;
}

/** One shifted check for each, in order, all on one curve; they share two inversions. Not constant-time: all is public. */
export function shiftKeys(kind: CurveKind, checks: readonly DigestCheck[]): ShiftedCheck[] {
  const { p, n } = CURVES[kind];
  const inverses = invertAll(
    checks.map(({ signature }) => signature.r),
    n,
  );
  const additions = checks.map((check, i) => additionFor(kind, check, inverses[i] as bigint));
  const slopes = invertAll(
    additions.map(({ run }) => run),
    p,
  );
  return additions.map((addition, i) => add(kind, addition, slopes[i] as bigint));
}

/** The points t·G = (x1, y1) and Q = (x2, y2), to be added; `run` is x2 - x1, not 0. */
interface Addition {
  readonly check: DigestCheck;
  readonly message: Uint8Array;
  readonly x1: bigint;
  readonly y1: bigint;
  readonly x2: bigint;
  readonly y2: bigint;
  readonly run: bigint;
}

function additionFor(kind: CurveKind, check: DigestCheck, inverseOfR: bigint): Addition {
  const { native, bytes, p, n } = CURVES[kind];
  const { spki } = check.key;
  const x2 = toNumber(spki.subarray(spki.length - 2 * bytes, spki.length - bytes));
  const y2 = toNumber(spki.subarray(spki.length - bytes));
  const z = digestNumber(kind, check.digest);
  for (const [i, message] of SHIFTED_MESSAGES.entries()) {
    const t = mod((z - digestNumber(kind, SHIFTED_DIGESTS[i] as Uint8Array)) * inverseOfR, n);
    if (t === 0n) continue;
    const ecdh = createECDH(native);
    ecdh.setPrivateKey(toBytes(t, bytes));
    const multiple = ecdh.getPublicKey();
    const x1 = toNumber(multiple.subarray(1, 1 + bytes));
    if (x1 !== x2) {
      const y1 = toNumber(multiple.subarray(1 + bytes));
      return { check, message, x1, y1, x2, y2, run: mod(x2 - x1, p) };
    }
  }
  throw new Error('internal: no message by which the key can be shifted');
}

function add(kind: CurveKind, { check, message, x1, y1, x2, y2 }: Addition, inverseOfRun: bigint): ShiftedCheck {
  const { bytes, p } = CURVES[kind];
  const slope = mod((y2 - y1) * inverseOfRun, p);
  const x3 = mod(slope * slope - x1 - x2, p);
  const y3 = mod(slope * (x1 - x3) - y1, p);
  const { spki } = check.key;
  const head = spki.subarray(0, spki.length - 2 * bytes);
  const shifted = Buffer.concat([head, toBytes(x3, bytes), toBytes(y3, bytes)]);
  return { key: createPublicKey({ key: shifted, format: 'der', type: 'spki' }), message };
}

/** True if `signature`, in DER, is one of `digest` under `key`. */
export function isValidEcdsaDigestSignature(key: EcdsaKey, digest: Uint8Array, signature: Uint8Array): boolean {
  const numbers = parseEcdsaSignature(key.kind, signature);
  if (numbers === undefined) return false;
  const [shifted] = shiftKeys(key.kind, [{ key, digest, signature: numbers }]) as [ShiftedCheck];
  return verify(SHIFTED_HASH, shifted.message, shifted.key, signature);
}

/** The digest's leftmost bits, as many as the curve's order has (FIPS 186-5 §6.4.1 step 2). */
function digestNumber(kind: CurveKind, digest: Uint8Array): bigint {
  const excess = digest.length * 8 - CURVES[kind].bits;
  const number = toNumber(digest);
  return excess > 0 ? number >> BigInt(excess) : number;
}

const mod = (a: bigint, m: bigint): bigint => ((a % m) + m) % m;

/** The inverse of each modulo the prime m, 0 < value < m, at the price of one and three products each (Montgomery). */
function invertAll(values: readonly bigint[], m: bigint): bigint[] {
  // products[i] is that of the values before i: no value is 0, so neither is any product.
  const products: bigint[] = [];
  let product = 1n;
  for (const value of values) {
    products.push(product);
    product = (product * value) % m;
  }
  const inverses: bigint[] = new Array(values.length);
  let inverse = invert(product, m);
  for (let i = values.length - 1; i >= 0; i--) {
    inverses[i] = (inverse * (products[i] as bigint)) % m;
    inverse = (inverse * (values[i] as bigint)) % m;
  }
  return inverses;
}

/** The inverse of a modulo the prime m, 0 < a < m, by the extended Euclidean algorithm. */
function invert(a: bigint, m: bigint): bigint {
  let [r0, r1, t0, t1] = [m, a, 0n, 1n];
  while (r1 !== 0n) {
    // Plain variables: swapping through arrays costs as much again as the arithmetic.
    const quotient = r0 / r1;
    const r2 = r0 - quotient * r1;
    const t2 = t0 - quotient * t1;
    r0 = r1;
    r1 = r2;
    t0 = t1;
    t1 = t2;
  }
  return t0 < 0n ? t0 + m : t0;
}

const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${bytes.toHex()}`);
const toBytes = (number: bigint, length: number): Buffer =>
  Buffer.from(number.toString(16).padStart(2 * length, '0'), 'hex');
