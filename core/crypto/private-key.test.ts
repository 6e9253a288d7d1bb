import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { integer, octetString, oid, sequence } from '../asn1/der.ts';
import { parseUtf8, serializeUtf8 } from '../bytes/bytes.ts';
import { HallmarkError } from '../errors.ts';
import type { KeyKind } from './algorithms.ts';
import { digest } from './hash.ts';
import { parsePem, serializePem } from './pem.ts';
import {
  generateKey,
  generateRsaKey,
  type PrivateKey,
  parsePrivateKey,
  serializeEncryptedPrivateKey,
  serializePrivateKey,
  sign,
  streamSigner,
} from './private-key.ts';
import { defaultHash, parsePublicKeyPem } from './public-key.ts';
import { isValidDigestSignature, isValidSignature } from './verify.ts';

const KINDS: readonly KeyKind[] = ['p256', 'p384', 'p521', 'ed25519', 'rsa'];
const MESSAGE = serializeUtf8('a message');
const testdata = (name: string): string => readFileSync(`${import.meta.dir}/testdata/${name}`, 'utf8');
const withCode = (code: string, message = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });
const counted = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, (_, i) => i);
const noPassword = (): string => {
  throw new Error('the password of a bare key was asked for');
};
const P256 = parsePublicKeyPem(testdata('public-p256.pem'));

/** Same public key, and it signs. */
function expectSame(key: PrivateKey, spki: Uint8Array): void {
  expect(key.publicKey.spki).toEqual(spki);
  const hash = defaultHash(key.publicKey);
  expect(isValidSignature(key.publicKey, hash, MESSAGE, sign(key, MESSAGE))).toBe(true);
}

describe('a private key', () => {
  for (const kind of KINDS) {
    test(`of ${kind}: round trip, bare`, () => {
      const key = generateKey(kind, 2048);
      const pem = serializePrivateKey(key);
      const again = parsePrivateKey(pem, noPassword);
      expectSame(again, key.publicKey.spki);
      expect(serializePrivateKey(again)).toBe(pem);
    });
    test(`of ${kind}: signs a stream as a whole`, () => {
      const key = generateKey(kind, 2048);
      const signer = streamSigner(key);
      for (let at = 0; at < MESSAGE.length; at += 2) signer.update(MESSAGE.subarray(at, at + 2));
      const result = signer.finish();
      expect(result.hash).toBe(defaultHash(key.publicKey));
      expect(result.digest).toEqual(digest(result.hash, MESSAGE));
      expect(isValidDigestSignature(key.publicKey, result.hash, result.digest, result.signature)).toBe(true);
      // Ed25519ph is another scheme than Ed25519, all others sign the digest either way.
      expect(isValidSignature(key.publicKey, result.hash, MESSAGE, result.signature)).toBe(kind !== 'ed25519');
    });
    test(`of ${kind}: signs an empty stream`, () => {
      const key = generateKey(kind, 2048);
      const { digest: hashed, hash, signature } = streamSigner(key).finish();
      expect(isValidDigestSignature(key.publicKey, hash, hashed, signature)).toBe(true);
    });
  }
  test('of RSA, generated off the main thread', async () => {
    const key = await generateRsaKey(2048);
    expect(key.publicKey).toMatchObject({ kind: 'rsa', bits: 2048 });
    expectSame(key, key.publicKey.spki);
  });
  test('signs with another hash where told', () => {
    const key = generateKey('p384');
    const signature = sign(key, MESSAGE, 'sha256');
    expect(isValidSignature(key.publicKey, 'sha256', MESSAGE, signature)).toBe(true);
    expect(isValidSignature(key.publicKey, 'sha384', MESSAGE, signature)).toBe(false);
  });
  test('hides its secret from inspection', () => {
    const key = parsePrivateKey(testdata('pkcs8-ed25519.pem'), undefined);
    const seed = parsePem(testdata('pkcs8-ed25519.pem'))[0]?.der.subarray(-32) as Uint8Array;
    const shown = `${Bun.inspect(key, { depth: 10 })}${JSON.stringify(key)}`;
    expect(shown).not.toContain([...seed.subarray(0, 4)].join(', '));
    expect(shown).not.toContain(Buffer.from(seed).toString('base64').slice(0, 8));
  });
});

