import { describe, expect, test } from 'bun:test';
import { verify } from 'node:crypto';
import { integer, sequence } from '../asn1/der.ts';
import { concat, parseHex } from '../bytes/bytes.ts';
import { CURVES, type CurveKind } from './curves.ts';
import { type DigestCheck, SHIFTED_HASH, SHIFTED_MESSAGES, type ShiftedCheck, shiftKeys } from './ecdsa-digest.ts';
import { parseEcdsaSignature } from './ecdsa-signature.ts';
import { DIGEST_BYTES, digest, type HashName } from './hash.ts';
import { generateKey, sign } from './private-key.ts';
import { craft, derSignature, FLAWS, messageNumber, seeded } from './testing.ts';
import { isValidDigestSignature, isValidSignature } from './verify.ts';

const KINDS: readonly [CurveKind, HashName][] = [
  ['p256', 'sha256'],
  ['p384', 'sha384'],
  ['p521', 'sha512'],
];
const HASHES = Object.keys(DIGEST_BYTES) as HashName[];

describe('the messages of the shift', () => {
  for (const [kind] of KINDS) {
    test(`have different numbers on ${kind}, so that one of four always serves`, () => {
      const { n } = CURVES[kind];
      expect(new Set(SHIFTED_MESSAGES.map((_, i) => messageNumber(i) % n)).size).toBe(4);
    });
  }
});

describe('a digest and key chosen by the sender so that', () => {
  for (const [kind, hash] of KINDS) {
    for (const [name, flaw] of Object.entries(FLAWS)) {
      const crafted = craft(kind, hash, 0x5eed, flaw);
      const { key, digest, signature } = crafted;
      const { n } = CURVES[kind];
      const isValid = (s: bigint): boolean => isValidDigestSignature(key, hash, digest, derSignature(signature.r, s));

      test(`${name} on ${kind} is shifted by another message and judged rightly`, () => {
        const [shifted] = shiftKeys(kind, [crafted]);
        expect(shifted?.message).toBe(SHIFTED_MESSAGES[flaw === 'both' ? 2 : 1] as Uint8Array);
        expect(isValid(signature.s)).toBe(true);
        expect(isValid(n - signature.s)).toBe(true);
        expect(isValid((signature.s % (n - 1n)) + 1n)).toBe(false);
      });

      test(`${name} on ${kind} spoils nothing in a batch of good ones`, () => {
        const good = (seed: number): DigestCheck => craft(kind, hash, seed, 'none');
        const wrong = { ...crafted, digest: good(4).digest };
        const batch = [good(1), crafted, good(2), good(3), crafted, wrong, good(4)];
        const shifted = shiftKeys(kind, batch);
        const verdicts = batch.map(({ signature: { r, s } }, i) => {
          const { key: shiftedKey, message } = shifted[i] as ShiftedCheck;
          return verify(SHIFTED_HASH, message, shiftedKey, derSignature(r, s));
        });
        expect(verdicts).toEqual([true, true, true, true, true, false, true]);
      });
    }

    test(`a digest beside the exceptional one on ${kind} is shifted by the first message`, () => {
      const { key, digest, signature } = craft(kind, hash, 0x5eed, 'equal');
      const beside = flip(digest, 8 * digest.length - 1);
      expect(shiftKeys(kind, [{ key, digest: beside, signature }])[0]?.message).toBe(SHIFTED_MESSAGES[0] as Uint8Array);
      expect(isValidDigestSignature(key, hash, beside, derSignature(signature.r, signature.s))).toBe(false);
    });
  }

  test('no check at all is no error', () => {
    expect(shiftKeys('p256', [])).toEqual([]);
  });
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
