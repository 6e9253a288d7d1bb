import { describe, expect, test } from 'bun:test';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bitString, integer, nullValue, oid, sequence } from '../asn1/der.ts';
import { concat, parseHex, serializeHex } from '../bytes/bytes.ts';
import { KEY_DETAILS, type KeyKind, keyDetailsFor } from './algorithms.ts';
import { CURVES } from './curves.ts';
import { parsePem, serializePem } from './pem.ts';
import { generateKey, serializePrivateKey } from './private-key.ts';
import {
  defaultHash,
  keyFingerprint,
  type PublicKey,
  parsePublicKey,
  parsePublicKeyPem,
  serializePublicKeyPem,
} from './public-key.ts';

const testdata = (name: string): string => readFileSync(`${import.meta.dir}/testdata/${name}`, 'utf8');
const withCode = (code: string, message = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

const P256 = parsePublicKeyPem(testdata('public-p256.pem'));
const EC_ALGORITHM = sequence(oid('1.2.840.10045.2.1'), oid(CURVES.p256.oid));
const RSA_ALGORITHM = sequence(oid('1.2.840.113549.1.1.1'), nullValue());
const POINT = P256.spki.subarray(-65);
const MODULUS = (1n << 2047n) + 1n;

const rsaSpki = (modulus: bigint, exponent: bigint, algorithm = RSA_ALGORITHM): Uint8Array =>
  sequence(algorithm, bitString(sequence(integer(modulus), integer(exponent))));
const ed25519Spki = (point: Uint8Array): Uint8Array => sequence(sequence(oid('1.3.101.112')), bitString(point));

function patched(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at < 0 ? copy.length + at : at] = value;
  return copy;
}

