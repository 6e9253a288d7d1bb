// One reason for each: what is sent is right but for what the test names, so no other check refuses it.
import { describe, expect, test } from 'bun:test';
import { serializeBase64, serializeUtf8 } from '../core/bytes/bytes.ts';
import { createAsyncVerifier } from '../core/crypto/async-verifier.ts';
import { digest as digestOf } from '../core/crypto/hash.ts';
import { generateKey, type PrivateKey, sign } from '../core/crypto/private-key.ts';
import { issue, issueAuthority, leafExtensions } from '../core/x509/testing.ts';
import { requireProposalV2 } from './proposal-v2.ts';
import { hashedRekordV2, signedDigest } from './testing.ts';

const P256 = generateKey('p256');
const P384 = generateKey('p384');
const verifier = createAsyncVerifier();

/** Why a request is refused. */
const refusalOf = (request: Parameters<typeof requireProposalV2>[0]): Promise<string> =>
  requireProposalV2(request, verifier).then(
    () => 'accepted',
    (error: Error) => error.message,
  );

describe('the key of a request', () => {
  test('of P-256 that is said to be of P-384, its signature over SHA-384, is of another kind', async () => {
    const digest = digestOf('sha384', serializeUtf8('x'));
    expect(
      await refusalOf(
        hashedRekordV2('x', P256, {
          digest: serializeBase64(digest),
          signature: serializeBase64(signOver(P256, 'sha384')),
          keyDetails: 'PKIX_ECDSA_P384_SHA_384',
        }),
      ),
    ).toContain('the key is of another kind');
  });

  test('of P-384 with SHA-256, which it signed with, is not accepted', async () => {
    expect(
      await refusalOf(
        hashedRekordV2('x', P384, {
          digest: serializeBase64(digestOf('sha256', serializeUtf8('x'))),
          signature: serializeBase64(signOver(P384, 'sha256')),
          keyDetails: 'PKIX_ECDSA_P384_SHA_256',
        }),
      ),
    ).toContain('this algorithm is not accepted');
  });
});

test('an RSA key of 2048 bits that is said to have 3072 is of another kind', async () => {
  const rsa = generateKey('rsa', 2048);
  const request = hashedRekordV2('x', rsa, { keyDetails: 'PKIX_RSA_PKCS1V15_3072_SHA256' });
  expect(await refusalOf(request)).toContain('the key is of another kind');
});

describe('the digest of a request', () => {
  test.each([31, 33])('of %d bytes for SHA-256 is refused for its length', async (length) => {
    expect(await refusalOf(hashedRekordV2('x', P256, { digest: serializeBase64(new Uint8Array(length)) }))).toContain(
      'takes 32 bytes',
    );
  });

  test.each([31, 33])('of %d bytes is false, the verifier asked alone', async (length) => {
    const { digest, signature } = signedDigest('x', P256);
    const other = new Uint8Array(length);
    other.set(digest.subarray(0, length));
    expect(await verifier.isValidDigestSignature(P256.publicKey, 'sha256', other, signature)).toBe(false);
  });
});

test('an entry that no bundle can hold is refused, whose certificate is large', async () => {
  const ca = issueAuthority('ca');
  const large = { oid: '1.2.3.4.5', critical: false, value: new Uint8Array(50_000) };
  const signer = issue({
    name: 'signer',
    issuer: ca,
    extensions: [...leafExtensions(ca, 'codeSigning'), large],
  });
  const { digest, signature } = signedDigest('x', signer.key);
  const request = {
    hashedRekordRequestV002: {
      digest: serializeBase64(digest),
      signature: {
        content: serializeBase64(signature),
        verifier: {
          x509Certificate: { rawBytes: serializeBase64(signer.certificate.der) },
          keyDetails: 'PKIX_ECDSA_P256_SHA_256',
        },
      },
    },
  };
  expect(await refusalOf(request)).toContain('at most 65535 can be logged');
});

function signOver(key: PrivateKey, hash: 'sha256' | 'sha384'): Uint8Array {
  return sign(key, serializeUtf8('x'), hash);
}
