// The ways in which verifiers have been fooled before, each by name. Every test first shows that the same thing done right
// is accepted, so that the rejection is of the flaw and of nothing else.
import { describe, expect, test } from 'bun:test';
import { type Bundle, parseBundle, serializeBundle, type TransparencyLogEntry } from '../bundle/bundle.ts';
import { serializeHashedRekordV001, serializeHashedRekordV002 } from '../bundle/entry.ts';
import { serializeHex } from '../bytes/bytes.ts';
import { keyDetailsFor } from '../crypto/algorithms.ts';
import { digest, sha256 } from '../crypto/hash.ts';
import { generateKey, type PrivateKey } from '../crypto/private-key.ts';
import { serializePublicKeyPem } from '../crypto/public-key.ts';
import { MAX_BUNDLE_MEMBERS, MAX_TIMESTAMPS, MAX_TLOG_ENTRIES } from '../limits.ts';
import { signArtifact } from '../sign/sign.ts';
import { keySigner } from '../sign/signer.ts';
import { fakeSigstore } from '../sign/testing.ts';
import { serializeTimestampResponse } from '../timestamp/issue.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { issue, issueAuthority, leafExtensions, NOON } from '../x509/testing.ts';
import { requireIdentity } from './identity.ts';
import { parsePattern } from './pattern.ts';
import {
  type Case,
  caseOf,
  expectRejected,
  keyAttested,
  keySigned,
  SAMPLES,
  verify,
  withBundle,
  withEntry,
  withOptions,
  withRoot,
} from './testing-cases.ts';
import { exactly, wholeArtifact } from './testing-corpus.ts';
import { ownEntry, ownLog } from './testing-own-log.ts';

const bytes = new TextEncoder();
const ARTIFACT = bytes.encode('artifact');

/** A timestamp authority, and its timestamps over what a test wants. */
function ownAuthority(name: string): {
  trusted: TrustedRoot['timestampAuthorities'][number];
  stamp: (signed: Uint8Array, serialNumber: number) => Uint8Array;
} {
  const root = issueAuthority(`${name} root`);
  const leaf = issue({ name, issuer: root, extensions: leafExtensions(root, 'timeStamping') });
  const chain = [leaf.certificate, root.certificate];
  return {
    trusted: { subject: {}, uri: `https://${name}.example.com`, chain, validFor: { start: undefined, end: undefined } },
    stamp: (signed, serialNumber) =>
      serializeTimestampResponse({
        request: {
          imprint: { hash: 'sha256', digest: sha256(signed) },
          policy: undefined,
          nonce: undefined,
          certificateRequested: false,
        },
        serialNumber: Uint8Array.of(serialNumber),
        time: NOON,
        policy: '1.3.6.1.4.1.57264.2',
        accuracySeconds: 1,
        chain,
        key: leaf.key,
      }),
  };
}

/** The Rekor v2 message sample with its entry in a log of our own; `body` may differ from the one that is right. */
function inOwnLog(name: string, key: PrivateKey, entries: readonly TransparencyLogEntry[]): Case {
  return withRoot(withBundle(caseOf(name), { tlogEntries: entries }), { tlogs: [ownLog(key)] });
}

const bodyOf = (name: string): Uint8Array => caseOf(name).bundle.tlogEntries[0]?.canonicalizedBody ?? new Uint8Array();

