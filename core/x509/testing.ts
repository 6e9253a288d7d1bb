import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { contextTag, DerReader, element, sequence, TAG } from '../asn1/der.ts';
import { parseBase64 } from '../bytes/bytes.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import type { KeyKind } from '../crypto/algorithms.ts';
import { sha256 } from '../crypto/hash.ts';
import { generateKey, type PrivateKey } from '../crypto/private-key.ts';
import { distinguishedName, serializeTbsCertificate, signCertificate } from './build.ts';
import { type Certificate, type Extension, parseCertificate } from './certificate.ts';
import {
  alternativeNamesExtension,
  authorityExtension,
  authorityKeyIdExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectKeyIdExtension,
} from './extensions.ts';

// Test only.

export interface Holder {
  readonly certificate: Certificate;
  readonly key: PrivateKey;
}

export interface HolderOptions {
  readonly name?: string;
  readonly issuer?: Holder;
  readonly kind?: KeyKind;
  readonly key?: PrivateKey;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly extensions: readonly Extension[];
}

/** When the certificates of `issue` are valid, unless told otherwise, and an instant within. */
export const NOT_BEFORE = new Date('2026-01-01T00:00:00Z');
export const NOON = new Date('2026-01-01T12:00:00Z');
export const NOT_AFTER = new Date('2026-01-02T00:00:00Z');

const keys = new Map<string, PrivateKey>();

/** One key for each name and kind, so that a test file generates few. */
export function keyOf(name: string, kind: KeyKind = 'p256'): PrivateKey {
  const key = keys.get(`${name} ${kind}`) ?? generateKey(kind, 2048);
  keys.set(`${name} ${kind}`, key);
  return key;
}

let serial = 0;

/** A certificate for the key of `name`, by `issuer` or by itself. */
export function issue(options: HolderOptions): Holder {
  const { name = 'leaf', issuer, extensions, notBefore = NOT_BEFORE, notAfter = NOT_AFTER } = options;
  const key = options.key ?? keyOf(name, options.kind);
  const subjectName = distinguishedName({ organization: 'test', commonName: name });
  const signer = issuer?.key ?? key;
  serial++;
  const tbs = serializeTbsCertificate({
    serialNumber: Uint8Array.of(1, serial >> 8, serial),
    issuerKey: signer.publicKey,
    issuerName: issuer?.certificate.subjectName ?? subjectName,
    subjectName,
    notBefore,
    notAfter,
    spki: key.publicKey.spki,
    extensions,
  });
  return { key, certificate: parseCertificate(signCertificate(tbs, signer)) };
}

/** The identifier of a key as the test certificates carry it. */
export const keyId = (holder: Holder): Uint8Array => sha256(holder.key.publicKey.spki).subarray(0, 20);

/** An authority; self-signed without `issuer`. `more` comes last. */
export function issueAuthority(
  name: string,
  issuer?: Holder,
  options: { pathLength?: number; more?: readonly Extension[]; notAfter?: Date; kind?: KeyKind } = {},
): Holder {
  const { pathLength, more = [], notAfter, kind = 'p256' } = options;
  const key = keyOf(name, kind);
  const extensions = [
    keyUsageExtension('keyCertSign', 'crlSign'),
    authorityExtension(pathLength),
    subjectKeyIdExtension(sha256(key.publicKey.spki).subarray(0, 20)),
    ...(issuer === undefined ? [] : [authorityKeyIdExtension(keyId(issuer))]),
    ...more,
  ];
  return issue({ name, key, extensions, ...(issuer && { issuer }), ...(notAfter && { notAfter }) });
}

/** The extensions of a leaf as Fulcio or a timestamp authority gets them. */
export function leafExtensions(issuer: Holder, usage: 'codeSigning' | 'timeStamping'): Extension[] {
  return [
    keyUsageExtension('digitalSignature'),
    extendedKeyUsageExtension(usage, usage === 'timeStamping'),
    authorityKeyIdExtension(keyId(issuer)),
    ...(usage === 'codeSigning' ? [alternativeNamesExtension({ kind: 'email', value: 'a@example.com' })] : []),
  ];
}

/** The elements of a certificate's TBSCertificate: version, serial number, algorithm, issuer, validity, subject, key, extensions. */
export function tbsFields(certificate: Certificate): Uint8Array[] {
  const fields = new DerReader(certificate.tbs).sequence();
  const elements: Uint8Array[] = [];
  while (!fields.done) elements.push(fields.element().encoding);
  return elements;
}

/** A certificate of these fields, with another's signature: good enough for a parser. */
export function withFields(certificate: Certificate, fields: readonly Uint8Array[]): Uint8Array {
  const outer = new DerReader(certificate.der).sequence();
  outer.element();
  return sequence(sequence(...fields), outer.element().encoding, outer.element().encoding);
}

/** The certificate with these DER extensions in place of its own. */
export function withExtensions(certificate: Certificate, ...extensions: readonly Uint8Array[]): Uint8Array {
  const fields = tbsFields(certificate).slice(0, 7);
  return withFields(certificate, [...fields, element(contextTag(3), element(TAG.sequence, ...extensions))]);
}

/** A copy with the lowest bit of one byte turned. */
export function flipped(bytes: Uint8Array, at: number, mask = 1): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] as number) ^ mask;
  return copy;
}

export interface CorpusItem {
  readonly path: string;
  readonly der: Uint8Array;
}

/** Every certificate, or every signed timestamp, in the bundles and trusted roots of the shared test data, each once. */
export function corpusItems(kind: 'certificates' | 'timestamps'): CorpusItem[] {
  const found = new Map<string, CorpusItem>();
  const add = (base64: string, path: string): void => {
    // Public keys are rawBytes too; a certificate begins with two long SEQUENCEs.
    const der = parseBase64(base64);
    const isCertificate = der[0] === 0x30 && der[1] === 0x82 && der[4] === 0x30 && der[5] === 0x82;
    if (kind === 'timestamps' || isCertificate) found.set(base64, { path, der });
  };
  const wanted = kind === 'certificates' ? ['rawBytes', 'certificate'] : ['signedTimestamp'];
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      if (typeof member === 'string' && wanted.includes(name)) add(member, path);
      else walk(member, path);
    }
  };
  for (const folder of ['corpus/bundles', 'corpus/conformance', 'trust']) {
    const root = sharedPath(folder);
    for (const path of root === undefined ? [] : filesBelow(root)) {
      for (const document of documentsOf(path)) walk(document, path);
    }
  }
  return [...found.values()];
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}

/** The JSON in a file: one document, or one in each line; whatever else there is is not. */
function documentsOf(path: string): unknown[] {
  const text = readFileSync(path, 'utf8');
  const parse = (json: string): unknown[] => {
    try {
      return [JSON.parse(json)];
    } catch {
      return [];
    }
  };
  const whole = parse(text);
  return whole.length > 0 ? whole : text.split('\n').flatMap(parse);
}

/** @peculiar/x509, which our own code is held against. Its injection container asks for a reflection API of which it then makes no use. */
export async function loadPeculiarX509(): Promise<typeof import('@peculiar/x509')> {
  const nothing = (): undefined => undefined;
  Object.assign(Reflect, { getMetadata: nothing, getOwnMetadata: nothing, defineMetadata: nothing });
  return await import('@peculiar/x509');
}
