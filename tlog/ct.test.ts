import { describe, expect, test } from 'bun:test';
import { concat, equal, parseBase64, serializeBase64 } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { keyFingerprint } from '../core/crypto/public-key.ts';
import { isValidSignature } from '../core/crypto/verify.ts';
import { MAX_CT_REQUEST_BYTES } from '../core/limits.ts';
import { EMPTY_ROOT, leafHash, verifyConsistency, verifyInclusion } from '../core/merkle/tree.ts';
import {
  distinguishedName,
  serializeTbsCertificate,
  signCertificate,
  tbsWithoutExtension,
} from '../core/x509/build.ts';
import { type Certificate, type Extension, parseCertificate } from '../core/x509/certificate.ts';
import { precertificatePoisonExtension, sctListExtension } from '../core/x509/extensions.ts';
import { OID } from '../core/x509/oids.ts';
import { sctSignedData, verifyEmbeddedScts } from '../core/x509/sct.ts';
import { flipped, issue, issueAuthority, keyOf, leafExtensions, NOT_AFTER, NOT_BEFORE } from '../core/x509/testing.ts';
import { opaque, TlsReader } from '../core/x509/tls.ts';
import { jsonOf, LOG_KEYS, NOW, openTestLog, type TestLog } from './testing.ts';
import { createMemoryDisk } from './testing-store.ts';

const root = issueAuthority('root');
const ca = issueAuthority('intermediate', root);
const ROOTS = [root.certificate];
const LOG_ID = keyFingerprint(LOG_KEYS.ct.publicKey);

const precertificate = (name: string): Certificate =>
  issue({
    name,
    issuer: ca,
    extensions: [...leafExtensions(ca, 'codeSigning'), precertificatePoisonExtension()],
  }).certificate;
const chainOf = (...certificates: Certificate[]): Json => ({
  chain: certificates.map(({ der }) => serializeBase64(der)),
});

interface SctAnswer {
  sct_version: number;
  id: string;
  timestamp: number;
  extensions: string;
  signature: string;
}
interface TreeHead {
  tree_size: number;
  timestamp: number;
  sha256_root_hash: string;
  tree_head_signature: string;
}

/** Reads `digitally-signed` of ECDSA with SHA-256 and verifies it under the CT key. */
function isSignedByLog(data: Uint8Array, signed: string): boolean {
  const reader = new TlsReader(parseBase64(signed));
  expect([reader.number(1), reader.number(1)]).toEqual([4, 3]);
  return isValidSignature(LOG_KEYS.ct.publicKey, 'sha256', data, reader.opaque(2));
}

const uint64 = (value: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return new Uint8Array(bytes);
};

async function treeHead(log: TestLog): Promise<TreeHead> {
  const head = await jsonOf<TreeHead>(await log.get('/ct/v1/get-sth'));
  // RFC 6962 §3.5, written out.
  const signed = concat(
    Uint8Array.of(0, 1),
    uint64(head.timestamp),
    uint64(head.tree_size),
    parseBase64(head.sha256_root_hash),
  );
  expect(isSignedByLog(signed, head.tree_head_signature)).toBe(true);
  return head;
}