describe.if(SAMPLES.length > 0)('the log entry', () => {
  const key = generateKey('p256');

  test('entry of another artifact (GHSA-ccxc-vr6p-4858 CVE-2022-23649, GHSA-whqx-f9j3-ch6m CVE-2026-22703)', () => {
    const the = caseOf('happy-path-v0.3');
    expect(verify(the).logEntries).toHaveLength(1);
    expectRejected('LOG_ENTRY_MISMATCH', caseOf('wrong-hashedrekord-entry_fail'));
  });

  test.each(['signature', 'digest', 'key'] as const)('entry with another %s', (part) => {
    const signer = generateKey('p256');
    const body = (changed: string): Uint8Array =>
      serializeHashedRekordV001({
        hash: 'sha256',
        digest: sha256(changed === 'digest' ? bytes.encode('another') : ARTIFACT),
        signature:
          changed === 'signature'
            ? Uint8Array.of(1)
            : bundle.content.kind === 'message'
              ? bundle.content.signature
              : ARTIFACT,
        publicKeyPem: serializePublicKeyPem(changed === 'key' ? generateKey('p256').publicKey : signer.publicKey),
      });
    const { bundle, options } = keySigned(signer, ARTIFACT);
    const logged = (changed: string): Case =>
      withRoot(withBundle({ bundle, options }, { tlogEntries: [ownEntry(key, body(changed))] }), {
        tlogs: [ownLog(key)],
      });
    expect(verify(logged('nothing')).logEntries).toHaveLength(1);
    expectRejected(part === 'digest' ? 'DIGEST_MISMATCH' : 'LOG_ENTRY_MISMATCH', logged(part));
  });

  test('entry of a bundle of version 0.1 without the promise that this version asks for', () => {
    const signer = generateKey('p256');
    const { bundle, options } = keySigned(signer, ARTIFACT);
    const body = serializeHashedRekordV001({
      hash: 'sha256',
      digest: sha256(ARTIFACT),
      signature: bundle.content.kind === 'message' ? bundle.content.signature : ARTIFACT,
      publicKeyPem: serializePublicKeyPem(signer.publicKey),
    });
    const of = (version: Bundle['version'], time?: bigint): Case =>
      withRoot(
        withBundle(
          { bundle, options },
          { version, tlogEntries: [ownEntry(key, body, time === undefined ? {} : { time })] },
        ),
        { tlogs: [ownLog(key)] },
      );
    expect(verify(of('0.1', 1_700_000_000n)).logEntries).toHaveLength(1);
    expect(verify(of('0.2')).logEntries).toHaveLength(1);
    expectRejected('LOG_ENTRY_MISSING', of('0.1'));
  });

  test('dialect confusion: a v2 entry of another artifact under a v1-style checkpoint', () => {
    const own = bodyOf('rekor2-happy-path');
    expect(verify(inOwnLog('rekor2-happy-path', key, [ownEntry(key, own)])).logEntries).toHaveLength(1);
    expectRejected('LOG_DIALECT_MISMATCH', inOwnLog('rekor2-happy-path', key, [ownEntry(key, own, { style: 1 })]));
    const others = bodyOf('rekor2-timestamp-with-embedded-cert');
    expectRejected('LOG_DIALECT_MISMATCH', inOwnLog('rekor2-happy-path', key, [ownEntry(key, others, { style: 1 })]));
    expectRejected('LOG_ENTRY_MISMATCH', inOwnLog('rekor2-happy-path', key, [ownEntry(key, others)]));
  });

  test('dialect confusion: a v1 entry under a v2-style checkpoint', () => {
    const own = bodyOf('managed-key-happy-path');
    expect(verify(inOwnLog('managed-key-happy-path', key, [ownEntry(key, own)])).logEntries).toHaveLength(1);
    expectRejected('LOG_DIALECT_MISMATCH', inOwnLog('managed-key-happy-path', key, [ownEntry(key, own, { style: 2 })]));
  });

  test('a v2 entry with an inclusion promise', () => {
    const own = bodyOf('rekor2-happy-path');
    const time = BigInt(Date.parse('2025-06-12T12:02:20Z') / 1000);
    expectRejected('LOG_DIALECT_MISMATCH', inOwnLog('rekor2-happy-path', key, [ownEntry(key, own, { time })]));
  });

  test('kind and version of the entry differ from its body', () => {
    const kindVersion = { kind: 'dsse', version: '0.0.1' };
    expectRejected('LOG_ENTRY_MISMATCH', withEntry(caseOf('happy-path-v0.3'), { kindVersion }));
  });

  test('threshold met twice by one log (GHSA-9vcr-p3rj-q5q6 CVE-2026-49834)', () => {
    // Two honest entries about one signature: as v2 has it, and as v1 does.
    const signer = generateKey('p256');
    const { bundle, options } = keySigned(signer, ARTIFACT);
    if (bundle.content.kind !== 'message') throw new Error('internal: not a message');
    const { signature } = bundle.content;
    const common = { hash: 'sha256', digest: sha256(ARTIFACT), signature } as const;
    const v1 = serializeHashedRekordV001({ ...common, publicKeyPem: serializePublicKeyPem(signer.publicKey) });
    const verifier = { publicKey: signer.publicKey.spki };
    const keyDetails = keyDetailsFor(signer.publicKey, 'digest');
    const v2 = serializeHashedRekordV002({ ...common, verifier, keyDetails });
    const second = generateKey('p256');
    const logged = (logs: readonly PrivateKey[]): Case => {
      const tlogEntries = [v1, v2].map((body, i) =>
        ownEntry(logs[i] as PrivateKey, body, { index: i === 0 ? 0n : 1n }),
      );
      const the = withRoot(withBundle({ bundle, options }, { tlogEntries }), { tlogs: logs.map(ownLog) });
      return withOptions(the, { thresholds: { logs: 2 } });
    };
    expect(verify(logged([key, second])).logEntries).toHaveLength(2);
    expectRejected('LOG_ENTRY_MISSING', logged([key, key]));
  });

  test('the same entry twice', () => {
    const the = caseOf('happy-path-v0.3');
    const { tlogEntries } = the.bundle;
    expectRejected('LOG_ENTRY_DUPLICATE', withBundle(the, { tlogEntries: [...tlogEntries, ...tlogEntries] }));
  });

  test('the same entry twice, once under another index', () => {
    const own = bodyOf('rekor2-happy-path');
    const twice = [ownEntry(key, own, { index: 0n }), ownEntry(key, own, { index: 1n })];
    expectRejected('LOG_ENTRY_DUPLICATE', inOwnLog('rekor2-happy-path', key, twice));
  });

  test('no log entry, where the trusted root knows logs', () => {
    const the = caseOf('rekor2-happy-path');
    expectRejected('LOG_ENTRY_MISSING', withBundle(the, { tlogEntries: [] }));
    // An instance without logs.
    expect(verify(withRoot(withBundle(the, { tlogEntries: [] }), { tlogs: [] })).logEntries).toEqual([]);
  });

  test('key from somewhere else than the trusted root: an entry of an unknown log (GHSA-xvrc-2wvh-49vc CVE-2023-47122)', () => {
    expectRejected('LOG_UNKNOWN', withRoot(caseOf('happy-path-v0.3'), { tlogs: [ownLog(key)] }));
  });

  test('log key not in use at the time of signing (GHSA-wqqc-jjcq-vfxm CVE-2026-54787)', () => {
    for (const name of ['happy-path-v0.3', 'rekor2-happy-path']) {
      const the = caseOf(name);
      const { tlogs } = the.options.trustedRoot;
      const early = { start: undefined, end: new Date('2022-01-01T00:00:00Z') };
      const late = { start: new Date('2030-01-01T00:00:00Z'), end: undefined };
      for (const validFor of [early, late]) {
        expectRejected('KEY_EXPIRED', withRoot(the, { tlogs: tlogs.map((log) => ({ ...log, validFor })) }));
      }
    }
  });

  test('checkpoint signed by another log that is trusted too', () => {
    const own = bodyOf('rekor2-happy-path');
    const second = generateKey('p256');
    const entry = ownEntry(key, own);
    const swapped = { ...entry, logId: ownLog(second).logId };
    const the = inOwnLog('rekor2-happy-path', key, [swapped]);
    expectRejected('CHECKPOINT_SIGNATURE_INVALID', withRoot(the, { tlogs: [ownLog(key), ownLog(second)] }));
  });

  test('v2 checkpoint in the name of another host', () => {
    const own = bodyOf('rekor2-happy-path');
    const the = inOwnLog('rekor2-happy-path', key, [ownEntry(key, own)]);
    const tlogs = [{ ...ownLog(key), baseUrl: 'https://other.example.com' }];
    expectRejected('CHECKPOINT_SIGNATURE_INVALID', withRoot(the, { tlogs }));
  });
});