describe("openssl's private keys", () => {
  for (const file of [
    'pkcs8-p256.pem',
    'sec1-p256.pem',
    'sec1-p256-no-public.pem',
    'sec1-p256-compressed.pem',
    'ec-parameters-sec1.pem',
  ]) {
    test(file, () => expectSame(parsePrivateKey(testdata(file), noPassword), P256.spki));
  }
  test('pkcs8-p256-pbkdf2.pem', () => {
    expectSame(
      parsePrivateKey(testdata('pkcs8-p256-pbkdf2.pem'), () => 'sesame'),
      P256.spki,
    );
  });
  test('pkcs8-p256-pbkdf2.pem with the wrong password', () => {
    for (const password of ['Sesame', '', 'x'.repeat(2000)])
      expect(() => parsePrivateKey(testdata('pkcs8-p256-pbkdf2.pem'), () => password)).toThrow(
        withCode('KEY_PASSWORD_WRONG'),
      );
  });
  test('pkcs8-p256-pbkdf2.pem without a password', () => {
    expect(() => parsePrivateKey(testdata('pkcs8-p256-pbkdf2.pem'), undefined)).toThrow(
      withCode('KEY_PASSWORD_REQUIRED'),
    );
  });
  for (const cipher of ['aes128', 'aes192', 'aes256', 'des3']) {
    test(`sec1-p256-${cipher}.pem`, () => {
      const pem = testdata(`sec1-p256-${cipher}.pem`);
      expectSame(
        parsePrivateKey(pem, () => 'sesame'),
        P256.spki,
      );
      for (const password of ['Sesame', '', 'x'.repeat(2000)])
        expect(() => parsePrivateKey(pem, () => password)).toThrow(withCode('KEY_PASSWORD_WRONG'));
      expect(() => parsePrivateKey(pem, undefined)).toThrow(withCode('KEY_PASSWORD_REQUIRED'));
    });
  }
  for (const cipher of ['aes256', 'des3']) {
    test(`pkcs1-rsa2048-${cipher}.pem`, () => {
      const pem = testdata(`pkcs1-rsa2048-${cipher}.pem`);
      expectSame(
        parsePrivateKey(pem, () => 'sesame'),
        parsePrivateKey(testdata('pkcs1-rsa2048.pem'), noPassword).publicKey.spki,
      );
      expect(() => parsePrivateKey(pem, () => 'Sesame')).toThrow(withCode('KEY_PASSWORD_WRONG'));
      expect(() => parsePrivateKey(pem, undefined)).toThrow(withCode('KEY_PASSWORD_REQUIRED'));
    });
  }
  test('pkcs1-rsa2048.pem', () => {
    const key = parsePrivateKey(testdata('pkcs1-rsa2048.pem'), noPassword);
    expect(key.publicKey.bits).toBe(2048);
    expectSame(key, key.publicKey.spki);
  });
  test('pkcs8-ed25519.pem', () => {
    const key = parsePrivateKey(testdata('pkcs8-ed25519.pem'), noPassword);
    expectSame(key, key.publicKey.spki);
    expect(serializePrivateKey(key)).toBe(testdata('pkcs8-ed25519.pem'));
  });
});

