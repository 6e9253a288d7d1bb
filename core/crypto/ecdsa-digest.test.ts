import { describe, expect, test } from 'bun:test';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { bitString, integer, oid, sequence } from '../asn1/der.ts';
import { concat, parseHex } from '../bytes/bytes.ts';
import { CURVES, type CurveKind } from './curves.ts';
import { SHIFTED_HASH, SHIFTED_MESSAGE, shiftKey } from './ecdsa-digest.ts';
import { parseEcdsaSignature } from './ecdsa-signature.ts';
import { DIGEST_BYTES, digest, type HashName } from './hash.ts';
import { generateKey, sign } from './private-key.ts';
import { type EcdsaKey, parsePublicKey } from './public-key.ts';
import { isValidDigestSignature, isValidSignature } from './verify.ts';

const NOBLE = { p256, p384, p521 };
const KINDS: readonly [CurveKind, HashName][] = [
  ['p256', 'sha256'],
  ['p384', 'sha384'],
  ['p521', 'sha512'],
];
const HASHES = Object.keys(DIGEST_BYTES) as HashName[];

/** A generator of bytes with a seed (xorshift32), so that a failure can be repeated. */
function seeded(seed: number): (bytes: number) => Uint8Array {
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
const derSignature = (r: bigint, s: bigint): Uint8Array => sequence(integer(r), integer(s));

function publicKeyOf(kind: CurveKind, scalar: bigint): EcdsaKey {
  const point = NOBLE[kind].Point.BASE.multiply(scalar).toBytes(false);
  const spki = sequence(sequence(oid('1.2.840.10045.2.1'), oid(CURVES[kind].oid)), bitString(point));
  return parsePublicKey(spki) as EcdsaKey;
}

const Z0 = toNumber(digest(SHIFTED_HASH, SHIFTED_MESSAGE));

/**
 * A valid signature over a digest of number z by a key d for which t = (z - z0)/r is just what the sender wants: r is that of
 * the nonce k, and d may be chosen after it. s = (z + r·d)/k as always.
 */
function craft(kind: CurveKind, hash: HashName, seed: number, choose: 'zero' | 'equal' | 'opposite') {
  const { n } = CURVES[kind];
  const { Fn, BASE } = NOBLE[kind].Point;
  const random = seeded(seed);
  const k = Fn.create(toNumber(random(CURVES[kind].bytes)));
  const r = BASE.multiply(k).toAffine().x % n;
  const z = choose === 'zero' ? Z0 : toNumber(random(DIGEST_BYTES[hash])) % n;
  const t = Fn.div(Fn.create(z - Z0), r);
  const d = choose === 'zero' ? 7n : choose === 'equal' ? t : Fn.neg(t);
  const s = Fn.div(Fn.create(z + r * d), k);
  return { key: publicKeyOf(kind, d), digest: toBytes(z, DIGEST_BYTES[hash]), r, s };
}

describe('a digest and key chosen by the sender so that', () => {
  const points = [
    ['t = 0', 'zero'],
    ['t·G = Q', 'equal'],
    ['t·G = -Q', 'opposite'],
  ] as const;
  for (const [kind, hash] of KINDS) {
    for (const [name, choose] of points) {
      test(`${name} on ${kind} is exceptional and judged rightly`, () => {
        const { key, digest, r, s } = craft(kind, hash, 0x5eed, choose);
        expect(shiftKey(key, digest, { r, s })).toBe('exceptional');
        expect(isValidDigestSignature(key, hash, digest, derSignature(r, s))).toBe(true);
        const { n } = CURVES[kind];
        expect(isValidDigestSignature(key, hash, digest, derSignature(r, n - s))).toBe(true);
        expect(isValidDigestSignature(key, hash, digest, derSignature(r, (s % (n - 1n)) + 1n))).toBe(false);
      });
    }
    test(`a point beside the exceptional one on ${kind} is shifted`, () => {
      const { key, digest, r, s } = craft(kind, hash, 0x5eed, 'equal');
      const beside = digest.slice();
      beside[beside.length - 1] = (beside[beside.length - 1] as number) ^ 1;
      expect(shiftKey(key, beside, { r, s })).not.toBe('exceptional');
      expect(isValidDigestSignature(key, hash, beside, derSignature(r, s))).toBe(false);
    });
  }
});

describe('ECDSA over a digest', () => {
  for (const [kind] of KINDS) {
    for (const hash of HASHES) {
      test(`${kind} with ${hash} agrees with the native verification of the message`, () => {
        const random = seeded(1 + hash.length);
        const key = generateKey(kind);
        for (let i = 0; i < 4; i++) {
          const message = random(40);
          const signature = sign(key, message, hash);
          expect(isValidSignature(key.publicKey, hash, message, signature)).toBe(true);
          expect(isValidDigestSignature(key.publicKey, hash, digest(hash, message), signature)).toBe(true);
        }
      });
    }

    test(`${kind} refuses signatures, digests and keys with one bit changed`, () => {
      const random = seeded(0xbadc0de);
      const hash = KINDS.find(([each]) => each === kind)?.[1] as HashName;
      const key = generateKey(kind);
      const other = generateKey(kind);
      for (let i = 0; i < (kind === 'p256' ? 60 : 15); i++) {
        const message = random(32);
        const hashed = digest(hash, message);
        const signature = sign(key, message, hash);
        const [a = 0, high = 0, low = 0] = random(3);
        const b = high * 256 + low;
        expect(isValidDigestSignature(key.publicKey, hash, flip(hashed, a), signature)).toBe(false);
        expect(isValidDigestSignature(key.publicKey, hash, hashed, flip(signature, b))).toBe(false);
        expect(isValidSignature(key.publicKey, hash, message, flip(signature, b))).toBe(false);
        expect(isValidDigestSignature(other.publicKey, hash, hashed, signature)).toBe(false);
      }
    });
  }

  test('takes only the leftmost bits of a digest longer than the order', () => {
    const key = generateKey('p256');
    const signature = sign(key, new Uint8Array([1]), 'sha512');
    const hashed = digest('sha512', new Uint8Array([1]));
    const tail = hashed.slice();
    tail[63] = (tail[63] as number) ^ 1;
    expect(isValidDigestSignature(key.publicKey, 'sha512', tail, signature)).toBe(true);
    expect(isValidDigestSignature(key.publicKey, 'sha512', flip(hashed, 31 * 8), signature)).toBe(false);
  });
});

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = (bit >> 3) % copy.length;
  copy[at] = (copy[at] as number) ^ (1 << (bit & 7));
  return copy;
}

