import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  contextTag,
  element,
  explicit,
  integer,
  integerFromBytes,
  octetString,
  oid,
  sequence,
  setOf,
} from '../asn1/der.ts';
import { concat } from '../bytes/bytes.ts';
import { digest } from '../crypto/hash.ts';
import { sign } from '../crypto/private-key.ts';
import { defaultHash } from '../crypto/public-key.ts';
import { serializeHashAlgorithm, serializeSignatureAlgorithm } from '../x509/algorithms.ts';
import { OID } from '../x509/oids.ts';
import type { Holder } from '../x509/testing.ts';

// Test only.

type Edit = (elements: Uint8Array[]) => Uint8Array[];

export interface SignedDataOptions {
  readonly signer: Holder;
  readonly content: Uint8Array;
  readonly contentType?: string;
  readonly detached?: boolean;
  readonly certificates?: readonly Uint8Array[];
  readonly bySubjectKeyId?: boolean;
  /** Changes to the attributes before they are signed, and to the elements of SignerInfo, SignedData and ContentInfo. */
  readonly attributes?: Edit;
  readonly signerInfo?: Edit;
  readonly signedData?: Edit;
  readonly contentInfo?: Edit;
}

const same: Edit = (elements) => elements;

export const attribute = (type: string, ...values: Uint8Array[]): Uint8Array => sequence(oid(type), setOf(...values));

/** A CMS message, right unless an edit makes it wrong. */
export function buildSignedData(options: SignedDataOptions): Uint8Array {
  const { signer, content, contentType = OID.data, certificates = [signer.certificate.der] } = options;
  const hash = defaultHash(signer.key.publicKey);
  const attributes = (options.attributes ?? same)([
    attribute(OID.contentType, oid(contentType)),
    attribute(OID.messageDigest, octetString(digest(hash, content))),
  ]);
  const signed = setOf(...attributes);
  const { issuerName, serialNumber, subjectKeyId } = signer.certificate;
  const signerInfo = (options.signerInfo ?? same)([
    integer(options.bySubjectKeyId ? 3 : 1),
    options.bySubjectKeyId
      ? element(contextTag(0, false), subjectKeyId as Uint8Array)
      : sequence(issuerName, integerFromBytes(serialNumber)),
    serializeHashAlgorithm(hash),
    concat(Uint8Array.of(contextTag(0)), signed.subarray(1)),
    serializeSignatureAlgorithm(signer.key.publicKey),
    octetString(sign(signer.key, signed)),
  ]);
  const signedData = (options.signedData ?? same)([
    integer(contentType === OID.data && !options.bySubjectKeyId ? 1 : 3),
    setOf(serializeHashAlgorithm(hash)),
    sequence(oid(contentType), ...(options.detached ? [] : [explicit(0, octetString(content))])),
    ...(certificates.length > 0 ? [element(contextTag(0), ...certificates)] : []),
    setOf(sequence(...signerInfo)),
  ]);
  return sequence(...(options.contentInfo ?? same)([oid(OID.signedData), explicit(0, sequence(...signedData))]));
}

const OPENSSL = 'openssl';

/** Whether there is an openssl to test against. */
export const hasOpenssl = (): boolean => spawnSync(OPENSSL, ['version']).status === 0;

/** Runs openssl in a folder with these files; the content of its file `out`. Throws what openssl says if it fails. */
export function openssl(files: Record<string, Uint8Array | string>, args: readonly string[]): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'hallmark-'));
  try {
    for (const [name, content] of Object.entries({ out: '', ...files })) writeFileSync(join(folder, name), content);
    const { error, status, stdout, stderr } = spawnSync(OPENSSL, args, { cwd: folder, encoding: 'utf8' });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stdout}${stderr}`);
    return new Uint8Array(readFileSync(join(folder, 'out')));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
