import { equal, serializeHex } from '../bytes/bytes.ts';
import { sha256 } from '../crypto/hash.ts';
import { HallmarkError, VerificationError } from '../errors.ts';
import { MAX_CHAIN_CANDIDATES, MAX_CHAIN_CERTIFICATES } from '../limits.ts';
import { isSignedWith } from './algorithms.ts';
import { type Certificate, findExtension, KEY_USAGE } from './certificate.ts';
import { OID } from './oids.ts';

/** What the leaf is for. */
export type CertificateUsage = 'codeSigning' | 'timeStamping';

/** Critical extensions that are acted upon, here or by who asks for the names. All others are refused (RFC 5280 §4.2). */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectAlternativeName,
]);

/**
 * The path leaf .. anchor (RFC 5280 §6.1), each certificate valid at the instant `at` and each authority entitled to issue for
 * `usage`. `anchors` are trusted as given. Errors: VerificationError CERTIFICATE_EXPIRED, _USAGE or _UNTRUSTED.
 */
export function verifyChain(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
  at: Date,
  usage: CertificateUsage,
): Certificate[] {
  requireValidAt(leaf, at, 'certificate');
  requireUnderstood(leaf, 'certificate');
  requireLeafUsage(leaf, usage);
  if (intermediates.length > MAX_CHAIN_CERTIFICATES)
    throw untrusted(`more than ${MAX_CHAIN_CERTIFICATES} intermediate certificates`);
  const search: Search = {
    intermediates,
    anchors,
    at,
    usage,
    candidatesLeft: MAX_CHAIN_CANDIDATES,
    failure: undefined,
  };
  const path = findPath([leaf], search);
  if (path === undefined) throw search.failure ?? untrusted('no trusted authority issued the certificate');
  return path;
}

interface Search {
  readonly intermediates: readonly Certificate[];
  readonly anchors: readonly Certificate[];
  readonly at: Date;
  readonly usage: CertificateUsage;
  /** Bounds the work: names and key identifiers are free to choose, so crafted chains can branch at every step. */
  candidatesLeft: number;
  /** Why the first authority that did sign was refused: more telling than that no other was found. */
  failure: VerificationError | undefined;
}