describe('parsePublicKey', () => {
  const kinds: [KeyKind, number][] = [
    ['p256', 256],
    ['p384', 384],
    ['p521', 521],
    ['ed25519', 256],
    ['rsa', 2048],
  ];
  for (const [kind, bits] of kinds) {
    test(`round trip of ${kind}`, () => {
      const { publicKey } = generateKey(kind, 2048);
      expect(publicKey).toMatchObject({ kind, bits });
      const again = parsePublicKeyPem(serializePublicKeyPem(publicKey));
      expect(again.spki).toEqual(publicKey.spki);
      // The runtime's own encoding of the key is the same, so there is no second one.
      const exported = createPublicKey(serializePublicKeyPem(publicKey)).export({ format: 'der', type: 'spki' });
      expect(serializeHex(exported)).toBe(serializeHex(publicKey.spki));
    });
  }

  test('keeps its own copy of the bytes', () => {
    const bytes = Uint8Array.from(P256.spki);
    const key = parsePublicKey(bytes);
    bytes.fill(0);
    expect(key.spki).toEqual(P256.spki);
  });

  test('agrees with openssl', () => {
    expect(serializePublicKeyPem(P256)).toBe(testdata('public-p256.pem'));
  });

  test('accepts RSA at both bounds', () => {
    expect(parsePublicKey(rsaSpki(MODULUS, 65_537n)).bits).toBe(2048);
    expect(parsePublicKey(rsaSpki((1n << 8191n) + 1n, 2n ** 31n - 1n)).bits).toBe(8192);
  });

  const flaws: [string, Uint8Array, string, string][] = [
    ['no bytes', new Uint8Array(), 'KEY_INVALID', 'not DER'],
    ['data after the key', concat(P256.spki, Uint8Array.of(0)), 'KEY_INVALID', 'after the last'],
    ['a truncated key', P256.spki.subarray(0, -1), 'KEY_INVALID', 'truncated'],
    [
      'a length that is not minimal',
      concat(Uint8Array.of(0x30, 0x81), P256.spki.subarray(1)),
      'KEY_INVALID',
      'minimal',
    ],
    ['unused bits in the key', patched(P256.spki, -66, 1), 'KEY_INVALID', 'unused bits'],
    ['a third element', sequence(EC_ALGORITHM, bitString(POINT), nullValue()), 'KEY_INVALID', 'after the last'],
    ['an unknown algorithm', sequence(sequence(oid('1.2.3')), bitString(POINT)), 'KEY_UNSUPPORTED', '1.2.3'],
    ['no curve', sequence(sequence(oid('1.2.840.10045.2.1')), bitString(POINT)), 'KEY_INVALID', 'expected tag'],
    [
      'more parameters than a curve',
      sequence(sequence(oid('1.2.840.10045.2.1'), oid(CURVES.p256.oid), nullValue()), bitString(POINT)),
      'KEY_INVALID',
      'after the last',
    ],
    ['a point off the curve', patched(P256.spki, -1, (POINT[64] as number) ^ 1), 'KEY_INVALID', 'do not form a key'],
    [
      'a coordinate not below p',
      sequence(
        EC_ALGORITHM,
        bitString(concat(Uint8Array.of(4), parseHex(CURVES.p256.p.toString(16)), POINT.subarray(33))),
      ),
      'KEY_INVALID',
      'do not form a key',
    ],
    ['the point at infinity', sequence(EC_ALGORITHM, bitString(Uint8Array.of(0))), 'KEY_INVALID', 'uncompressed'],
    ['an empty point', sequence(EC_ALGORITHM, bitString(new Uint8Array())), 'KEY_INVALID', 'uncompressed'],
    ['a point too long', sequence(EC_ALGORITHM, bitString(concat(POINT, Uint8Array.of(0)))), 'KEY_INVALID', 'length'],
    [
      'a point of another curve',
      sequence(sequence(oid('1.2.840.10045.2.1'), oid(CURVES.p384.oid)), bitString(POINT)),
      'KEY_INVALID',
      'length',
    ],
    ['RSA of 2047 bits', rsaSpki((1n << 2046n) + 1n, 65_537n), 'KEY_UNSUPPORTED', '2047 bits'],
    ['RSA of 8193 bits', rsaSpki((1n << 8192n) + 1n, 65_537n), 'KEY_UNSUPPORTED', '8193 bits'],
    ['an RSA modulus without end', rsaSpki((1n << 80_000n) + 1n, 65_537n), 'KEY_INVALID', 'longer than'],
    ['an even RSA modulus', rsaSpki(MODULUS + 1n, 65_537n), 'KEY_INVALID', 'modulus even'],
    ['an even RSA exponent', rsaSpki(MODULUS, 65_538n), 'KEY_INVALID', 'exponent even'],
    ['RSA exponent 1', rsaSpki(MODULUS, 1n), 'KEY_UNSUPPORTED', 'exponent'],
    ['RSA exponent 3', rsaSpki(MODULUS, 3n), 'KEY_UNSUPPORTED', 'exponent'],
    ['an RSA exponent above 31 bits', rsaSpki(MODULUS, 2n ** 31n + 1n), 'KEY_UNSUPPORTED', 'exponent'],
    ['a negative RSA modulus', rsaNegative(), 'KEY_INVALID', 'negative'],
    [
      'RSA without its NULL parameters',
      rsaSpki(MODULUS, 65_537n, sequence(oid('1.2.840.113549.1.1.1'))),
      'KEY_INVALID',
      'expected tag',
    ],
    [
      'Ed25519 with parameters',
      sequence(sequence(oid('1.3.101.112'), nullValue()), bitString(new Uint8Array(32).fill(9))),
      'KEY_INVALID',
      'after the last',
    ],
    ['an Ed25519 key of 31 bytes', ed25519Spki(new Uint8Array(31).fill(9)), 'KEY_INVALID', '32 bytes'],
    ['an Ed25519 key of 33 bytes', ed25519Spki(new Uint8Array(33).fill(9)), 'KEY_INVALID', '32 bytes'],
    [
      'an Ed25519 coordinate above p',
      ed25519Spki(parseHex(`f0${'ff'.repeat(30)}7f`)),
      'KEY_INVALID',
      'above the field',
    ],
  ];
  for (const [flaw, spki, code, message] of flaws) {
    test(`refuses ${flaw}`, () => {
      expect(() => parsePublicKey(spki)).toThrow(withCode(code, message));
    });
  }

  const files: [string, string, string][] = [
    ['public-p256-compressed.pem', 'KEY_INVALID', 'uncompressed'],
    ['public-p256-hybrid.pem', 'KEY_INVALID', 'uncompressed'],
    ['public-p256-explicit.pem', 'KEY_UNSUPPORTED', 'explicit'],
    ['public-secp224r1.pem', 'KEY_UNSUPPORTED', 'curve 1.3.132.0.33'],
    ['public-secp256k1.pem', 'KEY_UNSUPPORTED', 'curve 1.3.132.0.10'],
    ['public-brainpoolP256r1.pem', 'KEY_UNSUPPORTED', 'curve 1.3.36.3.3.2.8.1.1.7'],
    ['public-rsa-pss.pem', 'KEY_UNSUPPORTED', '1.2.840.113549.1.1.10'],
  ];
  for (const [file, code, message] of files) {
    test(`refuses openssl's ${file}`, () => {
      expect(() => parsePublicKeyPem(testdata(file))).toThrow(withCode(code, message));
    });
  }

  test('refuses every Ed25519 point of small order', async () => {
    const { ED25519_TORSION_SUBGROUP } = await import('@noble/curves/ed25519.js');
    expect(ED25519_TORSION_SUBGROUP).toHaveLength(8);
    for (const point of ED25519_TORSION_SUBGROUP)
      expect(() => parsePublicKey(ed25519Spki(parseHex(point)))).toThrow(withCode('KEY_INVALID', 'small order'));
    // x = 0 with the sign bit set: not the canonical form of 1 and p - 1, and found by the same numbers.
    for (const point of [`01${'00'.repeat(30)}80`, `ec${'ff'.repeat(31)}`])
      expect(() => parsePublicKey(ed25519Spki(parseHex(point)))).toThrow(withCode('KEY_INVALID', 'small order'));
  });

  test('refuses X25519', () => {
    const spki = generateKeyPairSync('x25519').publicKey.export({ format: 'der', type: 'spki' });
    expect(() => parsePublicKey(spki)).toThrow(withCode('KEY_UNSUPPORTED', '1.3.101.110'));
  });
});

