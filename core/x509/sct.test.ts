import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { octetString } from '../asn1/der.ts';
import { concat, parseBase64 } from '../bytes/bytes.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { sha256 } from '../crypto/hash.ts';
import { sign } from '../crypto/private-key.ts';
import { keyFingerprint, parsePublicKey } from '../crypto/public-key.ts';
import { VerificationError } from '../errors.ts';
import { MAX_SCTS } from '../limits.ts';
import { errorOf } from '../testing.ts';
import { serializeTbsCertificate, signCertificate, tbsWithoutExtension } from './build.ts';
import { type Certificate, type Extension, parseCertificate } from './certificate.ts';
import { precertificatePoisonExtension, sctListExtension } from './extensions.ts';
import { organization } from './names.ts';
import { OID } from './oids.ts';
import { type CtLogKey, parseSctList, type Sct, sctSignedData, serializeSctList, verifyEmbeddedScts } from './sct.ts';
import { corpusItems, flipped, issue, issueAuthority, keyOf, leafExtensions, NOON, NOT_BEFORE } from './testing.ts';
import { opaque } from './tls.ts';
import type { Validity } from './validity.ts';

const root = issueAuthority('root');
const always: Validity = { start: undefined, end: undefined };
const base = leafExtensions(root, 'codeSigning');
const unsigned = parseCertificate(issue({ issuer: root, extensions: base }).certificate.der);

const logKey = (name: string, validFor = always): CtLogKey => {
  const { publicKey } = keyOf(name);
  return { logId: keyFingerprint(publicKey), publicKey, validFor };
};
const log = logKey('log');

/** The template of every certificate here: they differ in their extensions alone. */
const tbs = (extensions: readonly Extension[]): Uint8Array =>
  serializeTbsCertificate({
    serialNumber: unsigned.serialNumber,
    issuerKey: root.key.publicKey,
    issuerName: unsigned.issuerName,
    subjectName: unsigned.subjectName,
    notBefore: unsigned.notBefore,
    notAfter: unsigned.notAfter,
    spki: unsigned.spki,
    extensions,
  });

const precertificate = tbs([...base, precertificatePoisonExtension()]);

/** An SCT over `signedTbs`, by the log with this name. */
function sct(name = 'log', options: { time?: Date; tbs?: Uint8Array; extensions?: Uint8Array } = {}): Sct {
  const key = keyOf(name);
  const stamp = {
    timestamp: BigInt((options.time ?? NOON).getTime()),
    extensions: options.extensions ?? new Uint8Array(),
  };
  const signedTbs = options.tbs ?? tbsWithoutExtension(precertificate, OID.precertificatePoison);
  const entry = { kind: 'precertificate', issuerKeyHash: sha256(root.certificate.spki), tbs: signedTbs } as const;
  const signature = sign(key, sctSignedData(stamp, entry), 'sha256');
  return { ...stamp, logId: keyFingerprint(key.publicKey), hashAlgorithm: 4, signatureAlgorithm: 3, signature };
}

const withScts = (...scts: Sct[]): Certificate =>
  parseCertificate(signCertificate(tbs([...base, sctListExtension(scts)]), root.key));
const withList = (value: Uint8Array): Certificate =>
  parseCertificate(signCertificate(tbs([...base, { oid: OID.sctList, critical: false, value }]), root.key));

const refused = (run: () => unknown, sentence: string, code = 'SCT_INVALID'): void => {
  const error = errorOf(run);
  expect(error).toBeInstanceOf(VerificationError);
  expect(error.message).toContain(sentence);
  expect(error.code).toBe(code as typeof error.code);
};
const verify = (leaf: Certificate, logs: readonly CtLogKey[] = [log], threshold?: number): Sct[] =>
  verifyEmbeddedScts(leaf, root.certificate, logs, threshold);