describe('the CT log in the process of the CA', () => {
  test('promises a precertificate with an SCT that verifies in the final certificate', async () => {
    const log = await openTestLog();
    const template = {
      serialNumber: Uint8Array.of(1),
      issuerKey: ca.key.publicKey,
      issuerName: ca.certificate.subjectName,
      subjectName: distinguishedName({}),
      notBefore: NOT_BEFORE,
      notAfter: NOT_AFTER,
      spki: keyOf('leaf').publicKey.spki,
    };
    const certify = (...last: Extension[]) => {
      const extensions = [...leafExtensions(ca, 'codeSigning'), ...last];
      return signCertificate(serializeTbsCertificate({ ...template, extensions }), ca.key);
    };
    const sct = await log.ctLog?.(certify(precertificatePoisonExtension()), ca.certificate);
    if (!sct) throw new Error('no CT log');
    const logs = [{ logId: LOG_ID, publicKey: LOG_KEYS.ct.publicKey, validFor: { start: undefined, end: undefined } }];
    const certificate = parseCertificate(certify(sctListExtension([sct])));
    expect(verifyEmbeddedScts(certificate, ca.certificate, logs)).toHaveLength(1);
    expect(() => verifyEmbeddedScts(certificate, root.certificate, logs)).toThrow('SCT signature is wrong');
  });

  test('has the entry in the tree before it answers', async () => {
    const log = await openTestLog();
    const commits = log.store.calls.get('commit') ?? 0;
    await log.ctLog?.(precertificate('leaf').der, ca.certificate);
    expect(log.store.calls.get('commit')).toBe(commits + 1);
    expect((await treeHead(log)).tree_size).toBe(1);
  });

  test('gives no promise when the entry cannot be stored', async () => {
    const log = await openTestLog();
    log.store.failCall('commit', 1, 'lost');
    await expect(log.ctLog?.(precertificate('leaf').der, ca.certificate)).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
    });
    expect((await treeHead(log)).tree_size).toBe(0);
  });

  test('gives a certificate the time of its first submission, over a restart too', async () => {
    const disk = createMemoryDisk();
    let now = NOW.getTime();
    const clock = () => new Date(now++);
    const log = await openTestLog({ disk, clock });
    const pre = precertificate('leaf');
    const first = await log.ctLog?.(pre.der, ca.certificate);
    const second = await log.ctLog?.(pre.der, ca.certificate);
    await log.close();
    const again = await openTestLog({ disk, clock });
    const third = await again.ctLog?.(pre.der, ca.certificate);
    expect([second?.timestamp, third?.timestamp]).toEqual([first?.timestamp, first?.timestamp]);
    expect((await treeHead(again)).tree_size).toBe(1);
  });
});

