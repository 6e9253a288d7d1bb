import { createECDH, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { serializeUtf8 } from '../bytes/bytes.ts';
import { CURVES, type CurveKind } from './curves.ts';
import { type EcdsaSignature, parseEcdsaSignature } from './ecdsa-signature.ts';
import { sha256 } from './hash.ts';
import type { EcdsaKey } from './public-key.ts';

/**
 * node:crypto verifies ECDSA over messages only, a log entry holds just the digest. So the key is shifted instead: with z the
 * number of the digest and z0 that of a fixed message, (r, s) is valid for z under Q exactly if it is valid for the fixed
 * message under Q' = Q + ((z - z0)/r)·G, since (z0/s)·G + (r/s)·Q' = (z/s)·G + (r/s)·Q.
 */
export const SHIFTED_MESSAGE: Uint8Array = serializeUtf8('hallmark');
export const SHIFTED_HASH = 'sha256';
const SHIFTED_DIGEST = sha256(SHIFTED_MESSAGE);

/**
 * The key under which `signature` verifies SHIFTED_MESSAGE with SHIFTED_HASH exactly if it verifies `digest` under `key`. Where
 * affine addition has no answer, 'exceptional': then the textbook decides. All inputs are public: not constant-time.
 */
export function shiftKey(key: EcdsaKey, digest: Uint8Array, { r }: EcdsaSignature): KeyObject | 'exceptional' {
  const { native, bytes, p, n } = CURVES[key.kind];
  const t = mod((digestNumber(key.kind, digest) - digestNumber(key.kind, SHIFTED_DIGEST)) * invert(r, n), n);
  if (t === 0n) return 'exceptional';
  const ecdh = createECDH(native);
  ecdh.setPrivateKey(toBytes(t, bytes));
  const multiple = ecdh.getPublicKey();
  const x1 = toNumber(multiple.subarray(1, 1 + bytes));
  const y1 = toNumber(multiple.subarray(1 + bytes));
  const at = key.spki.length - 2 * bytes;
  const x2 = toNumber(key.spki.subarray(at, at + bytes));
  const y2 = toNumber(key.spki.subarray(at + bytes));
  // t·G = Q would be a doubling, t·G = -Q the point at infinity. The sender of digest and key can reach both.
  if (x1 === x2) return 'exceptional';
  const slope = mod((y2 - y1) * invert(mod(x2 - x1, p), p), p);
  const x3 = mod(slope * slope - x1 - x2, p);
  const y3 = mod(slope * (x1 - x3) - y1, p);
  const spki = Buffer.concat([key.spki.subarray(0, at), toBytes(x3, bytes), toBytes(y3, bytes)]);
  return createPublicKey({ key: spki, format: 'der', type: 'spki' });
}

/** ECDSA over a digest by textbook arithmetic, about 1 ms: for what `shiftKey` calls exceptional. */
function isValidExceptionalSignature(key: EcdsaKey, digest: Uint8Array, { r, s }: EcdsaSignature): boolean {
  // Loaded only here: hardly any run needs it, and it would cost every start.
  const nist = require('@noble/curves/nist.js') as typeof import('@noble/curves/nist.js');
  const { bytes } = CURVES[key.kind];
  const compact = Buffer.concat([toBytes(r, bytes), toBytes(s, bytes)]);
  const point = key.spki.subarray(key.spki.length - 1 - 2 * bytes);
  return nist[key.kind].verify(compact, digest, point, { prehash: false, lowS: false, format: 'compact' });
}

/** True if `signature`, in DER, is one of `digest` under `key`. */
export function isValidEcdsaDigestSignature(key: EcdsaKey, digest: Uint8Array, signature: Uint8Array): boolean {
  const numbers = parseEcdsaSignature(key.kind, signature);
  if (numbers === undefined) return false;
  const shifted = shiftKey(key, digest, numbers);
  if (shifted === 'exceptional') return isValidExceptionalSignature(key, digest, numbers);
  return verify(SHIFTED_HASH, SHIFTED_MESSAGE, shifted, signature);
}

/** The digest's leftmost bits, as many as the curve's order has (FIPS 186-5 §6.4.1 step 2). */
function digestNumber(kind: CurveKind, digest: Uint8Array): bigint {
  const excess = digest.length * 8 - CURVES[kind].bits;
  const number = toNumber(digest);
  return excess > 0 ? number >> BigInt(excess) : number;
}

const mod = (a: bigint, m: bigint): bigint => ((a % m) + m) % m;

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

const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const toBytes = (number: bigint, length: number): Buffer =>
  Buffer.from(number.toString(16).padStart(2 * length, '0'), 'hex');