describe('accepted', () => {
  test('an SCT over the precertificate, in the certificate', () => {
    expect(verify(withScts(sct()))).toHaveLength(1);
  });
  test('with the extensions of a static CT log', () => {
    const leafIndex = Uint8Array.of(0, 0, 5, 0, 0, 0, 0, 1);
    expect(verify(withScts(sct('log', { extensions: leafIndex })))[0]?.extensions).toEqual(leafIndex);
  });
  test('beside SCTs of unknown logs and with wrong signatures', () => {
    const wrong = { ...sct('second'), signature: sct().signature };
    expect(verify(withScts(sct('unknown'), wrong, sct()), [log, logKey('second')])).toHaveLength(1);
  });
  test('two distinct logs where two are required', () => {
    expect(verify(withScts(sct(), sct('second')), [log, logKey('second')], 2)).toHaveLength(2);
  });
  test('a log that is listed for two periods', () => {
    const past: Validity = { start: undefined, end: new Date(0) };
    expect(verify(withScts(sct()), [logKey('log', past), log])).toHaveLength(1);
  });
  test('from the first instant in which the log is trusted', () => {
    expect(verify(withScts(sct()), [logKey('log', { start: NOON, end: NOON })])).toHaveLength(1);
  });
});

describe('refused, by flaw', () => {
  test('no SCT', () => refused(() => verify(unsigned), 'carries no SCT', 'SCT_MISSING'));
  test('log unknown', () => refused(() => verify(withScts(sct('unknown'))), 'not trusted'));
  test('no logs known', () => refused(() => verify(withScts(sct()), []), 'not trusted'));
  test('signed by another log', () =>
    refused(() => verify(withScts({ ...sct(), signature: sct('second').signature })), 'signature is wrong'));
  test('over another certificate', () => {
    const other = tbsWithoutExtension(
      tbs([...base.slice(1), precertificatePoisonExtension()]),
      OID.precertificatePoison,
    );
    refused(() => verify(withScts(sct('log', { tbs: other }))), 'signature is wrong');
  });
  test('over the certificate of another issuer', () => {
    const other = issueAuthority('other root').certificate;
    refused(() => verifyEmbeddedScts(withScts(sct()), other, [log]), 'signature is wrong');
  });
  test('timestamp changed', () => refused(() => verify(withScts({ ...sct(), timestamp: 1n })), 'signature is wrong'));
  test('extensions changed', () =>
    refused(() => verify(withScts({ ...sct(), extensions: Uint8Array.of(0) })), 'signature is wrong'));
  test('hash other than SHA-256', () =>
    refused(() => verify(withScts({ ...sct(), hashAlgorithm: 5 })), 'signature is wrong'));
  test('signature algorithm of another kind of key', () =>
    refused(() => verify(withScts({ ...sct(), signatureAlgorithm: 1 })), 'signature is wrong'));
  test.each([
    ['before', { start: new Date(NOON.getTime() + 1), end: undefined }],
    ['after', { start: undefined, end: new Date(NOON.getTime() - 1) }],
  ])('from %s the time in which the log was trusted', (_when, validFor) =>
    refused(() => verify(withScts(sct()), [logKey('log', validFor)]), 'at which its log was not trusted'),
  );
  test('from beyond all dates', () => {
    const timestamp = 2n ** 64n - 1n;
    const { tbs: signedTbs } = { tbs: tbsWithoutExtension(precertificate, OID.precertificatePoison) };
    const entry = { kind: 'precertificate', issuerKeyHash: sha256(root.certificate.spki), tbs: signedTbs } as const;
    const signature = sign(keyOf('log'), sctSignedData({ timestamp, extensions: new Uint8Array() }, entry), 'sha256');
    const validFor = { start: NOT_BEFORE, end: new Date('9999-12-31T00:00:00Z') };
    refused(() => verify(withScts({ ...sct(), timestamp, signature }), [logKey('log', validFor)]), 'not trusted');
  });
  test('threshold met twice by one log', () => {
    const leaf = withScts(sct(), sct('log', { time: NOT_BEFORE }));
    refused(() => verify(leaf, [log, logKey('second')], 2), 'SCTs of 1 logs, 2 are required');
  });
});

