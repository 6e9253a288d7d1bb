import { expect, test } from 'bun:test';
import { type AsyncVerifier, createAsyncVerifier } from '../core/crypto/async-verifier.ts';
import { generateKey, type PrivateKey } from '../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { MAX_LOGGED_SIGNATURES } from '../core/limits.ts';
import { createBodyReader } from './body-reader.ts';
import { boundRequest, requireEnvelopeSignatures } from './envelope-signatures.ts';
import { refusalOf } from './request-bodies.ts';
import { envelopeOf } from './testing.ts';

const keysOf = (kind: 'p256' | 'p521', count: number): PrivateKey[] =>
  Array.from({ length: count }, () => generateKey(kind));

const verifiersOf = (keys: readonly PrivateKey[]) =>
  keys.map(({ publicKey }) => ({ publicKey, certificate: undefined, pem: serializePublicKeyPem(publicKey) }));

const signedBy = (keys: readonly PrivateKey[]) => {
  const { payloadType, payload, signatures } = envelopeOf('statement', keys);
  return {
    payloadType,
    payload: Buffer.from(payload, 'base64'),
    signatures: signatures.map(({ sig }) => ({ sig: Buffer.from(sig, 'base64'), keyid: '' })),
  };
};

const requirePairs = (keys: readonly PrivateKey[], verifier: AsyncVerifier) =>
  requireEnvelopeSignatures(signedBy(keys), verifiersOf(keys), verifier);

/** A verifier, and how many checks it was asked for. */
function counting() {
  const verifier = createAsyncVerifier();
  const counted = { checks: 0, verifier: boundRequest(verifier) };
  const inner: AsyncVerifier = {
    ...verifier,
    together: (cost, work) =>
      verifier.together(cost, (checks) =>
        work({
          isValidSignature: (...asked) => {
            counted.checks++;
            return checks.isValidSignature(...asked);
          },
          isValidDigestSignature: (...asked) => checks.isValidDigestSignature(...asked),
        }),
      ),
  };
  counted.verifier = boundRequest(inner);
  return counted;
}

test('signatures and keys whose pairs cost too much are refused before one is verified', async () => {
  const counted = counting();
  const keys = keysOf('p521', MAX_LOGGED_SIGNATURES);
  await expect(requirePairs(keys, counted.verifier)).rejects.toMatchObject({
    code: 'ENTRY_INVALID',
    message: expect.stringContaining('too many pairs of signature and key'),
  });
  expect(counted.checks).toBe(0);
});

test('ten signatures by ten keys of P-256 in the same order cost ten checks', async () => {
  const counted = counting();
  expect(await requirePairs(keysOf('p256', MAX_LOGGED_SIGNATURES), counted.verifier)).toHaveLength(10);
  expect(counted.checks).toBe(10);
});

test('several envelopes of one request count together', async () => {
  const keys = keysOf('p521', 2);
  const one = boundRequest(createAsyncVerifier());
  await requirePairs(keys, one);
  await expect(requirePairs(keys, one)).rejects.toMatchObject({ code: 'ENTRY_INVALID' });
});

test('the worst case of a request counts from its beginning', async () => {
  const verifier = createAsyncVerifier(30_000);
  const keys = keysOf('p521', 2);
  const results = await Promise.allSettled([requirePairs(keys, verifier), requirePairs(keys, verifier)]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  expect(results[1]).toMatchObject({ reason: { code: 'OVERLOADED' } });
});

test('large requests that would wait for longer than some seconds are refused', async () => {
  let now = 0;
  const waiting: PromiseWithResolvers<unknown>[] = [];
  const thread = {
    run: () => {
      const call = Promise.withResolvers<unknown>();
      waiting.push(call);
      return call.promise as never;
    },
    close: async () => {},
  };
  const reader = createBodyReader(createAsyncVerifier(), thread, () => now);
  const read = () => reader.read('proposal', new Uint8Array(70_000)).catch((error: unknown) => error);
  const first = read();
  now += 30_000;
  waiting[0]?.resolve({ refusal: { status: 400, message: 'x' } });
  expect(await first).toEqual(refusalOf({ status: 400, message: 'x' }));
  // One took 30 s: of what comes now two wait, as one in ten counts.
  void read();
  void read();
  expect(await read()).toMatchObject({ code: 'OVERLOADED' });
});