describe.if(SAMPLES.length > 0)('times', () => {
  test('integrated time that no promise covers', () => {
    const the = caseOf('happy-path-v0.3');
    expect(verify(the).times).toHaveLength(1);
    expectRejected('TIME_MISSING', withEntry(the, { inclusionPromise: undefined }));
  });

  test('integrated time changed under a promise', () => {
    const the = caseOf('happy-path-v0.3');
    const integratedTime = (the.bundle.tlogEntries[0]?.integratedTime ?? 0n) + 1n;
    expectRejected('SET_INVALID', withEntry(the, { integratedTime }));
    expectRejected('SET_INVALID', withEntry(the, { integratedTime: undefined }));
  });

  test('timestamp outside the validity of the certificate, beside a good integrated time', () => {
    expectRejected('TIMESTAMP_OUTSIDE_VALIDITY', caseOf('intoto-tsa-timestamp-outside-cert-validity_fail'));
  });

  test('a timestamp that is not needed is verified all the same', () => {
    const the = caseOf('happy-path-v0.3');
    const { timestamps } = caseOf('managed-key-happy-path').bundle;
    expectRejected('TIMESTAMP_MISMATCH', withBundle(the, { timestamps }));
    expectRejected('TIMESTAMP_UNTRUSTED', withRoot(caseOf('managed-key-happy-path'), { timestampAuthorities: [] }));
  });

  test('threshold met twice by one timestamp authority', () => {
    const the = keySigned(generateKey('p256'), ARTIFACT);
    if (the.bundle.content.kind !== 'message') throw new Error('internal: not a message');
    const { signature } = the.bundle.content;
    const [first, second] = [ownAuthority('first'), ownAuthority('second')];
    const stamped = (
      timestampAuthorities: TrustedRoot['timestampAuthorities'],
      timestamps: readonly Uint8Array[],
    ): Case =>
      withOptions(withRoot(withBundle(the, { timestamps }), { timestampAuthorities }), {
        thresholds: { timestampAuthorities: 2 },
      });
    const [once, again, other] = [first.stamp(signature, 1), first.stamp(signature, 2), second.stamp(signature, 1)];
    expect(verify(stamped([first.trusted, second.trusted], [once, other])).times).toHaveLength(2);
    expectRejected('TIME_MISSING', stamped([first.trusted, second.trusted], [once, again]));
    expectRejected('TIME_MISSING', stamped([first.trusted, { ...first.trusted, uri: 'https://other' }], [once, again]));
    expectRejected('TIMESTAMP_DUPLICATE', stamped([first.trusted, second.trusted], [once, once]));
  });

  test('validity time from the wrong clock: expired now, signed while valid; and the reverse (GHSA-8gw7-4j42-w388)', () => {
    const the = caseOf('happy-path-v0.3');
    const [leaf] = the.bundle.material.kind === 'certificates' ? the.bundle.material.certificates : [];
    const { notBefore, notAfter } = parseCertificate(leaf ?? new Uint8Array());
    const middle = new Date((notBefore.getTime() + notAfter.getTime()) / 2);
    expect(verify(withOptions(the, { now: new Date('2099-01-01T00:00:00Z') })).times).toHaveLength(1);
    const outside = caseOf('intoto-tsa-timestamp-outside-cert-validity_fail');
    expectRejected('TIMESTAMP_OUTSIDE_VALIDITY', withOptions(outside, { now: middle }));
    expectRejected('TIME_MISSING', withOptions(withEntry(the, { inclusionPromise: undefined }), { now: middle }));
  });

  test('no time at all is not the present time', () => {
    const the = withBundle(caseOf('rekor2-happy-path'), { tlogEntries: [], timestamps: [] });
    expectRejected('TIME_MISSING', withRoot(the, { tlogs: [] }));
  });
});

