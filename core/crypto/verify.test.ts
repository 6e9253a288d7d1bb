import { describe, expect, test } from 'bun:test';
import { createPublicKey, privateEncrypt } from 'node:crypto';
import { ed25519, ed25519ph } from '@noble/curves/ed25519.js';
import { bitString, nullValue, octetString, oid, sequence } from '../asn1/der.ts';
import { concat, parseHex, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import type { KeyKind } from './algorithms.ts';
import { ed25519Verifier, signEd25519ph } from './ed25519.ts';
import { digest } from './hash.ts';
import { generateKey, sign } from './private-key.ts';
import { defaultHash, type PublicKey, parsePublicKey } from './public-key.ts';
import { isValidDigestSignature, isValidSignature } from './verify.ts';

const MESSAGE = serializeUtf8('a message');
const KEYS = {
  p256: generateKey('p256'),
  p384: generateKey('p384'),
  p521: generateKey('p521'),
  ed25519: generateKey('ed25519'),
  rsa: generateKey('rsa', 2048),
};
const ed25519Key = (point: Uint8Array) => parsePublicKey(sequence(sequence(oid('1.3.101.112')), bitString(point)));

describe('a signature', () => {
  for (const [kind, key] of Object.entries(KEYS)) {
    const hash = defaultHash(key.publicKey);
    const signature = kind === 'ed25519' ? signEd25519ph(seedOf(key), digest(hash, MESSAGE)) : sign(key, MESSAGE);

    test(`of ${kind} is refused, without an error, where its bytes are anything else`, () => {
      const hashed = digest(hash, MESSAGE);
      const wrong = [
        new Uint8Array(),
        Uint8Array.of(0),
        signature.subarray(1),
        signature.subarray(0, -1),
        concat(signature, Uint8Array.of(0)),
        concat(Uint8Array.of(0), signature),
        new Uint8Array(signature.length),
        new Uint8Array(signature.length).fill(0xff),
        new Uint8Array(100_000),
      ];
      for (const bytes of wrong) {
        expect(isValidSignature(key.publicKey, hash, MESSAGE, bytes)).toBe(false);
        expect(isValidDigestSignature(key.publicKey, hash, hashed, bytes)).toBe(false);
      }
      expect(isValidDigestSignature(key.publicKey, hash, hashed, signature)).toBe(true);
    });

    test(`of ${kind} is refused under every key of another kind`, () => {
      for (const other of Object.keys(KEYS) as KeyKind[]) {
        if (other === kind) continue;
        const { publicKey } = KEYS[other];
        const otherHash = defaultHash(publicKey);
        expect(isValidSignature(publicKey, otherHash, MESSAGE, signature)).toBe(false);
        expect(isValidDigestSignature(publicKey, otherHash, digest(otherHash, MESSAGE), signature)).toBe(false);
      }
    });

    test(`of ${kind} is refused over a digest of the wrong length`, () => {
      const hashed = digest(hash, MESSAGE);
      for (const bytes of [new Uint8Array(), hashed.subarray(1), concat(hashed, Uint8Array.of(0))])
        expect(isValidDigestSignature(key.publicKey, hash, bytes, signature)).toBe(false);
    });
  }
});

describe('RSA over a digest refuses', () => {
  const { publicKey, native } = KEYS.rsa;
  const hashed = digest('sha256', MESSAGE);
  const sha256Id = sequence(oid('2.16.840.1.101.3.4.2.1'), nullValue());
  const block = (info: Uint8Array, type = 1, filler = 0xff, tail = new Uint8Array()): Uint8Array =>
    concat(
      Uint8Array.of(0, type),
      new Uint8Array(256 - 3 - info.length - tail.length).fill(filler),
      Uint8Array.of(0),
      info,
      tail,
    );
  const seal = (encoded: Uint8Array): Uint8Array => privateEncrypt({ key: native, padding: 3 }, encoded);
  const info = sequence(sha256Id, octetString(hashed));

  test('nothing in the right block', () => {
    expect(isValidDigestSignature(publicKey, 'sha256', hashed, seal(block(info)))).toBe(true);
  });
  const flaws: [string, Uint8Array][] = [
    ['garbage after the digest', block(info, 1, 0xff, new Uint8Array(8))],
    ['garbage in place of the padding', block(info, 1, 0xfe)],
    ['block type 2', block(info, 2)],
    ['a DigestInfo without NULL', block(sequence(sequence(oid('2.16.840.1.101.3.4.2.1')), octetString(hashed)))],
    [
      'another hash in the DigestInfo',
      block(sequence(sequence(oid('2.16.840.1.101.3.4.2.3'), nullValue()), octetString(hashed))),
    ],
    ['a bare digest', block(hashed)],
    ['data inside the DigestInfo', block(sequence(sha256Id, octetString(hashed), nullValue()))],
  ];
  for (const [flaw, encoded] of flaws) {
    test(flaw, () => {
      expect(isValidDigestSignature(publicKey, 'sha256', hashed, seal(encoded))).toBe(false);
    });
  }
  test('a number not below the modulus', () => {
    const { n } = publicKey.native.export({ format: 'jwk' });
    const modulus = BigInt(`0x${Buffer.from(n as string, 'base64url').toString('hex')}`);
    // Not every signature plus the modulus still has the modulus's length.
    for (let i = 0; ; i++) {
      const message = serializeUtf8(`message ${i}`);
      const above = BigInt(`0x${serializeHex(sign(KEYS.rsa, message))}`) + modulus;
      if (above >= 2n ** 2048n) continue;
      const signature = parseHex(above.toString(16).padStart(512, '0'));
      expect(isValidDigestSignature(publicKey, 'sha256', digest('sha256', message), signature)).toBe(false);
      expect(isValidSignature(publicKey, 'sha256', message, signature)).toBe(false);
      return;
    }
  });
  test('another hash than the one signed', () => {
    const other = digest('sha512', MESSAGE);
    expect(isValidDigestSignature(publicKey, 'sha512', other, sign(KEYS.rsa, MESSAGE, 'sha256'))).toBe(false);
    expect(isValidDigestSignature(publicKey, 'sha512', other, sign(KEYS.rsa, MESSAGE, 'sha512'))).toBe(true);
  });
});

describe('pure Ed25519 in pieces', () => {
  const valid = (key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean => {
    const verifier = ed25519Verifier(key, signature);
    for (const byte of message) verifier.update(Uint8Array.of(byte));
    return verifier.isValid();
  };
  const seed = digest('sha256', MESSAGE);
  const key = ed25519Key(ed25519.getPublicKey(seed));
  const signature = ed25519.sign(MESSAGE, seed);

  test('accepts what was signed, and nothing else', () => {
    expect(valid(key, MESSAGE, signature)).toBe(true);
    expect(valid(key, MESSAGE.subarray(1), signature)).toBe(false);
    expect(valid(key, MESSAGE, concat(signature, Uint8Array.of(0)))).toBe(false);
    expect(valid(key, MESSAGE, signature.subarray(0, 63))).toBe(false);
    expect(valid(key, MESSAGE, new Uint8Array())).toBe(false);
  });

  // Keys that parsePublicKey refuses.
  test('judges keys of small order and in forms that are not canonical as the native verification does', () => {
    const p = 2n ** 255n - 19n;
    const { BASE } = ed25519.Point;
    const littleEndian = (n: bigint): Uint8Array => parseHex(n.toString(16).padStart(64, '0')).reverse();
    const accepted: boolean[] = [];
    for (const y of [0n, 1n, p, p + 1n, p + 2n, p - 1n, 2n ** 255n - 1n]) {
      for (const sign of [0n, 1n]) {
        const spki = concat(key.spki.subarray(0, -32), littleEndian(y + (sign << 255n)));
        const native = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
        const odd: PublicKey = { ...key, spki, native };
        const ownSignature = concat(BASE.multiplyUnsafe(12345n).toBytes(), littleEndian(12345n));
        for (let i = 0; i < 8; i++) {
          const message = Uint8Array.of(i);
          const isValid = isValidSignature(odd, 'sha512', message, ownSignature);
          expect(valid(odd, message, ownSignature)).toBe(isValid);
          accepted.push(isValid);
        }
      }
    }
    expect([...new Set(accepted)].sort()).toEqual([false, true]);
  });
});

describe('Ed25519ph', () => {
  const seed = parseHex('833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42');
  const key = ed25519Key(ed25519.getPublicKey(seed));
  const hashed = digest('sha512', serializeUtf8('abc'));
  const signature = signEd25519ph(seed, hashed);

  test('example of RFC 8032 §7.3', () => {
    expect(serializeHex(signature)).toBe(
      '98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41' +
        '31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406',
    );
    expect(isValidDigestSignature(key, 'sha512', hashed, signature)).toBe(true);
  });

  test('agrees with @noble/curves', () => {
    for (let i = 0; i < 20; i++) {
      const message = Uint8Array.of(i, 7, 9);
      const secret = digest('sha256', message);
      const publicKey = ed25519Key(ed25519.getPublicKey(secret));
      const theirs = ed25519ph.sign(message, secret);
      expect(signEd25519ph(secret, digest('sha512', message))).toEqual(theirs);
      expect(isValidDigestSignature(publicKey, 'sha512', digest('sha512', message), theirs)).toBe(true);
    }
  });

  test('every changed bit of the signature is refused', () => {
    for (let bit = 0; bit < 512; bit += 7) {
      const bytes = Uint8Array.from(signature);
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(isValidDigestSignature(key, 'sha512', hashed, bytes)).toBe(false);
    }
  });

  test('s + L is refused', () => {
    const s = BigInt(`0x${serializeHex(signature.slice(32).reverse())}`) + ed25519.Point.Fn.ORDER;
    const bytes = concat(signature.subarray(0, 32), parseHex(s.toString(16).padStart(64, '0')).reverse());
    expect(isValidDigestSignature(key, 'sha512', hashed, bytes)).toBe(false);
  });

  test('a pure signature over the digest is refused, and a prehashed one as pure', () => {
    expect(isValidDigestSignature(key, 'sha512', hashed, ed25519.sign(hashed, seed))).toBe(false);
    expect(isValidSignature(key, 'sha512', hashed, signature)).toBe(false);
    expect(isValidSignature(key, 'sha512', serializeUtf8('abc'), signature)).toBe(false);
  });

  test('another hash than SHA-512 is refused', () => {
    const short = digest('sha256', MESSAGE);
    expect(isValidDigestSignature(key, 'sha256', short, signEd25519ph(seed, short))).toBe(false);
  });

  test('a key that is no point is refused', () => {
    const nowhere = ed25519Key(concat(Uint8Array.of(2), new Uint8Array(31)));
    expect(isValidDigestSignature(nowhere, 'sha512', hashed, signature)).toBe(false);
    expect(isValidSignature(nowhere, 'sha512', MESSAGE, signature)).toBe(false);
  });
});

function seedOf(key: (typeof KEYS)['ed25519']): Uint8Array {
  return key.native.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
}