describe('lists refused, by flaw', () => {
  const item = opaque(2, serializeSctList([sct()]).subarray(2 + 2 + 2));
  const malformed = (value: Uint8Array): void => {
    expect(errorOf(() => parseSctList(value)).code).toBe('CERTIFICATE_INVALID');
    refused(() => verify(withList(value)), 'malformed list');
  };
  const list = (...items: Uint8Array[]): Uint8Array => octetString(opaque(2, concat(...items)));

  test('no list', () => malformed(octetString(new Uint8Array())));
  test('empty list', () => malformed(list()));
  test('not in an OCTET STRING', () => malformed(opaque(2, item)));
  test('data after the list', () => malformed(octetString(concat(opaque(2, item), Uint8Array.of(0)))));
  test('data after an SCT', () => malformed(list(opaque(2, concat(item.subarray(2), Uint8Array.of(0))))));
  test('truncated SCT', () => malformed(list(opaque(2, item.subarray(2, -1)))));
  test('version 2', () => malformed(list(opaque(2, flipped(item.subarray(2), 0)))));
  test('more SCTs than the bound', () => {
    malformed(serializeSctList(Array.from({ length: MAX_SCTS + 1 }, () => sct())));
  });
});

test('a list is written as it was read', () => {
  const scts = [sct(), sct('second', { extensions: Uint8Array.of(1, 2, 3) })];
  expect(parseSctList(serializeSctList(scts))).toEqual(scts);
});

test('what a log signs for a finished certificate (RFC 6962 §3.2)', () => {
  const stamp = { timestamp: 0x0102n, extensions: Uint8Array.of(9) };
  expect(sctSignedData(stamp, { kind: 'certificate', certificate: Uint8Array.of(7, 8) })).toEqual(
    Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 7, 8, 0, 1, 9),
  );
});

describe('the certificate without an extension', () => {
  test('is the precertificate without poison', () => {
    const leaf = withScts(sct());
    const stripped = tbsWithoutExtension(leaf.tbs, OID.sctList);
    expect(stripped).toEqual(tbsWithoutExtension(precertificate, OID.precertificatePoison));
    expect(stripped).toEqual(tbs(base));
  });
  test('has no list of extensions where that was the last', () => {
    const alone = issue({ issuer: root, extensions: [precertificatePoisonExtension()] }).certificate;
    const stripped = tbsWithoutExtension(alone.tbs, OID.precertificatePoison);
    expect(stripped.length).toBeLessThan(alone.tbs.length - 20);
    expect(errorOf(() => tbsWithoutExtension(stripped, OID.precertificatePoison)).code).toBe('CERTIFICATE_INVALID');
  });
  test('refused: it has no such extension', () => {
    expect(errorOf(() => tbsWithoutExtension(unsigned.tbs, OID.sctList)).code).toBe('CERTIFICATE_INVALID');
  });
});

const trustedRoot = sharedPath('trust/public-good.trusted_root.json');
test.skipIf(trustedRoot === undefined)('the SCTs of the public-good certificates in the test data', () => {
  const { ctlogs } = JSON.parse(readFileSync(trustedRoot as string, 'utf8'));
  const logs: CtLogKey[] = ctlogs.map((each: PublicGoodLog) => ({
    logId: parseBase64(each.logId.keyId),
    publicKey: parsePublicKey(parseBase64(each.publicKey.rawBytes)),
    validFor: {
      start: new Date(each.publicKey.validFor.start),
      end: each.publicKey.validFor.end && new Date(each.publicKey.validFor.end),
    },
  }));
  const all = corpusItems('certificates').map(({ der }) => parseCertificate(der));
  let count = 0;
  for (const leaf of all) {
    const issuers = all.filter(
      ({ subjectKeyId }) =>
        subjectKeyId && leaf.authorityKeyId && Buffer.compare(subjectKeyId, leaf.authorityKeyId) === 0,
    );
    const list = leaf.extensions.find(({ oid }) => oid === OID.sctList);
    const known =
      list && parseSctList(list.value).some(({ logId }) => logs.some((each) => each.logId.join() === logId.join()));
    if (!known || organization(leaf.issuerName) !== 'sigstore.dev') continue;
    expect(verifyEmbeddedScts(leaf, issuers[0] as Certificate, logs)).toHaveLength(1);
    count++;
  }
  expect(count).toBeGreaterThan(10);
});

interface PublicGoodLog {
  logId: { keyId: string };
  publicKey: { rawBytes: string; validFor: { start: string; end?: string } };
}