describe.if(SAMPLES.length > 0)('the certificate', () => {
  const expireIntermediate = (certificate: Certificate): Certificate =>
    certificate.isCa ? { ...certificate, notAfter: new Date('2023-01-01T00:00:00Z') } : certificate;

  test('expired intermediate (GHSA-wfqv-66vq-46rm CVE-2026-24122)', () => {
    const the = caseOf('happy-path-v0.3');
    const certificateAuthorities = the.options.trustedRoot.certificateAuthorities.map(
      ({ subject, uri, chain, validFor }) => ({
        subject,
        uri,
        validFor,
        chain: chain.map((certificate, i) =>
          i === 0 && chain.length > 1 ? expireIntermediate(certificate) : certificate,
        ),
      }),
    );
    expectRejected('CERTIFICATE_EXPIRED', withRoot(the, { certificateAuthorities }));
  });

  test('certificate authority not in use at the time of signing', () => {
    const the = caseOf('happy-path-v0.3');
    const validFor = { start: undefined, end: new Date('2023-01-01T00:00:00Z') };
    const { certificateAuthorities } = the.options.trustedRoot;
    const ended = certificateAuthorities.map(({ subject, uri, chain }) => ({ subject, uri, chain, validFor }));
    expectRejected('CERTIFICATE_UNTRUSTED', withRoot(the, { certificateAuthorities: ended }));
    expectRejected('CERTIFICATE_UNTRUSTED', withRoot(the, { certificateAuthorities: [] }));
  });

  test('certificate of another instance', () => {
    const { certificateAuthorities } = caseOf('rekor2-happy-path').options.trustedRoot;
    expectRejected('CERTIFICATE_UNTRUSTED', withRoot(caseOf('happy-path-v0.3'), { certificateAuthorities }));
  });

  test('SCT of a log that is not trusted', () => {
    const the = caseOf('happy-path-v0.3');
    expectRejected('SCT_INVALID', withRoot(the, { ctlogs: [ownLog(generateKey('p256'))] }));
    // An instance without CT logs.
    expect(verify(withRoot(the, { ctlogs: [] })).times).toHaveLength(1);
  });

  test('a chain out of order, and a root in a bundle that may not have one', () => {
    const the = caseOf('happy-path-v0.2');
    const { certificateAuthorities } = the.options.trustedRoot;
    const [intermediate, root] = certificateAuthorities.find(({ chain }) => chain.length === 2)?.chain ?? [];
    const [leaf] = the.bundle.material.kind === 'certificates' ? the.bundle.material.certificates : [];
    if (!leaf || !intermediate || !root) throw new Error('internal: no chain');
    const chain = (version: Bundle['version'], ...certificates: Uint8Array[]): Case =>
      withBundle(the, { version, material: { kind: 'certificates', certificates } });
    expect(verify(chain('0.2', leaf, intermediate.der)).times).toHaveLength(1);
    expect(verify(chain('0.1', leaf, intermediate.der, root.der)).times).toHaveLength(1);
    expectRejected('CERTIFICATE_UNTRUSTED', chain('0.2', leaf, intermediate.der, root.der));
    expectRejected('CERTIFICATE_UNTRUSTED', chain('0.1', leaf, root.der, intermediate.der));
  });
});

