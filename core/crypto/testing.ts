import { p256, p384, p521 } from '@noble/curves/nist.js';
import { bitString, integer, oid, sequence } from '../asn1/der.ts';
import { parseHex } from '../bytes/bytes.ts';
import { CURVES, type CurveKind } from './curves.ts';
import { type DigestCheck, SHIFTED_HASH, SHIFTED_MESSAGES } from './ecdsa-digest.ts';
import { DIGEST_BYTES, digest, type HashName } from './hash.ts';
import { type EcdsaKey, parsePublicKey } from './public-key.ts';

const NOBLE = { p256, p384, p521 };

/** A generator of bytes with a seed (xorshift32), so that a failure can be repeated. */
export function seeded(seed: number): (bytes: number) => Uint8Array {
  let state = seed;
  return (bytes) =>
    Uint8Array.from({ length: bytes }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state & 0xff;
    });
}

const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const toBytes = (number: bigint, length: number): Uint8Array => parseHex(number.toString(16).padStart(2 * length, '0'));

/** `Ecdsa-Sig-Value` in DER. */
export const derSignature = (r: bigint, s: bigint): Uint8Array => sequence(integer(r), integer(s));

/** The number z of the shift's message `index`. */
export const messageNumber = (index: number): bigint =>
  toNumber(digest(SHIFTED_HASH, SHIFTED_MESSAGES[index] as Uint8Array));

/** What a sender can make of t = (z - z0)/r, where affine addition has no answer. `both`: t0·G = Q and t1·G = -Q. */
export const FLAWS = {
  't = 0': 'zero',
  't·G = Q': 'equal',
  't·G = -Q': 'opposite',
  'two messages fail': 'both',
} as const;
export type Flaw = (typeof FLAWS)[keyof typeof FLAWS];

/**
 * A valid signature over a digest of number z by a key d for which t is just what the sender wants: r is that of the nonce k,
 * and d may be chosen after it. s = (z + r·d)/k as always.
 */
export function craft(kind: CurveKind, hash: HashName, seed: number, flaw: Flaw | 'none'): DigestCheck {
  const { n, bytes } = CURVES[kind];
  const { Fn, BASE } = NOBLE[kind].Point;
  const random = seeded(seed);
  const number = (): bigint => Fn.create(toNumber(random(bytes)));
  const k = number();
  const r = BASE.multiply(k).toAffine().x % n;
  const z =
    flaw === 'zero'
      ? messageNumber(0)
      : flaw === 'both'
        ? (messageNumber(0) + messageNumber(1)) / 2n // both odd
        : toNumber(random(DIGEST_BYTES[hash])) % n;
  const t = Fn.div(Fn.create(z - messageNumber(0)), r);
  const d = flaw === 'equal' || flaw === 'both' ? t : flaw === 'opposite' ? Fn.neg(t) : 7n;
  const s = Fn.div(Fn.create(z + r * d), k);
  return { key: publicKeyOf(kind, d), digest: toBytes(z, DIGEST_BYTES[hash]), signature: { r, s } };
}

function publicKeyOf(kind: CurveKind, scalar: bigint): EcdsaKey {
  const point = NOBLE[kind].Point.BASE.multiply(scalar).toBytes(false);
  const spki = sequence(sequence(oid('1.2.840.10045.2.1'), oid(CURVES[kind].oid)), bitString(point));
  return parsePublicKey(spki) as EcdsaKey;
}
