import { equal, parseUtf8, serializeHex } from '../bytes/bytes.ts';
import { parseJson } from '../bytes/json.ts';
import { InputError, TrustError, VerificationError } from '../errors.ts';
import { MAX_TRUSTED_ROOTS } from '../limits.ts';
import type { Certificate } from '../x509/certificate.ts';
import { verifyChain } from '../x509/chain.ts';
import { isValidAt } from '../x509/validity.ts';
import { type CertificateAuthority, parseTrustedRoot, parseTrustedRootJson, type TrustedRoot } from './trusted-root.ts';

/**
 * Parses trusted_root.json, or trusted_root.jsonl with one trusted root a line, as `gh attestation trusted-root` writes it.
 * TRUSTED_ROOT_INVALID, with the line.
 */
export function parseTrustedRoots(bytes: Uint8Array): [TrustedRoot, ...TrustedRoot[]] {
  const lines = parseUtf8(bytes)
    .split('\n')
    .map((text, i) => ({ text, place: `line ${i + 1}` }))
    .filter(({ text }) => text.trim() !== '');
  const [first, ...others] = lines;
  // No pretty-printed document is complete after its first line.
  if (first === undefined || others.length === 0 || !first.text.trimEnd().endsWith('}')) {
    return [parseTrustedRoot(bytes)];
  }
  if (lines.length > MAX_TRUSTED_ROOTS)
    throw new InputError('TRUSTED_ROOT_INVALID', `more than ${MAX_TRUSTED_ROOTS} trusted roots`);
  return [parseLine(first), ...others.map(parseLine)];
}

function parseLine({ text, place }: { text: string; place: string }): TrustedRoot {
  try {
    return parseTrustedRootJson(parseJson(text), '');
  } catch (cause) {
    if (!(cause instanceof InputError)) throw cause;
    throw new InputError('TRUSTED_ROOT_INVALID', `${place}: ${cause.message}`, { cause });
  }
}

/** A trusted root and what it is called towards the user. */
export interface NamedRoot {
  readonly name: string;
  readonly trustedRoot: TrustedRoot;
}

/**
 * The one root that a bundle is to be verified with: that whose certificate authority issued `certificate`, or, for a bundle
 * signed with a key, that which knows all of `logIds`. Everything else has to come from the same root; none of several roots
 * is ever completed by another. CERTIFICATE_UNTRUSTED or LOG_UNKNOWN if it is none of them, TRUST_AMBIGUOUS if it is several.
 * With a single root there is no choice: whether it is the right one is for the verification to say.
 */
export function chooseTrustedRoot<R extends NamedRoot>(
  roots: readonly [R, ...R[]],
  certificate: Certificate | undefined,
  logIds: readonly Uint8Array[],
): R {
  const [only, ...others] = roots;
  if (others.length === 0) return only;
  const found = roots.filter(({ trustedRoot }) =>
    certificate === undefined
      ? logIds.length > 0 && logIds.every((logId) => trustedRoot.tlogs.some((log) => equal(log.logId, logId)))
      : trustedRoot.certificateAuthorities.some((authority) => hasIssued(authority, certificate)),
  );
  const [chosen, ...more] = found;
  if (chosen === undefined) throw noneOf(roots, certificate, logIds);
  if (more.length > 0) {
    throw new TrustError(
      'TRUST_AMBIGUOUS',
      `several trusted roots know who ${certificate === undefined ? 'logged' : 'issued'} this: ${namesOf(found)}`,
      { hint: 'name the one that counts, alone: --trust NAME, or --trusted-root FILE with this one root' },
    );
  }
  return chosen;
}

// At its own beginning, which the issuer vouches for; when it was used is for the verification.
function hasIssued({ chain, validFor }: CertificateAuthority, leaf: Certificate): boolean {
  const anchor = chain.at(-1);
  if (anchor === undefined || !isValidAt(validFor, leaf.notBefore)) return false;
  try {
    verifyChain(leaf, chain.slice(0, -1), [anchor], leaf.notBefore, 'codeSigning');
    return true;
  } catch (error) {
    if (error instanceof VerificationError) return false;
    throw error;
  }
}

function noneOf(
  roots: readonly NamedRoot[],
  certificate: Certificate | undefined,
  logIds: readonly Uint8Array[],
): VerificationError | TrustError {
  const hint = 'use the trust of the instance that it was signed with: hallmark trust list';
  if (certificate !== undefined) {
    return new VerificationError(
      'CERTIFICATE_UNTRUSTED',
      'certificate',
      `none of the trusted roots issued the certificate: ${namesOf(roots)}`,
      { hint, evidence: 'verificationMaterial.certificate' },
    );
  }
  if (logIds.length > 0) {
    const wanted = logIds.map(serializeHex).join(', ');
    return new VerificationError('LOG_UNKNOWN', 'log', `none of the trusted roots knows log ${wanted}`, {
      hint,
      evidence: 'verificationMaterial.tlogEntries',
    });
  }
  return new TrustError(
    'TRUST_AMBIGUOUS',
    'signed with a key and in no log, so nothing says which trusted root counts',
    {
      hint: 'name the one that counts, alone: --trust NAME, or --trusted-root FILE with this one root',
    },
  );
}

const namesOf = (roots: readonly NamedRoot[]): string => roots.map(({ name }) => name).join(', ');