describe.if(SAMPLES.length > 0)('identity and policy', () => {
  const NAME =
    'https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main';
  const ISSUER = 'https://token.actions.githubusercontent.com';

  test('unanchored identity pattern', () => {
    const the = caseOf('happy-path-v0.3');
    const matching = (name: string, issuer: string): Case =>
      withOptions(the, {
        policy: {
          identities: [
            {
              subjectAlternativeName: { kind: 'pattern', pattern: parsePattern(name) },
              issuer: { kind: 'pattern', pattern: parsePattern(issuer) },
            },
          ],
        },
      });
    expect(
      verify(matching('https://github\\.com/sigstore-conformance/.*', 'https://.*\\.githubusercontent\\.com')).signer
        .kind,
    ).toBe('certificate');
    expectRejected('IDENTITY_MISMATCH', matching('github\\.com/sigstore-conformance', '.*'));
    expectRejected('IDENTITY_MISMATCH', matching('https://github\\.com/sigstore', '.*'));
    expectRejected('ISSUER_MISMATCH', matching('.*', 'githubusercontent\\.com'));
  });

  test('name and issuer from two different identities of the policy', () => {
    const [right] = exactly(NAME, 'https://accounts.example.com').identities;
    const [other] = exactly('someone@example.com', ISSUER).identities;
    if (right === undefined || other === undefined) throw new Error('internal: no identity');
    expectRejected(
      'ISSUER_MISMATCH',
      withOptions(caseOf('happy-path-v0.3'), { policy: { identities: [right, other] } }),
    );
  });

  test('the error shows who it was', () => {
    const { signer } = verify(caseOf('happy-path-v0.3'));
    if (signer.kind !== 'certificate') throw new Error('internal: no certificate');
    const found = [{ subjectAlternativeName: NAME, issuer: ISSUER }];
    expect(() => requireIdentity(signer.certificate, exactly('someone@example.com', ISSUER))).toThrow(
      expect.objectContaining({ code: 'IDENTITY_MISMATCH', found }),
    );
  });

  test('identity policy for a bundle that is signed with a key, and the reverse', () => {
    expectRejected('KEY_MISMATCH', withOptions(caseOf('managed-key-happy-path'), { policy: exactly(NAME, ISSUER) }));
    const policy = { key: generateKey('p256').publicKey };
    expectRejected('KEY_MISMATCH', withOptions(caseOf('happy-path-v0.3'), { policy }));
  });

  test('another key than the one that is trusted', () => {
    const policy = { key: generateKey('p256').publicKey };
    expectRejected('KEY_MISMATCH', withOptions(caseOf('managed-key-happy-path'), { policy }));
    const unlogged = withBundle(caseOf('managed-key-happy-path'), { tlogEntries: [] });
    expect(verify(unlogged).signer.kind).toBe('key');
    expectRejected('SIGNATURE_INVALID', withOptions(unlogged, { policy }));
  });

  test('predicate type not the one that is asked for (GHSA-vjxv-45g9-9296 CVE-2022-35929)', () => {
    const the = caseOf('rekor2-dsse-happy-path');
    expect(verify(withOptions(the, { predicateType: 'https://slsa.dev/provenance/v1' })).statement).toBeDefined();
    expectRejected('PREDICATE_TYPE_UNEXPECTED', withOptions(the, { predicateType: 'https://spdx.dev/Document' }));
    expectRejected(
      'PREDICATE_TYPE_UNEXPECTED',
      withOptions(caseOf('rekor2-happy-path'), { predicateType: 'https://slsa.dev/provenance/v1' }),
    );
  });

  test('payload that is no statement, or of another type (GHSA-w6c6-c85g-mmv6 CVE-2026-39395)', () => {
    const key = generateKey('p256');
    const subject = { name: 'a', digest: { sha256: serializeHex(sha256(ARTIFACT)) } };
    const statement = {
      _type: 'https://in-toto.io/Statement/v1',
      subject: [subject],
      predicateType: 'https://p.example',
    };
    const attested = (payload: string, type = 'application/vnd.in-toto+json'): Case =>
      withOptions(keyAttested(key, ARTIFACT, type, bytes.encode(payload)), { predicateType: 'https://p.example' });
    const good = JSON.stringify(statement);
    expect(verify(attested(good)).statement?.predicateType).toBe('https://p.example');
    expectRejected('PAYLOAD_TYPE_UNEXPECTED', attested(good, 'application/json'));
    expectRejected('PREDICATE_TYPE_UNEXPECTED', attested(good.replace('p.example', 'q.example')));
    expect(() => verify(attested('not a statement'))).toThrow(expect.objectContaining({ code: 'JSON_INVALID' }));
    expect(() => verify(attested('{}'))).toThrow(expect.objectContaining({ code: 'STATEMENT_INVALID' }));
    const twice = good.replace('{', '{"predicateType":"https://q.example",');
    expect(() => verify(attested(twice))).toThrow(expect.objectContaining({ code: 'JSON_DUPLICATE_KEY' }));
  });

  test('attestation about another artifact', () => {
    const artifact = { digests: { sha256: digest('sha256', bytes.encode('another')) } };
    expectRejected('SUBJECT_MISMATCH', withOptions(caseOf('rekor2-dsse-happy-path'), { artifact }));
  });
});