/** An RSA key whose modulus lacks the zero byte that makes it positive. */
function rsaNegative(): Uint8Array {
  const numbers = sequence(concat(parseHex('02820100'), new Uint8Array(256).fill(0x81)), integer(65_537n));
  return sequence(RSA_ALGORITHM, bitString(numbers));
}

describe('parsePublicKeyPem', () => {
  test('refuses two keys', () => {
    expect(() => parsePublicKeyPem(testdata('public-p256.pem').repeat(2))).toThrow(
      withCode('PEM_INVALID', 'more than one'),
    );
  });
  test('refuses a private key', () => {
    expect(() => parsePublicKeyPem(serializePrivateKey(generateKey('p256')))).toThrow(
      withCode('PEM_INVALID', 'expected PUBLIC KEY, found PRIVATE KEY'),
    );
  });
  test('refuses a PKCS#1 key', () => {
    const [block] = parsePem(testdata('public-p256.pem'));
    expect(() => parsePublicKeyPem(serializePem('RSA PUBLIC KEY', block?.der as Uint8Array))).toThrow(
      withCode('PEM_INVALID', 'found RSA PUBLIC KEY'),
    );
  });
});

test('keyFingerprint is the SHA-256 of the SubjectPublicKeyInfo', () => {
  const expected = new Bun.CryptoHasher('sha256').update(P256.spki).digest('hex');
  expect(serializeHex(keyFingerprint(P256))).toBe(expected);
});

describe('algorithms', () => {
  const rows: [KeyKind, number, string, string, string][] = [
    ['p256', 256, 'sha256', 'PKIX_ECDSA_P256_SHA_256', 'PKIX_ECDSA_P256_SHA_256'],
    ['p384', 384, 'sha384', 'PKIX_ECDSA_P384_SHA_384', 'PKIX_ECDSA_P384_SHA_384'],
    ['p521', 521, 'sha512', 'PKIX_ECDSA_P521_SHA_512', 'PKIX_ECDSA_P521_SHA_512'],
    ['ed25519', 256, 'sha512', 'PKIX_ED25519', 'PKIX_ED25519_PH'],
    ['rsa', 2048, 'sha256', 'PKIX_RSA_PKCS1V15_2048_SHA256', 'PKIX_RSA_PKCS1V15_2048_SHA256'],
    ['rsa', 3072, 'sha256', 'PKIX_RSA_PKCS1V15_3072_SHA256', 'PKIX_RSA_PKCS1V15_3072_SHA256'],
    ['rsa', 4096, 'sha256', 'PKIX_RSA_PKCS1V15_4096_SHA256', 'PKIX_RSA_PKCS1V15_4096_SHA256'],
  ];
  for (const [kind, bits, hash, message, fromDigest] of rows) {
    test(`${kind} of ${bits} bits`, () => {
      const key = { kind, bits } as PublicKey;
      expect<string>(defaultHash(key)).toBe(hash);
      expect<string>(keyDetailsFor(key, 'message')).toBe(message);
      expect<string>(keyDetailsFor(key, 'digest')).toBe(fromDigest);
    });
  }
  test('refuses an RSA size without a name', () => {
    expect(() => keyDetailsFor({ kind: 'rsa', bits: 2560 }, 'digest')).toThrow(withCode('KEY_UNSUPPORTED', '2560'));
  });
  test('no two rows share a number', () => {
    const numbers = Object.values(KEY_DETAILS).map((row) => row.number);
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});

test('the curves are those of @noble/curves', async () => {
  const nist = await import('@noble/curves/nist.js');
  for (const kind of ['p256', 'p384', 'p521'] as const) {
    const { p, n } = nist[kind].Point.CURVE();
    expect(CURVES[kind]).toMatchObject({ p, n, bytes: nist[kind].Point.Fp.BYTES, bits: p.toString(2).length });
  }
});