describe('parseEcdsaSignature refuses', () => {
  const { n } = CURVES.p256;
  const flaws: [string, Uint8Array][] = [
    ['no bytes', new Uint8Array()],
    ['r = 0', derSignature(0n, 1n)],
    ['s = 0', derSignature(1n, 0n)],
    ['r = n', derSignature(n, 1n)],
    ['s = n', derSignature(1n, n)],
    ['a negative r', parseHex('3006020181020101')],
    [
      'an r without the zero of a positive number',
      concat(parseHex('30250220'), new Uint8Array(32).fill(0x81), parseHex('020101')),
    ],
    ['an r with a needless zero', parseHex('300702020001020101')],
    ['an r of a thousand bytes', derSignature(1n << 8000n, 1n)],
    ['a third number', sequence(integer(1), integer(1), integer(1))],
    ['one number', sequence(integer(1))],
    ['data after the sequence', concat(derSignature(1n, 1n), Uint8Array.of(0))],
    ['a long length', parseHex('308106020101020101')],
    ['an indefinite length', parseHex('30800201010201010000')],
    ['r and s without DER', new Uint8Array(64).fill(1)],
  ];
  for (const [flaw, signature] of flaws) {
    test(flaw, () => {
      expect(parseEcdsaSignature('p256', signature)).toBeUndefined();
    });
  }
  test('nothing at the bounds', () => {
    expect(parseEcdsaSignature('p256', derSignature(1n, n - 1n))).toEqual({ r: 1n, s: n - 1n });
  });
});