describe('what is verified is what is used', () => {
  test('bytes verified differ from bytes used: the artifact was exchanged between two readings', () => {
    const key = generateKey('ed25519');
    const the = keySigned(key, ARTIFACT);
    expect(verify(the).artifact.hash).toBe('sha512');
    const other = wholeArtifact(bytes.encode('another'));
    expectRejected('SIGNATURE_INVALID', withOptions(the, { artifact: { ...other, chunks: () => [ARTIFACT] } }));
  });

  test('no artifact at all: nothing to compare with is not a match', () => {
    const key = generateKey('p256');
    expectRejected('DIGEST_MISMATCH', withOptions(keySigned(key, ARTIFACT), { artifact: { digests: {} } }));
    const statement = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"${serializeHex(sha256(ARTIFACT))}"}}],"predicateType":"p"}`;
    const attested = keyAttested(key, ARTIFACT, 'application/vnd.in-toto+json', bytes.encode(statement));
    expect(verify(attested).statement?.subjects).toHaveLength(1);
    expectRejected('SUBJECT_MISMATCH', withOptions(attested, { artifact: { digests: {} } }));
  });
});

test('key from the server: who signs does not ask an unknown log for its key (GHSA-xvrc-2wvh-49vc)', async () => {
  const sigstore = fakeSigstore();
  const { http, services, trustedRoot } = sigstore;
  const signer = keySigner(generateKey('p256'));
  const sign = (root: TrustedRoot) =>
    signArtifact([ARTIFACT], signer, { http, services: services(1), trustedRoot: root });
  expect((await sign(trustedRoot)).verified.logEntries).toHaveLength(1);
  const others = { ...trustedRoot, tlogs: [ownLog(generateKey('p256'))] };
  await expect(sign(others)).rejects.toMatchObject({ code: 'LOG_UNKNOWN' });
  expect(sigstore.calls.filter((call) => /publickey/i.test(call))).toEqual([]);
});

describe('unbounded input (GHSA-cq38-jh5f-37mq CVE-2024-45395)', () => {
  const { bundle } = keySigned(generateKey('p256'), ARTIFACT);
  const withMaterial = (member: object): Uint8Array => {
    const json = JSON.parse(serializeBundle(bundle)) as { verificationMaterial: object };
    return bytes.encode(JSON.stringify({ ...json, verificationMaterial: { ...json.verificationMaterial, ...member } }));
  };
  const list = (length: number, item: object): object[] => Array.from({ length }, () => item);
  const TIMESTAMP = { signedTimestamp: 'AA==' };

  test.each([
    ['log entries', withMaterial({ tlogEntries: list(MAX_TLOG_ENTRIES + 1, {}) }), 'BUNDLE_INVALID'],
    [
      'timestamps',
      withMaterial({ timestampVerificationData: { rfc3161Timestamps: list(MAX_TIMESTAMPS + 1, TIMESTAMP) } }),
      'BUNDLE_INVALID',
    ],
    ['members', withMaterial({ tlogEntries: list(MAX_BUNDLE_MEMBERS + 1, {}) }), 'INPUT_TOO_LARGE'],
    ['levels', bytes.encode('['.repeat(10_000)), 'JSON_TOO_DEEP'],
  ] as const)('too many %s', (_, input, code) => {
    expect(() => parseBundle(input)).toThrow(expect.objectContaining({ code }));
  });

  test('as many as there may be are read', () => {
    const timestampVerificationData = { rfc3161Timestamps: list(MAX_TIMESTAMPS, TIMESTAMP) };
    expect(parseBundle(withMaterial({ timestampVerificationData })).timestamps).toHaveLength(MAX_TIMESTAMPS);
  });
});
