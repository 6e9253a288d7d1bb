import { describe, expect, test } from 'bun:test';
import { concat } from '../bytes/bytes.ts';
import { HallmarkError } from '../errors.ts';
import { MAX_PENDING_VERIFICATION_BYTES } from '../limits.ts';
import type { KeyKind } from './algorithms.ts';
import { type AsyncVerifier, createAsyncVerifier } from './async-verifier.ts';
import type { DigestCheck } from './ecdsa-digest.ts';
import { signEd25519ph } from './ed25519.ts';
import { digest, type HashName } from './hash.ts';
import { generateKey, sign } from './private-key.ts';
import { defaultHash } from './public-key.ts';
import { craft, derSignature, FLAWS, seeded } from './testing.ts';
import { isValidDigestSignature, isValidSignature } from './verify.ts';

const MESSAGE = seeded(3)(40);
const KEYS = {
  p256: generateKey('p256'),
  p384: generateKey('p384'),
  p521: generateKey('p521'),
  ed25519: generateKey('ed25519'),
  rsa: generateKey('rsa', 2048),
};
const KINDS = Object.keys(KEYS) as KeyKind[];

function digestSignature(kind: KeyKind): Uint8Array {
  const { native, publicKey } = KEYS[kind];
  if (kind !== 'ed25519') return sign(KEYS[kind], MESSAGE);
  const seed = native.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
  return signEd25519ph(seed, digest(defaultHash(publicKey), MESSAGE));
}

describe('the asynchronous verifier judges as the synchronous functions do', () => {
  for (const kind of KINDS) {
    test(`under a key of ${kind}, whatever the bytes are`, async () => {
      const { publicKey } = KEYS[kind];
      const hash = defaultHash(publicKey);
      const digested = digest(hash, MESSAGE);
      const verifier = createAsyncVerifier();
      const signatures = [
        ...KINDS.flatMap((other) => [sign(KEYS[other], MESSAGE), digestSignature(other)]),
        new Uint8Array(),
        new Uint8Array(256),
        new Uint8Array(256).fill(0xff),
        new Uint8Array(64).fill(1),
        digestSignature(kind).subarray(1),
        concat(digestSignature(kind), Uint8Array.of(0)),
        new Uint8Array(100_000),
      ];
      const verdicts = await Promise.all(
        signatures.map(async (signature) => [
          await verifier.isValidSignature(publicKey, hash, MESSAGE, signature),
          await verifier.isValidDigestSignature(publicKey, hash, digested, signature),
          await verifier.isValidDigestSignature(publicKey, hash, digested.subarray(1), signature),
        ]),
      );
      expect(verdicts).toEqual(
        signatures.map((signature) => [
          isValidSignature(publicKey, hash, MESSAGE, signature),
          isValidDigestSignature(publicKey, hash, digested, signature),
          false,
        ]),
      );
      expect(verdicts.flat().filter(Boolean).length).toBeGreaterThanOrEqual(2);
    });
  }

  test('over many items of all kinds at once, the exceptional points of ECDSA among them', async () => {
    const verifier = createAsyncVerifier();
    const curves = [
      ['p256', 'sha256'],
      ['p384', 'sha384'],
      ['p521', 'sha512'],
    ] as const;
    const expected: boolean[] = [];
    const verdicts: Promise<boolean>[] = [];
    const add = (valid: boolean, verdict: Promise<boolean>): void => {
      expected.push(valid);
      verdicts.push(verdict);
    };
    const verify = (hash: HashName, { key, digest, signature }: DigestCheck, delta = 0n): Promise<boolean> =>
      verifier.isValidDigestSignature(key, hash, digest, derSignature(signature.r, signature.s + delta));
    for (const [kind, hash] of curves) {
      for (const [i, flaw] of [...Object.values(FLAWS), 'none' as const].entries()) {
        const check = craft(kind, hash, 100 + i, flaw);
        add(true, verify(hash, check));
        add(false, verify(hash, check, 1n));
      }
    }
    for (const kind of KINDS) {
      const { publicKey } = KEYS[kind];
      const hash = defaultHash(publicKey);
      add(true, verifier.isValidDigestSignature(publicKey, hash, digest(hash, MESSAGE), digestSignature(kind)));
      add(
        false,
        verifier.isValidDigestSignature(publicKey, hash, digest(hash, Uint8Array.of(1)), digestSignature(kind)),
      );
    }
    expect(await Promise.all(verdicts)).toEqual(expected);
  });
});

describe('an attacker', () => {
  const { publicKey } = KEYS.p521;
  const signature = sign(KEYS.p521, MESSAGE);
  const submit = (verifier: AsyncVerifier): Promise<boolean> =>
    verifier.isValidDigestSignature(publicKey, 'sha512', digest('sha512', MESSAGE), signature);

  test('who sends more work than may be under way is answered OVERLOADED, and later verified again', async () => {
    const verifier = createAsyncVerifier(50_000);
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => submit(verifier)));
    const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason);
    expect(refused.length).toBe(15); // a signature of P-521 counts as 3.2 ms
    expect(refused.every((reason) => reason instanceof HallmarkError && reason.code === 'OVERLOADED')).toBe(true);
    expect(results.filter((result) => result.status === 'fulfilled' && result.value).length).toBe(15);
    expect(await submit(verifier)).toBe(true);
  });

  test('who sends large messages is answered OVERLOADED before they fill the memory', async () => {
    const verifier = createAsyncVerifier();
    const message = new Uint8Array(MAX_PENDING_VERIFICATION_BYTES / 2);
    const made = sign(KEYS.p256, message);
    const verify = (): Promise<boolean> => verifier.isValidSignature(KEYS.p256.publicKey, 'sha256', message, made);
    const results = await Promise.allSettled([verify(), verify(), verify()]);
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code))).toEqual([
      true,
      true,
      'OVERLOADED',
    ]);
  });

  test('leaves the event loop its turn between a few of the slowest verifications', async () => {
    const verifier = createAsyncVerifier();
    let turns = 0;
    let done = false;
    const count = (): void => {
      turns++;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    await Promise.all(Array.from({ length: 40 }, () => submit(verifier)));
    done = true;
    expect(turns).toBeGreaterThanOrEqual(20);
  });
});
