import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { parseHex } from '../bytes/bytes.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { HallmarkError } from '../errors.ts';
import { createAsyncVerifier } from './async-verifier.ts';
import { ed25519Verifier } from './ed25519.ts';
import { digest, type HashName } from './hash.ts';
import { type PublicKey, parsePublicKey } from './public-key.ts';
import { isValidDigestSignature, isValidSignature } from './verify.ts';

interface Group {
  readonly publicKeyDer: string;
  readonly sha?: string;
  readonly tests: readonly { tcId: number; msg: string; sig: string; result: 'valid' | 'invalid' | 'acceptable' }[];
}

/** What each file of vectors must come to. `refusedKeys` are tests under keys that `parsePublicKey` refuses, by error code. */
interface Outcome {
  valid: number;
  invalid: number;
  acceptable: { accepted: number; rejected: number };
  refusedKeys: Record<string, number>;
}

// The acceptable vector of each RSA file is a DigestInfo without NULL (RFC 8017 §9.2 wants it); the refused keys have e = 3.
const FILES: Record<string, Outcome> = {
  'ecdsa_secp256r1_sha256_test.json': outcome(174, 310),
  'ecdsa_secp384r1_sha384_test.json': outcome(194, 310),
  'ecdsa_secp521r1_sha512_test.json': outcome(232, 310),
  'ed25519_test.json': outcome(88, 63),
  'rsa_signature_2048_sha256_test.json': outcome(7, 249, { rejected: 1 }, { KEY_UNSUPPORTED: 2 }),
  'rsa_signature_3072_sha256_test.json': outcome(7, 250, { rejected: 1 }, { KEY_UNSUPPORTED: 1 }),
  'rsa_signature_4096_sha256_test.json': outcome(7, 250, { rejected: 1 }),
};

function outcome(
  valid: number,
  invalid: number,
  acceptable: { accepted?: number; rejected?: number } = {},
  refusedKeys: Record<string, number> = {},
): Outcome {
  return { valid, invalid, acceptable: { accepted: 0, rejected: 0, ...acceptable }, refusedKeys };
}

describe('Wycheproof', () => {
  for (const [file, expected] of Object.entries(FILES)) {
    const path = sharedPath(`corpus/wycheproof/${file}`);
    test.skipIf(path === undefined)(
      file,
      async () => {
        const { testGroups } = JSON.parse(readFileSync(path as string, 'utf8')) as { testGroups: Group[] };
        expect(await run(testGroups)).toEqual(expected);
        // Bounded by the work in the file: a loaded machine takes its time.
      },
      120_000,
    );
  }
});

async function run(groups: readonly Group[]): Promise<Outcome> {
  const seen = outcome(0, 0);
  const verifier = createAsyncVerifier();
  for (const group of groups) {
    const key = parseOrCode(parseHex(group.publicKeyDer));
    if (typeof key === 'string') {
      seen.refusedKeys[key] = (seen.refusedKeys[key] ?? 0) + group.tests.length;
      continue;
    }
    const hash = (group.sha ?? 'SHA-512').toLowerCase().replace('-', '') as HashName;
    for (const { tcId, msg, sig, result } of group.tests) {
      const [message, signature] = [parseHex(msg), parseHex(sig)];
      const accepted = isValidSignature(key, hash, message, signature);
      if (result === 'acceptable') seen.acceptable[accepted ? 'accepted' : 'rejected']++;
      else if (accepted !== (result === 'valid')) throw new Error(`test ${tcId}: ${result}, accepted: ${accepted}`);
      else seen[result]++;
      // Pure Ed25519 signs no digest; every other signature must be judged alike from the digest.
      const fromDigest = isValidDigestSignature(key, hash, digest(hash, message), signature);
      const asynchronous = await Promise.all([
        verifier.isValidSignature(key, hash, message, signature),
        verifier.isValidDigestSignature(key, hash, digest(hash, message), signature),
      ]);
      if (asynchronous[0] !== accepted || asynchronous[1] !== fromDigest) {
        throw new Error(`test ${tcId}: asynchronously ${asynchronous}`);
      }
      if (key.kind === 'ed25519') {
        const pieces = ed25519Verifier(key, signature);
        for (let at = 0; at < message.length; at += 7) pieces.update(message.subarray(at, at + 7));
        if (pieces.isValid() !== accepted) throw new Error(`test ${tcId}: in pieces: ${!accepted}`);
      }
      if (fromDigest !== (key.kind !== 'ed25519' && accepted)) throw new Error(`test ${tcId}: digest: ${fromDigest}`);
    }
  }
  return seen;
}

function parseOrCode(spki: Uint8Array): PublicKey | string {
  try {
    return parsePublicKey(spki);
  } catch (error) {
    if (error instanceof HallmarkError) return error.code;
    throw error;
  }
}
