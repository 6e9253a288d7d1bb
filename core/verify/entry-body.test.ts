import { describe, expect, test } from 'bun:test';
import { equal, serializeBase64, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { canonicalizeJson, type Json } from '../bytes/json.ts';
import { digest, sha256 } from '../crypto/hash.ts';
import { generateKey, sign } from '../crypto/private-key.ts';
import { serializePublicKeyPem } from '../crypto/public-key.ts';
import { preAuthEncoding } from '../dsse/envelope.ts';
import { type Case, expectRejected, keyAttested, keySigned, verify, withBundle, withRoot } from './testing-cases.ts';
import { ownEntry, ownLog } from './testing-own-log.ts';

const KEY = generateKey('p256');
const LOG = generateKey('p256');
const ARTIFACT = serializeUtf8('artifact');
const TYPE = 'application/vnd.in-toto+json';
const PAYLOAD = serializeUtf8(
  JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'a', digest: { sha256: serializeHex(sha256(ARTIFACT)) } }],
    predicateType: 'https://example.com/v1',
    predicate: {},
  }),
);

const attested = keyAttested(KEY, ARTIFACT, TYPE, PAYLOAD);
const signed = keySigned(KEY, ARTIFACT);

/** What a body says; each part can be wrong. */
interface Parts {
  readonly signature: Uint8Array;
  readonly spki: Uint8Array;
  readonly payload: Uint8Array;
  readonly payloadType: string;
  readonly keyDetails: string;
}

const attestedSignature = (): Uint8Array => {
  const { content } = attested.bundle;
  return (content.kind === 'dsse' ? content.envelope.signatures[0]?.sig : undefined) ?? new Uint8Array();
};
const signedSignature = (): Uint8Array =>
  signed.bundle.content.kind === 'message' ? signed.bundle.content.signature : new Uint8Array();

const RIGHT: Parts = {
  signature: attestedSignature(),
  spki: KEY.publicKey.spki,
  payload: PAYLOAD,
  payloadType: TYPE,
  keyDetails: 'PKIX_ECDSA_P256_SHA_256',
};

const OTHER = generateKey('p256');
const WRONG: Partial<Parts>[] = [
  { signature: sign(KEY, preAuthEncoding(TYPE, PAYLOAD)) },
  { spki: OTHER.publicKey.spki },
  { payload: serializeUtf8('{}') },
];

const hex = (bytes: Uint8Array): Json => ({ algorithm: 'sha256', value: serializeHex(sha256(bytes)) });
const hashOutput = (bytes: Uint8Array): Json => ({ algorithm: 'SHA2_256', digest: serializeBase64(sha256(bytes)) });
const text = (value: string): string => serializeBase64(serializeUtf8(value));
const pem = ({ spki }: Parts): string =>
  text(serializePublicKeyPem(equal(spki, KEY.publicKey.spki) ? KEY.publicKey : OTHER.publicKey));
const verifier = ({ spki, keyDetails }: Parts): Json => ({
  keyDetails,
  publicKey: { rawBytes: serializeBase64(spki) },
});
const envelopeText = ({ payload, payloadType, signature }: Parts): string =>
  JSON.stringify({
    payloadType,
    payload: serializeBase64(payload),
    signatures: [{ keyid: '', sig: serializeBase64(signature) }],
  });

const body = (kind: string, apiVersion: string, spec: Json): Uint8Array =>
  serializeUtf8(canonicalizeJson({ apiVersion, kind, spec }));

/** The bodies in which an attestation can be logged. */
const BODIES: Record<string, (parts: Parts) => Uint8Array> = {
  'dsse 0.0.1': (parts) =>
    body('dsse', '0.0.1', {
      envelopeHash: hex(serializeUtf8(envelopeText(parts))),
      payloadHash: hex(parts.payload),
      signatures: [{ signature: serializeBase64(parts.signature), verifier: pem(parts) }],
    }),
  'intoto 0.0.1': (parts) =>
    body('intoto', '0.0.1', {
      content: { hash: hex(serializeUtf8(envelopeText(parts))), payloadHash: hex(parts.payload) },
      publicKey: pem(parts),
    }),
  'intoto 0.0.2': (parts) =>
    body('intoto', '0.0.2', {
      content: {
        envelope: {
          payloadType: parts.payloadType,
          signatures: [{ publicKey: pem(parts), sig: text(serializeBase64(parts.signature)) }],
        },
        hash: hex(serializeUtf8(envelopeText(parts))),
        payloadHash: hex(parts.payload),
      },
    }),
  'hashedrekord 0.0.2': (parts) =>
    body('hashedrekord', '0.0.2', {
      hashedRekordV002: {
        data: hashOutput(preAuthEncoding(parts.payloadType, parts.payload)),
        signature: { content: serializeBase64(parts.signature), verifier: verifier(parts) },
      },
    }),
  'dsse 0.0.2': (parts) =>
    body('dsse', '0.0.2', {
      dsseV002: {
        payloadHash: hashOutput(parts.payload),
        signatures: [{ content: serializeBase64(parts.signature), verifier: verifier(parts) }],
      },
    }),
};