/** Extends the path, whose last member is verified up to its own issuer, to an anchor; undefined if there is no way. */
function findPath(path: Certificate[], search: Search): Certificate[] | undefined {
  const child = path.at(-1) as Certificate;
  for (const [candidates, isAnchor] of [
    [search.anchors, true],
    [search.intermediates, false],
  ] as const) {
    for (const issuer of candidates) {
      if (!couldIssue(issuer, child) || path.some((member) => equal(member.der, issuer.der))) continue;
      // Counted whether its signature is remembered or not: even without signatures, the ways through a maze are millions.
      if (search.candidatesLeft === 0) throw untrusted(`more than ${MAX_CHAIN_CANDIDATES} possible issuers`);
      search.candidatesLeft--;
      if (!isIssuedBy(child, issuer)) continue;
      try {
        requireAuthority(issuer, path, search);
      } catch (error) {
        if (!(error instanceof VerificationError)) throw error;
        search.failure ??= error;
        continue;
      }
      if (isAnchor) return [...path, issuer];
      if (path.length + 2 > MAX_CHAIN_CERTIFICATES) continue;
      const found = findPath([...path, issuer], search);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** RFC 5280 §6.1.3 (a)(4), and the key identifiers where both sides give one (§4.2.1.1). */
function couldIssue(issuer: Certificate, child: Certificate): boolean {
  if (!equal(issuer.subjectName, child.issuerName)) return false;
  if (child.authorityKeyId === undefined || issuer.subjectKeyId === undefined) return true;
  return equal(child.authorityKeyId, issuer.subjectKeyId);
}

// Verified (issuer key, certificate) pairs by hash: one authority issued nearly all that a process looks at, and a P-384
// check costs more than all else in a verification. Only successes are kept, the oldest goes first.
const verified = new Set<string>();
const MAX_VERIFIED = 256;

/** RFC 5280 §6.1.3 (a)(1). */
function isIssuedBy(child: Certificate, issuer: Certificate): boolean {
  const pair = `${hashesOf(issuer).key} ${hashesOf(child).signed}`;
  if (verified.has(pair)) return true;
  try {
    if (!isSignedWith(issuer.publicKey, child.signatureAlgorithm, child.tbs, child.signature)) return false;
  } catch (error) {
    // A key that cannot be read signs nothing.
    if (error instanceof HallmarkError) return false;
    throw error;
  }
  if (verified.size === MAX_VERIFIED) verified.delete(verified.values().next().value as string);
  verified.add(pair);
  return true;
}

// What is hashed of a certificate, once: those of a trusted root are asked for in every verification.
interface Hashes {
  readonly key: string;
  readonly signed: string;
}
const hashes = new WeakMap<Certificate, Hashes>();

function hashesOf(certificate: Certificate): Hashes {
  const known = hashes.get(certificate);
  if (known !== undefined) return known;
  const { spki, tbs, signature } = certificate;
  const made = { key: serializeHex(sha256(spki)), signed: serializeHex(sha256(sha256(tbs), signature)) };
  hashes.set(certificate, made);
  return made;
}

/** RFC 5280 §6.1.3 (a)(2) and §6.1.4 (k) to (o), for an authority above `path`. */
function requireAuthority(issuer: Certificate, path: readonly Certificate[], search: Search): void {
  requireValidAt(issuer, search.at, 'issuing certificate');
  requireUnderstood(issuer, 'issuing certificate');
  if (!issuer.isCa) throw usageError('issuing certificate is not that of an authority');
  if (issuer.keyUsage !== undefined && !issuer.keyUsage.has(KEY_USAGE.keyCertSign))
    throw usageError('issuing certificate must not sign certificates');
  // (l), (m): the path length counts the authorities in between, those that certify their own name excepted.
  const between = path.slice(1).filter((member) => !equal(member.issuerName, member.subjectName)).length;
  if (issuer.pathLength !== undefined && between > issuer.pathLength)
    throw usageError(`issuing certificate allows ${issuer.pathLength} authorities below it, found ${between}`);
  // RFC 5280 leaves the purpose of authorities open; as everybody does, theirs bounds what is below.
  const purposes = issuer.extendedKeyUsage;
  if (purposes !== undefined && !purposes.includes(OID[search.usage]) && !purposes.includes(OID.anyExtendedKeyUsage))
    throw usageError(`issuing certificate is not for ${PURPOSES[search.usage]}`);
}

const PURPOSES: Record<CertificateUsage, string> = { codeSigning: 'code signing', timeStamping: 'time stamping' };

function requireLeafUsage(leaf: Certificate, usage: CertificateUsage): void {
  if (leaf.isCa) throw usageError('certificate is that of an authority, not of a signer');
  if (
    leaf.keyUsage !== undefined &&
    !leaf.keyUsage.has(KEY_USAGE.digitalSignature) &&
    !leaf.keyUsage.has(KEY_USAGE.nonRepudiation)
  )
    throw usageError('certificate is not for signatures');
  const purposes = leaf.extendedKeyUsage ?? [];
  if (!purposes.includes(OID[usage])) throw usageError(`certificate is not for ${PURPOSES[usage]}`);
  if (usage !== 'timeStamping') return;
  // RFC 3161 §2.3: this purpose alone, and critical.
  if (purposes.length !== 1) throw usageError('certificate is for more than time stamping');
  if (findExtension(leaf, OID.extendedKeyUsage)?.critical !== true)
    throw usageError('certificate does not mark time stamping as critical');
}

function requireUnderstood(certificate: Certificate, what: string): void {
  for (const { oid, critical } of certificate.extensions) {
    // Critical or not: a constraint that is skipped is none (RFC 5280 §4.2.1.10).
    if (oid === OID.nameConstraints) throw usageError(`${what} constrains names, which is not supported`);
    if (critical && !UNDERSTOOD.has(oid))
      throw usageError(`${what} has the critical extension ${oid}, which is not supported`);
  }
}

function requireValidAt(certificate: Certificate, at: Date, what: string): void {
  const instant = at.getTime();
  if (Number.isNaN(instant)) throw new Error('internal: invalid date');
  if (instant < certificate.notBefore.getTime())
    throw expired(`${what} was not valid before ${show(certificate.notBefore)}, the signing time is ${show(at)}`);
  if (instant > certificate.notAfter.getTime())
    throw expired(`${what} expired at ${show(certificate.notAfter)}, before the signing time ${show(at)}`);
}

const show = (instant: Date): string => instant.toISOString().replace('.000Z', 'Z');

const expired = (problem: string): VerificationError =>
  new VerificationError('CERTIFICATE_EXPIRED', 'certificate', problem);
const usageError = (problem: string): VerificationError =>
  new VerificationError('CERTIFICATE_USAGE', 'certificate', problem);
const untrusted = (problem: string): VerificationError =>
  new VerificationError('CERTIFICATE_UNTRUSTED', 'certificate', problem, {
    hint: 'check that the trusted root is of the instance that signed',
  });