// Written with Go's x/crypto scrypt and nacl/secretbox, as cosign does, over pkcs8-p256.pem.
describe("cosign's private keys", () => {
  for (const file of ['cosign-n32768.pem', 'cosign-n65536.pem', 'cosign-n131072.pem']) {
    test(file, () =>
      expectSame(
        parsePrivateKey(testdata(file), () => 'sesame'),
        P256.spki,
      ),
    );
  }
  test('an empty password is one', () => {
    expectSame(
      parsePrivateKey(testdata('cosign-empty-password.pem'), () => ''),
      P256.spki,
    );
  });
  test('the wrong password', () => {
    expect(() => parsePrivateKey(testdata('cosign-n32768.pem'), () => '')).toThrow(withCode('KEY_PASSWORD_WRONG'));
  });
  test('no password', () => {
    expect(() => parsePrivateKey(testdata('cosign-n32768.pem'), undefined)).toThrow(withCode('KEY_PASSWORD_REQUIRED'));
  });

  const key = generateKey('p256');
  const pem = serializeEncryptedPrivateKey(key, 'pässword', counted);
  test('round trip', () => {
    expectSame(
      parsePrivateKey(pem, () => 'pässword'),
      key.publicKey.spki,
    );
  });
  test("is laid out as cosign's", () => {
    expect(pem).toStartWith('-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n');
    expect(bodyOf(pem).replace(/"ciphertext":"[^"]+"/, '"ciphertext":""')).toBe(
      '{"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},' +
        '"cipher":{"name":"nacl/secretbox","nonce":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"},"ciphertext":""}',
    );
  });

  const flaws: [string, (body: string) => string, string][] = [
    ['a changed ciphertext', (b) => b.replace(/"ciphertext":"..../, '"ciphertext":"AAAA'), 'KEY_PASSWORD_WRONG'],
    ['a changed salt', (b) => b.replace('"AAEC', '"AAAA'), 'KEY_PASSWORD_WRONG'],
    ['N too small', (b) => b.replace('65536', '16384'), 'KEY_UNSUPPORTED'],
    ['N too large', (b) => b.replace('65536', '1048576'), 'KEY_UNSUPPORTED'],
    ['N beyond all bounds', (b) => b.replace('65536', '4294967296'), 'KEY_INVALID'],
    ['N as a string', (b) => b.replace('65536', '"65536"'), 'KEY_INVALID'],
    ['no N', (b) => b.replace('"N":65536,', ''), 'KEY_UNSUPPORTED'],
    ['another r', (b) => b.replace('"r":8', '"r":16'), 'KEY_UNSUPPORTED'],
    ['another p', (b) => b.replace('"p":1', '"p":2'), 'KEY_UNSUPPORTED'],
    ['another KDF', (b) => b.replace('scrypt', 'argon2'), 'KEY_UNSUPPORTED'],
    ['another cipher', (b) => b.replace('secretbox', 'box'), 'KEY_UNSUPPORTED'],
    ['a short salt', (b) => b.replace('"AAEC', '"'), 'KEY_INVALID'],
    ['a short nonce', (b) => b.replace('FRYX', ''), 'KEY_INVALID'],
    ['no ciphertext', (b) => b.replace(/"ciphertext":"[^"]+"/, '"ciphertext":""'), 'KEY_INVALID'],
    ['an unknown field', (b) => b.replace('{"kdf"', '{"x":1,"kdf"'), 'KEY_INVALID'],
    ['a duplicate field', (b) => b.replace('{"kdf"', '{"ciphertext":"","kdf"'), 'KEY_INVALID'],
    ['no JSON', () => 'hello', 'KEY_INVALID'],
  ];
  for (const [flaw, change, code] of flaws) {
    test(`refuses ${flaw}`, () => {
      const changed = change(bodyOf(pem));
      expect(changed).not.toBe(bodyOf(pem));
      const block = serializePem('ENCRYPTED COSIGN PRIVATE KEY', serializeUtf8(changed));
      expect(() => parsePrivateKey(block, () => 'pässword')).toThrow(withCode(code));
    });
  }
});

const bodyOf = (pem: string): string => parseUtf8(parsePem(pem)[0]?.der as Uint8Array);

describe('parsePrivateKey refuses', () => {
  const headers = testdata('sec1-p256-aes128.pem');
  const withCipher = (name: string): string => headers.replace('AES-128-CBC', name);
  const withLabel = (label: string): string => headers.replaceAll('EC PRIVATE KEY', label);
  const withIterations = (count: number | undefined): string => {
    const iterations = count === undefined ? [] : [integer(BigInt(count))];
    const derivation = sequence(oid('1.2.840.113549.1.5.12'), sequence(octetString(counted(8)), ...iterations));
    const encryption = sequence(oid('2.16.840.1.101.3.4.1.42'), octetString(counted(16)));
    const scheme = sequence(oid('1.2.840.113549.1.5.13'), sequence(derivation, encryption));
    return serializePem('ENCRYPTED PRIVATE KEY', sequence(scheme, octetString(counted(144))));
  };
  const bare = parsePem(testdata('pkcs8-p256.pem'))[0]?.der as Uint8Array;
  const change = (at: number): Uint8Array => {
    const copy = Uint8Array.from(bare);
    copy[at < 0 ? copy.length + at : at] = (copy[at < 0 ? copy.length + at : at] as number) ^ 1;
    return copy;
  };
  const flaws: [string, string, string, string?][] = [
    ['a public key', testdata('public-p256.pem'), 'KEY_UNSUPPORTED', 'found PUBLIC KEY'],
    ['an OpenSSH key', serializePem('OPENSSH PRIVATE KEY', bare), 'KEY_UNSUPPORTED', 'OPENSSH'],
    ['two keys', testdata('pkcs8-p256.pem').repeat(2), 'PEM_INVALID', 'exactly one'],
    ['curve parameters without a key', serializePem('EC PARAMETERS', bare), 'PEM_INVALID', 'exactly one'],
    ['an unknown old encryption', withCipher('CAMELLIA-128-CBC'), 'KEY_UNSUPPORTED', 'CAMELLIA'],
    ['old encryption of PKCS#8', withLabel('PRIVATE KEY'), 'PEM_INVALID', 'headers'],
    ['SEC 1 under the encrypted label of PKCS#1', withLabel('RSA PRIVATE KEY'), 'KEY_PASSWORD_WRONG'],
    ['PBKDF2 of endless iterations', withIterations(0x7fffffff), 'KEY_UNSUPPORTED', 'iterations'],
    ['PBKDF2 of one iteration too many', withIterations(10_000_001), 'KEY_UNSUPPORTED', 'iterations'],
    ['PBKDF2 without iterations', withIterations(undefined), 'KEY_INVALID'],
    ['text that is no PEM', 'hello', 'PEM_INVALID'],
    ['data after the key', serializePem('PRIVATE KEY', new Uint8Array([...bare, 0])), 'KEY_INVALID'],
    ['a truncated key', serializePem('PRIVATE KEY', bare.subarray(0, -1)), 'KEY_INVALID'],
    ['a PKCS#8 key under the label of SEC 1', serializePem('EC PRIVATE KEY', bare), 'KEY_INVALID'],
    ['a PKCS#8 key under the label of PKCS#1', serializePem('RSA PRIVATE KEY', bare), 'KEY_INVALID'],
    ['a public half off the curve', serializePem('PRIVATE KEY', change(-1)), 'KEY_INVALID'],
    ['a secret that does not belong to its public half', serializePem('PRIVATE KEY', change(40)), 'KEY_INVALID'],
    ['bytes that are no encrypted key', serializePem('ENCRYPTED PRIVATE KEY', bare.subarray(2)), 'KEY_INVALID'],
    ['RSA of 1024 bits', testdata('pkcs8-rsa1024.pem'), 'KEY_UNSUPPORTED', '1024 bits'],
    ['X25519', testdata('pkcs8-x25519.pem'), 'KEY_UNSUPPORTED'],
    ['a curve that is not supported', testdata('pkcs8-secp256k1.pem'), 'KEY_UNSUPPORTED'],
    ['PKCS#8 encrypted through scrypt', testdata('pkcs8-p256-scrypt.pem'), 'KEY_UNSUPPORTED', 'encryption'],
  ];
  for (const [flaw, pem, code, message] of flaws) {
    test(flaw, () => {
      expect(() => parsePrivateKey(pem, () => 'sesame')).toThrow(withCode(code, message));
    });
  }

  test('a damaged key without telling its bytes', () => {
    const secret = bare.subarray(36, 68);
    for (let at = 0; at < bare.length; at++) {
      const error = errorOf(() => parsePrivateKey(serializePem('PRIVATE KEY', change(at)), undefined));
      if (error === undefined) continue; // a spare bit of the format
      expect(error).toBeInstanceOf(HallmarkError);
      const told = Bun.inspect(error);
      expect(told).not.toContain(Buffer.from(secret).toString('hex').slice(8, 24));
      expect(told).not.toContain([...secret.subarray(8, 12)].join(', '));
      expect((error as HallmarkError).cause).toBeUndefined();
    }
  });
});

function errorOf(run: () => void): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

test('a stream is signed in constant memory', () => {
  const signer = streamSigner(generateKey('p256'));
  const chunk = new Uint8Array(1024 * 1024);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 200; i++) signer.update(chunk);
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * chunk.length);
  expect(signer.finish().digest).toHaveLength(32);
});