const logged = (the: Case, ...bodies: readonly Uint8Array[]): Case =>
  withRoot(withBundle(the, { tlogEntries: bodies.map((each) => ownEntry(LOG, each)) }), { tlogs: [ownLog(LOG)] });

describe('an attestation and its log entry', () => {
  describe.each(Object.entries(BODIES))('%s', (name, make) => {
    test('that is right', () => {
      const [entry] = verify(logged(attested, make(RIGHT))).logEntries;
      expect(`${entry?.kind} ${entry?.version}`).toBe(name);
    });

    const wrong: Partial<Parts>[] = [
      ...WRONG,
      ...(name.startsWith('intoto 0.0.2') || name.startsWith('hashedrekord') ? [{ payloadType: 'text/plain' }] : []),
      ...(name.endsWith('0.0.2') && !name.startsWith('intoto') ? [{ keyDetails: 'PKIX_ECDSA_P384_SHA_384' }] : []),
    ];
    test.each(wrong.map((change) => [Object.keys(change).join(), change] as const))('with another %s', (_, change) => {
      expectRejected('LOG_ENTRY_MISMATCH', logged(attested, make({ ...RIGHT, ...change })));
    });

    test('for a plain signature', () => {
      // As digests both are alike, so that it is the digest that tells them apart.
      const code = name.startsWith('hashedrekord') ? 'DIGEST_MISMATCH' : 'LOG_ENTRY_MISMATCH';
      expectRejected(code, logged(signed, make({ ...RIGHT, signature: signedSignature() })));
    });
  });

  test('hashedrekord 0.0.1, which no log has for an attestation', () => {
    const spec = {
      data: { hash: hex(preAuthEncoding(TYPE, PAYLOAD)) },
      signature: { content: serializeBase64(attestedSignature()), publicKey: { content: pem(RIGHT) } },
    };
    expectRejected('LOG_ENTRY_MISMATCH', logged(attested, body('hashedrekord', '0.0.1', spec)));
  });

  test('intoto 0.0.1 over an envelope with two signatures', () => {
    const twice = JSON.stringify({
      payloadType: TYPE,
      payload: serializeBase64(PAYLOAD),
      signatures: [attestedSignature(), attestedSignature()].map((sig) => ({ keyid: '', sig: serializeBase64(sig) })),
    });
    const spec = { content: { hash: hex(serializeUtf8(twice)), payloadHash: hex(PAYLOAD) }, publicKey: pem(RIGHT) };
    expectRejected('LOG_ENTRY_MISMATCH', logged(attested, body('intoto', '0.0.1', spec)));
  });

  test('an entry with the right signature among others', () => {
    const signatures = [attestedSignature(), sign(OTHER, PAYLOAD)]
      .map((signature) => ({ signature: serializeBase64(signature), verifier: pem(RIGHT) }))
      .sort((a, b) => (a.signature < b.signature ? -1 : 1));
    const spec = { envelopeHash: hex(PAYLOAD), payloadHash: hex(PAYLOAD), signatures };
    expectRejected('LOG_ENTRY_MISMATCH', logged(attested, body('dsse', '0.0.1', spec)));
  });

  test('a digest of the artifact by an algorithm that was not given', () => {
    const spec = {
      data: { hash: { algorithm: 'sha512', value: serializeHex(digest('sha512', ARTIFACT)) } },
      signature: { content: serializeBase64(signedSignature()), publicKey: { content: pem(RIGHT) } },
    };
    const the = logged(signed, body('hashedrekord', '0.0.1', spec));
    expect(verify(the).logEntries).toHaveLength(1);
    const { bundle, options } = the;
    const artifact = { digests: { sha256: sha256(ARTIFACT) } };
    expectRejected('DIGEST_MISMATCH', { bundle, options: { ...options, artifact } });
  });
});

describe('the key in an entry, in another spelling of its PEM', () => {
  const standard = serializePublicKeyPem(KEY.publicKey);
  const withKey = (text64: string): Case => {
    const spec = {
      data: { hash: hex(ARTIFACT) },
      signature: { content: serializeBase64(signedSignature()), publicKey: { content: text64 } },
    };
    return logged(signed, body('hashedrekord', '0.0.1', spec));
  };

  test('that is right: without the last line end', () => {
    expect(verify(withKey(text(standard.trimEnd()))).logEntries).toHaveLength(1);
  });

  const other = serializePublicKeyPem(OTHER.publicKey);
  test.each([
    ['another key', other.trimEnd()],
    ['the key as a certificate', standard.trimEnd().replaceAll('PUBLIC KEY', 'CERTIFICATE')],
    ['the key and another', `${standard}${other}`],
    ['another key and the key', `${other}${standard}`],
    ['the key twice', `${standard}${standard}`],
  ])('%s', (_, pemText) => {
    expect(() => verify(withKey(text(standard)))).not.toThrow();
    expectRejected('LOG_ENTRY_MISMATCH', withKey(text(pemText)));
  });
});
