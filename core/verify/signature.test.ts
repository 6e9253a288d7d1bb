import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { parseBundle } from '../bundle/bundle.ts';
import { parseBase64, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { digest, sha256 } from '../crypto/hash.ts';
import { generateKey, type PrivateKey, sign, streamSigner } from '../crypto/private-key.ts';
import { parsePublicKey } from '../crypto/public-key.ts';
import { errorOf } from '../testing.ts';
import { requiredHashes } from './artifact.ts';
import { type Case, expectRejected, keyAttested, keySigned, verify, withBundle, withOptions } from './testing-cases.ts';
import { digestOnly, NOW, publicSamples } from './testing-corpus.ts';
import { verifyBundle } from './verify.ts';

const ARTIFACT = serializeUtf8('artifact');
const OTHER = serializeUtf8('other artifact');
const IN_TOTO = 'application/vnd.in-toto+json';

const statement = (subjects: unknown, predicateType = 'https://example.com/v1'): Uint8Array =>
  serializeUtf8(
    JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', subject: subjects, predicateType, predicate: {} }),
  );
const subject = (...hashes: readonly ('sha256' | 'sha384' | 'sha512')[]): unknown => [
  { name: 'a', digest: Object.fromEntries(hashes.map((hash) => [hash, serializeHex(digest(hash, ARTIFACT))])) },
];

function streamed(key: PrivateKey, artifact: Uint8Array): Uint8Array {
  const signer = streamSigner(key);
  signer.update(artifact);
  return signer.finish().signature;
}

const ofAnother = (the: Case): Case =>
  withOptions(the, {
    artifact: {
      digests: { sha256: digest('sha256', OTHER), sha384: digest('sha384', OTHER), sha512: digest('sha512', OTHER) },
      chunks: () => [OTHER],
    },
  });

describe('signatures of every algorithm', () => {
  test.each(['p256', 'p384', 'p521', 'rsa', 'ed25519'] as const)('%s', (kind) => {
    const key = generateKey(kind, 2048);
    const [hash = 'sha256'] = requiredHashes(keySigned(key, ARTIFACT).bundle, key.publicKey);
    const byDigest = { artifact: digestOnly({ hash, digest: digest(hash, ARTIFACT) }) };
    const over = keySigned(key, ARTIFACT, streamed(key, ARTIFACT));
    expect(verify(over).artifact.hash).toBe(hash);
    expect(verify(withOptions(over, byDigest)).artifact.digest).toEqual(digest(hash, ARTIFACT));
    expectRejected('SIGNATURE_INVALID', ofAnother(over));
    expectRejected('SIGNATURE_INVALID', withOptions(over, { policy: { key: generateKey(kind, 2048).publicKey } }));
    const attested = keyAttested(key, ARTIFACT, IN_TOTO, statement(subject('sha256')));
    expect(verify(attested).statement?.predicateType).toBe('https://example.com/v1');
    expectRejected('SUBJECT_MISMATCH', ofAnother(attested));
  });

  test('pure Ed25519 needs the artifact, and the artifact that was hashed', () => {
    const key = generateKey('ed25519');
    const pure = keySigned(key, ARTIFACT, sign(key, ARTIFACT));
    expect(verify(pure).artifact.hash).toBe('sha512');
    const { digests } = pure.options.artifact;
    expectRejected('SIGNATURE_INVALID', withOptions(pure, { artifact: { digests } }));
    expectRejected(
      'SIGNATURE_INVALID',
      withOptions(pure, { artifact: { digests: { sha512: digest('sha512', OTHER) }, chunks: () => [ARTIFACT] } }),
    );
  });

  test('P-384 and P-521 with SHA-256, as old clients signed', () => {
    for (const kind of ['p384', 'p521'] as const) {
      const key = generateKey(kind);
      expect(verify(keySigned(key, ARTIFACT, sign(key, ARTIFACT, 'sha256'))).artifact.hash).toBe('sha256');
      expectRejected('SIGNATURE_INVALID', keySigned(generateKey('p256'), ARTIFACT, sign(key, ARTIFACT, 'sha256')));
    }
  });

  test('P-256 with another hash than SHA-256', () => {
    const key = generateKey('p256');
    expectRejected('SIGNATURE_INVALID', keySigned(key, ARTIFACT, sign(key, ARTIFACT, 'sha384')));
  });

  test('only a digest of another hash is known', () => {
    const key = generateKey('p384');
    const artifact = { digests: { sha512: digest('sha512', ARTIFACT) } };
    expectRejected('DIGEST_MISMATCH', withOptions(keySigned(key, ARTIFACT), { artifact }));
  });

  test('the digest in the bundle is of another artifact', () => {
    const key = generateKey('p256');
    const the = keySigned(key, ARTIFACT);
    const hinted = (bytes: Uint8Array): Case =>
      withBundle(the, {
        content: {
          kind: 'message',
          signature: sign(key, ARTIFACT),
          digest: { hash: 'sha512', digest: digest('sha512', bytes) },
        },
      });
    expect(verify(hinted(ARTIFACT)).artifact.hash).toBe('sha256');
    expectRejected('DIGEST_MISMATCH', hinted(OTHER));
  });
});

describe('attestations', () => {
  const key = generateKey('p256');

  test('payload type is not that of a statement', () => {
    expectRejected('PAYLOAD_TYPE_UNEXPECTED', keyAttested(key, ARTIFACT, 'text/plain', statement(subject('sha256'))));
  });

  test('payload is no statement', () => {
    const the = keyAttested(key, ARTIFACT, IN_TOTO, serializeUtf8('hello, world!'));
    expect(() => verify(the)).toThrow(expect.objectContaining({ code: 'JSON_INVALID' }));
  });

  test('payload swapped under a signature', () => {
    const the = keyAttested(key, ARTIFACT, IN_TOTO, statement(subject('sha256')));
    const { content } = the.bundle;
    if (content.kind !== 'dsse') throw new Error('internal: no envelope');
    const envelope = { ...content.envelope, payload: statement(subject('sha256'), 'https://example.com/v2') };
    expectRejected('SIGNATURE_INVALID', withBundle(the, { content: { kind: 'dsse', envelope } }));
    const retyped = { ...content.envelope, payloadType: 'application/vnd.in-toto' };
    expectRejected('SIGNATURE_INVALID', withBundle(the, { content: { kind: 'dsse', envelope: retyped } }));
  });

  test('several signatures, one of them good', () => {
    const the = keyAttested(key, ARTIFACT, IN_TOTO, statement(subject('sha256')));
    const { content } = the.bundle;
    if (content.kind !== 'dsse') throw new Error('internal: no envelope');
    const [good] = content.envelope.signatures;
    const bad = { sig: Uint8Array.of(1), keyid: '' };
    for (const signatures of [[bad, good ?? bad], [good ?? bad, good ?? bad], []]) {
      const envelope = { ...content.envelope, signatures };
      expectRejected('SIGNATURE_INVALID', withBundle(the, { content: { kind: 'dsse', envelope } }));
    }
  });

  test.each(['sha256', 'sha384', 'sha512'] as const)('subject by %s', (hash) => {
    expect(verify(keyAttested(key, ARTIFACT, IN_TOTO, statement(subject(hash)))).artifact).toEqual({
      hash,
      digest: digest(hash, ARTIFACT),
    });
  });

  test('subject whose digests are of two artifacts', () => {
    const mixed = [
      { digest: { sha256: serializeHex(sha256(ARTIFACT)), sha512: serializeHex(digest('sha512', OTHER)) } },
    ];
    expectRejected('SUBJECT_MISMATCH', keyAttested(key, ARTIFACT, IN_TOTO, statement(mixed)));
  });

  test('subject with weak or unknown digests alone, or in another spelling', () => {
    const hex = serializeHex(sha256(ARTIFACT));
    for (const digests of [{ sha1: hex }, { gitCommit: hex }, { sha256: hex.toUpperCase() }, { sha256: '' }]) {
      expectRejected('SUBJECT_MISMATCH', keyAttested(key, ARTIFACT, IN_TOTO, statement([{ digest: digests }])));
    }
  });

  test('the hint for another predicate type repeats only what is one plain word of a command', () => {
    const hintFor = (type: string): string | undefined => {
      const the = keyAttested(key, ARTIFACT, IN_TOTO, statement(subject('sha256'), type));
      return errorOf(() => verify(withOptions(the, { predicateType: 'https://spdx.dev/Document' }))).hint;
    };
    expect(hintFor('https://slsa.dev/provenance/v1')).toBe('--type https://slsa.dev/provenance/v1');
    for (const hostile of ['a\u001b[31m', 'a\nhint: b', 'a; b', '$(a)'])
      expect(hintFor(hostile)).not.toContain('--type');
  });

  test('one of several subjects is enough', () => {
    const others = [{ name: 'b', digest: { sha256: serializeHex(sha256(OTHER)) } }];
    const subjects = [...others, ...(subject('sha256') as unknown[])];
    expect(verify(keyAttested(key, ARTIFACT, IN_TOTO, statement(subjects))).artifact.hash).toBe('sha256');
  });
});

describe('a key that was in use for a time', () => {
  const key = generateKey('p256');
  const during = (start: string | undefined, end: string | undefined): Case =>
    withOptions(keySigned(key, ARTIFACT), {
      policy: {
        key: key.publicKey,
        validFor: {
          start: start === undefined ? undefined : new Date(start),
          end: end === undefined ? undefined : new Date(end),
        },
      },
    });

  test('without a time of signing the present one counts, which is the latest possible', () => {
    expect(verify(during('2020-01-01T00:00:00Z', undefined)).signer.kind).toBe('key');
    expectRejected('KEY_EXPIRED', during(undefined, '2025-01-01T00:00:00Z'));
    expectRejected('KEY_EXPIRED', during('2030-01-01T00:00:00Z', undefined));
  });

  const npm = publicSamples().filter(({ name }) => name.startsWith('npm/') && name.endsWith(' 1'));
  test.if(npm.length > 0)('publish attestations of npm, by the key of the registry', () => {
    const text = readFileSync(sharedPath('trust/npm-registry-keys.json') as string, 'utf8');
    const { keys } = JSON.parse(text) as {
      keys: {
        keyId: string;
        keyUsage: string;
        publicKey: { rawBytes: string; validFor: { start: string; end?: string } };
      }[];
    };
    for (const sample of npm) {
      const bundle = parseBundle(sample.bundle());
      const hint = bundle.material.kind === 'publicKey' ? bundle.material.hint : '';
      const row = keys.find(({ keyId, keyUsage }) => keyId === hint && keyUsage === 'npm:attestations');
      if (row === undefined) throw new Error('internal: no such registry key');
      const { validFor } = row.publicKey;
      const verifyUntil = (end: string | undefined): unknown =>
        verifyBundle(bundle, {
          trustedRoot: sample.trustedRoot(),
          policy: {
            key: parsePublicKey(parseBase64(row.publicKey.rawBytes)),
            validFor: { start: new Date(validFor.start), end: end === undefined ? undefined : new Date(end) },
          },
          artifact: digestOnly(sample.digest),
          now: NOW,
        });
      expect(verifyUntil(validFor.end)).toMatchObject({ signer: { kind: 'key' }, logEntries: [{ kind: 'intoto' }] });
      expect(() => verifyUntil('2023-01-01T00:00:00Z')).toThrow(expect.objectContaining({ code: 'KEY_EXPIRED' }));
    }
  });
});