describe('RFC 6962 §4 over HTTP', () => {
  test('add-pre-chain answers with an SCT, with and without the root in the chain', async () => {
    const log = await openTestLog({ ctRoots: ROOTS });
    const pre = precertificate('leaf');
    for (const chain of [chainOf(pre, ca.certificate), chainOf(pre, ca.certificate, root.certificate)]) {
      const response = await log.post('/ct/v1/add-pre-chain', chain);
      expect(response.status).toBe(200);
      const sct = await jsonOf<SctAnswer>(response);
      expect(sct).toMatchObject({
        sct_version: 0,
        id: serializeBase64(LOG_ID),
        timestamp: NOW.getTime(),
        extensions: '',
      });
      const entry = {
        kind: 'precertificate',
        issuerKeyHash: sha256(ca.certificate.spki),
        tbs: tbsWithoutExtension(pre.tbs, OID.precertificatePoison),
      } as const;
      const data = sctSignedData({ timestamp: BigInt(sct.timestamp), extensions: new Uint8Array(0) }, entry);
      expect(isSignedByLog(data, sct.signature)).toBe(true);
    }
    expect((await treeHead(log)).tree_size).toBe(1);
  });

  test('get-entries gives the leaf and, beside it, the chain', async () => {
    const log = await openTestLog({ ctRoots: ROOTS });
    const pre = precertificate('leaf');
    const plain = issue({ name: 'plain', issuer: ca, extensions: leafExtensions(ca, 'codeSigning') }).certificate;
    await log.post('/ct/v1/add-pre-chain', chainOf(pre, ca.certificate));
    await log.post('/ct/v1/add-chain', chainOf(plain, ca.certificate));
    const { entries } = await jsonOf<{ entries: { leaf_input: string; extra_data: string }[] }>(
      await log.get('/ct/v1/get-entries?start=0&end=99'),
    );
    const [first, second] = entries.map(({ leaf_input, extra_data }) => ({
      leaf: new TlsReader(parseBase64(leaf_input)),
      extra: new TlsReader(parseBase64(extra_data)),
    }));
    if (!first || !second) throw new Error('two entries are expected');
    // MerkleTreeLeaf of a precertificate (§3.4) and PrecertChainEntry (§4.6), field by field.
    expect([first.leaf.number(1), first.leaf.number(1), Number(first.leaf.uint64()), first.leaf.number(2)]).toEqual([
      0,
      0,
      NOW.getTime(),
      1,
    ]);
    expect(first.leaf.bytes(32)).toEqual(sha256(ca.certificate.spki));
    expect(first.leaf.opaque(3)).toEqual(tbsWithoutExtension(pre.tbs, OID.precertificatePoison));
    expect(first.leaf.opaque(2)).toHaveLength(0);
    first.leaf.end();
    expect(first.extra.opaque(3)).toEqual(pre.der);
    expect(first.extra.opaque(3)).toEqual(concat(opaque(3, ca.certificate.der), opaque(3, root.certificate.der)));
    first.extra.end();
    // The same of a certificate.
    expect([second.leaf.number(1), second.leaf.number(1), Number(second.leaf.uint64()), second.leaf.number(2)]).toEqual(
      [0, 0, NOW.getTime(), 0],
    );
    expect(second.leaf.opaque(3)).toEqual(plain.der);
    expect(second.extra.opaque(3)).toEqual(concat(opaque(3, ca.certificate.der), opaque(3, root.certificate.der)));
  });

  test('the log proves its entries and its growth', async () => {
    const log = await openTestLog({ ctRoots: ROOTS });
    const heads = [await treeHead(log)];
    expect(parseBase64(heads[0]?.sha256_root_hash ?? '')).toEqual(EMPTY_ROOT);
    for (let n = 0; n < 6; n++) {
      await log.ctLog?.(precertificate(`leaf ${n}`).der, ca.certificate);
      heads.push(await treeHead(log));
    }
    for (const second of heads.slice(1)) {
      const rootHash = parseBase64(second.sha256_root_hash);
      for (const first of heads.filter(({ tree_size }) => tree_size <= second.tree_size)) {
        const query = `first=${first.tree_size}&second=${second.tree_size}`;
        const { consistency } = await jsonOf<{ consistency: string[] }>(
          await log.get(`/ct/v1/get-sth-consistency?${query}`),
        );
        verifyConsistency({
          firstSize: BigInt(first.tree_size),
          firstRoot: parseBase64(first.sha256_root_hash),
          secondSize: BigInt(second.tree_size),
          secondRoot: rootHash,
          hashes: consistency.map(parseBase64),
        });
      }
      for (let index = 0; index < second.tree_size; index++) {
        const { leaf_input, audit_path } = await jsonOf<{ leaf_input: string; audit_path: string[] }>(
          await log.get(`/ct/v1/get-entry-and-proof?leaf_index=${index}&tree_size=${second.tree_size}`),
        );
        const hash = leafHash(parseBase64(leaf_input));
        const byHash = await jsonOf<{ leaf_index: number; audit_path: string[] }>(
          await log.get(
            `/ct/v1/get-proof-by-hash?hash=${encodeURIComponent(serializeBase64(hash))}&tree_size=${second.tree_size}`,
          ),
        );
        expect(byHash).toEqual({ leaf_index: index, audit_path });
        verifyInclusion({
          leafHash: hash,
          index: BigInt(index),
          treeSize: BigInt(second.tree_size),
          rootHash,
          hashes: audit_path.map(parseBase64),
        });
      }
    }
  });

  test('get-roots names the roots', async () => {
    const log = await openTestLog({ ctRoots: ROOTS });
    const { certificates } = await jsonOf<{ certificates: string[] }>(await log.get('/ct/v1/get-roots'));
    expect(certificates.map((text) => equal(parseBase64(text), root.certificate.der))).toEqual([true]);
  });

  const stranger = issueAuthority('stranger');
  const plain = issue({ name: 'plain', issuer: ca, extensions: leafExtensions(ca, 'codeSigning') }).certificate;
  const byStranger = issue({ name: 'x', issuer: stranger, extensions: leafExtensions(stranger, 'codeSigning') });
  const byLeaf = issue({
    name: 'y',
    issuer: { certificate: plain, key: keyOf('plain') },
    extensions: leafExtensions(ca, 'codeSigning'),
  });
  const broken = { ...plain, der: flipped(plain.der, plain.der.length - 1) };
  test.each([
    ['an empty chain', 'add-chain', { chain: [] }],
    ['no chain', 'add-chain', {}],
    ['a chain of numbers', 'add-chain', { chain: [1] }],
    ['bytes that are no certificate', 'add-chain', { chain: ['AAAA'] }],
    ['text that is not base64', 'add-chain', { chain: ['!'] }],
    ['a chain to another root', 'add-chain', chainOf(byStranger.certificate, stranger.certificate)],
    ['a certificate alone, below an intermediate', 'add-chain', chainOf(plain)],
    ['the root alone', 'add-chain', chainOf(root.certificate)],
    ['an issuer that is no authority', 'add-chain', chainOf(byLeaf.certificate, plain, ca.certificate)],
    ['a chain out of order', 'add-chain', chainOf(plain, root.certificate, ca.certificate)],
    ['a signature that does not verify', 'add-chain', chainOf(broken, ca.certificate)],
    [
      'more certificates than a chain has',
      'add-chain',
      chainOf(plain, ...Array.from({ length: 10 }, () => ca.certificate)),
    ],
    ['a certificate as precertificate', 'add-pre-chain', chainOf(plain, ca.certificate)],
    ['a precertificate as certificate', 'add-chain', chainOf(precertificate('p'), ca.certificate)],
  ] as [string, string, Json][])('refuses %s', async (_, path, body) => {
    const log = await openTestLog({ ctRoots: ROOTS });
    const response = await log.post(`/ct/v1/${path}`, body);
    expect(response.status).toBe(400);
    expect(await jsonOf<unknown>(response)).toEqual({ error_message: expect.any(String), success: false });
    expect(log.faults).toEqual([]);
    expect((await treeHead(log)).tree_size).toBe(0);
  });

  test('refuses every chain where no roots are given', async () => {
    const log = await openTestLog();
    const response = await log.post('/ct/v1/add-chain', chainOf(plain, ca.certificate, root.certificate));
    expect(response.status).toBe(400);
  });

  test('refuses a body beyond the limit', async () => {
    const log = await openTestLog();
    expect((await log.post('/ct/v1/add-chain', new Uint8Array(MAX_CT_REQUEST_BYTES + 1))).status).toBe(413);
  });

  test.each([
    ['get-sth-consistency', 400],
    ['get-sth-consistency?first=2&second=1', 400],
    ['get-sth-consistency?first=0&second=9', 400],
    ['get-proof-by-hash?tree_size=1', 400],
    ['get-proof-by-hash?hash=AAAA&tree_size=1', 404],
    ['get-proof-by-hash?hash=!&tree_size=1', 400],
    ['get-proof-by-hash?hash=AAAA&tree_size=0', 400],
    ['get-proof-by-hash?hash=AAAA&tree_size=9', 400],
    ['get-entries', 400],
    ['get-entries?start=1&end=0', 400],
    ['get-entries?start=1&end=5', 400],
    ['get-entries?start=-1&end=5', 400],
    ['get-entry-and-proof?leaf_index=1&tree_size=1', 400],
    ['get-entry-and-proof?leaf_index=x&tree_size=1', 400],
    ['add-chain', 405],
  ])('answers %s with %d', async (query, status) => {
    const log = await openTestLog();
    await log.ctLog?.(precertificate('leaf').der, ca.certificate);
    expect((await log.get(`/ct/v1/${query}`)).status).toBe(status);
    expect(log.faults).toEqual([]);
  });
});
