import { concat, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { tbsWithoutExtension } from '../core/x509/build.ts';
import { type Certificate, findExtension } from '../core/x509/certificate.ts';
import { OID } from '../core/x509/oids.ts';
import { type CtEntry, sctSignedData } from '../core/x509/sct.ts';
import { opaque, TlsReader, uint } from '../core/x509/tls.ts';

// MerkleTreeLeaf begins with its version and leaf type, then comes the timestamp (RFC 6962 §3.4).
const HEADER_BYTES = 2;
const TIMESTAMP_BYTES = 8;
const NO_EXTENSIONS = new Uint8Array(0);

/** What a CT log signs and stores for a precertificate (it has the poison extension) of this issuer, or for a certificate. */
export function ctEntryOf(certificate: Certificate, issuer: Certificate): CtEntry {
  if (!isPrecertificate(certificate)) return { kind: 'certificate', certificate: certificate.der };
  const tbs = tbsWithoutExtension(certificate.tbs, OID.precertificatePoison);
  return { kind: 'precertificate', issuerKeyHash: sha256(issuer.spki), tbs };
}

export function isPrecertificate(certificate: Certificate): boolean {
  return findExtension(certificate, OID.precertificatePoison) !== undefined;
}

/**
 * MerkleTreeLeaf (RFC 6962 §3.4):
 *   struct { Version version; MerkleLeafType leaf_type; TimestampedEntry timestamped_entry }
 * Its bytes are those that the SCT signs (§3.2): version 0, then 0 for timestamped_entry here and for
 * certificate_timestamp there, then the same fields.
 */
export function serializeMerkleTreeLeaf(timestamp: bigint, entry: CtEntry): Uint8Array {
  return sctSignedData({ timestamp, extensions: NO_EXTENSIONS }, entry);
}

/** The timestamp of a MerkleTreeLeaf, in milliseconds. */
export function timestampOfLeaf(leaf: Uint8Array): bigint {
  return new TlsReader(leaf.subarray(HEADER_BYTES)).uint64();
}

/** Equal for two submissions of the same certificate, whenever they come: the leaf without its time. */
export function ctIdentity(entry: CtEntry): Uint8Array {
  return identityOfTimeless(serializeMerkleTreeLeaf(0n, entry));
}

/** The identity of the entry that this MerkleTreeLeaf was made of. */
export function ctIdentityOfLeaf(leaf: Uint8Array): Uint8Array {
  return identityOfTimeless(leaf.slice().fill(0, HEADER_BYTES, HEADER_BYTES + TIMESTAMP_BYTES));
}

const identityOfTimeless = (leaf: Uint8Array): Uint8Array =>
  sha256(serializeUtf8('certificate transparency entry\n'), leaf);

/** The `extra_data` of get-entries: PrecertChainEntry for a precertificate, the chain alone for a certificate (§4.6). */
export function serializeExtraData(certificate: Certificate, chain: readonly Certificate[]): Uint8Array {
  const rest = opaque(3, concat(...chain.map((issuer) => opaque(3, issuer.der))));
  return isPrecertificate(certificate) ? concat(opaque(3, certificate.der), rest) : rest;
}

/** The bytes of `digitally-signed TreeHeadSignature` (§3.5). */
export function treeHeadSignedData(timestamp: bigint, treeSize: bigint, rootHash: Uint8Array): Uint8Array {
  const version = 0;
  const signatureType = 1; // tree_hash
  return concat(Uint8Array.of(version, signatureType), uint(8, timestamp), uint(8, treeSize), rootHash);
}

/** `DigitallySigned` of RFC 5246 §4.7 for ECDSA with SHA-256. */
export function serializeDigitallySigned(signature: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(TLS_SHA256, TLS_ECDSA), opaque(2, signature));
}

/** RFC 5246 §7.4.1.4.1. */
export const TLS_SHA256 = 4;
export const TLS_ECDSA = 3;
