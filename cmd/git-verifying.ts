import type { Bundle, TransparencyLogEntry } from '../core/bundle/bundle.ts';
import { HallmarkError, VerificationError } from '../core/errors.ts';
import type { TrustedRoot } from '../core/trust/trusted-root.ts';
import { identitiesOf } from '../core/verify/identity.ts';
import { makerOf } from '../gitsign/person.ts';
import { type GitPlace, type GitPolicy, requireGitPolicy } from '../gitsign/policy.ts';
import { type CmsSignature, parseArmor, parseCmsSignature } from '../gitsign/signature.ts';
import type { Verdict } from '../gitsign/status.ts';
import { type VerifiedGitSignature, verifyGitSignature } from '../gitsign/verify.ts';
import type { Cli } from './cli.ts';
import { userGitPolicy } from './git-policy.ts';
import { type GitSettings, isOn } from './git-settings.ts';
import { httpOf } from './http.ts';
import { instantText } from './report.ts';
import { type ResolvedTrust, resolveTrust } from './trust-store.ts';

/** The outcome for git, and what is said to the person beside it. */
export interface GitVerdict {
  readonly verdict: Verdict;
  readonly lines: readonly string[];
}

/**
 * Verifies a signature as git asks for it. Only the user's own settings count: whom to trust, who may sign, and whether the log
 * is asked. Whatever is wrong is part of the verdict.
 */
export async function verifyForGit(
  cli: Cli,
  settings: GitSettings,
  payload: Uint8Array,
  armor: Uint8Array,
): Promise<GitVerdict> {
  let signature: CmsSignature | undefined;
  try {
    signature = parseCmsSignature(parseArmor(armor).der);
    const trust = resolveTrust(cli, userTrust(settings));
    const context = { payload, armor, signature };
    const look = isOn(settings, 'lookup') ? () => lookUp(cli, trust, context) : undefined;
    const verified = await verifyMaybeOnline(context, trust, cli.now(), look);
    // Git says nothing of branch and path; who made it is in the object.
    const place = { ref: undefined, paths: undefined, maker: makerOf(payload) };
    return goodVerdict(verified, userGitPolicy(settings), place);
  } catch (error) {
    if (!(error instanceof HallmarkError)) throw error;
    return failedVerdict(error, signature);
  }
}

/** Whom the user trusts; a repository's `hallmark.trust` is not asked. */
function userTrust(settings: GitSettings): { trust?: readonly string[] } {
  const names = settings.all('trust').filter(({ isUsers }) => isUsers);
  return names.length > 0 ? { trust: names.map(({ value }) => value) } : {};
}

/** A signature and what it is over. */
export interface SignatureContext {
  readonly payload: Uint8Array;
  readonly armor: Uint8Array;
  readonly signature: CmsSignature;
}

/** Verifies offline; if an entry is missing and may be looked up, with the one that is found, offline again. */
export async function verifyMaybeOnline(
  { payload, armor, signature }: SignatureContext,
  trust: Pick<ResolvedTrust, 'sourceFor'>,
  now: Date,
  look: (() => Promise<TransparencyLogEntry | undefined>) | undefined,
): Promise<VerifiedGitSignature> {
  const trustedRootFor = (bundle: Bundle): TrustedRoot => trust.sourceFor(bundle).trustedRoot;
  try {
    return verifyGitSignature(payload, armor, signature, { trustedRootFor, now });
  } catch (error) {
    if (look === undefined || !(error instanceof VerificationError) || error.code !== 'LOG_ENTRY_MISSING') throw error;
    const found = await look();
    if (found === undefined) {
      throw new VerificationError('LOG_ENTRY_MISSING', 'log', 'not proven: no log that is trusted has an entry of it', {
        cause: error,
      });
    }
    return verifyGitSignature(payload, armor, signature, { trustedRootFor, now, found });
  }
}

/** Asks every Rekor v1 log of the trusted roots, at the address that they name. */
export async function lookUp(
  cli: Cli,
  trust: Pick<ResolvedTrust, 'sources'>,
  { payload, armor, signature }: SignatureContext,
): Promise<TransparencyLogEntry | undefined> {
  const { lookUpEntry } = await import('../gitsign/lookup.ts');
  const http = httpOf(cli);
  const logs = trust.sources.flatMap(({ trustedRoot }) => trustedRoot.tlogs);
  // Rekor v2 has Ed25519 keys, and no index to search.
  const urls = new Set(logs.filter(({ publicKey }) => publicKey.kind !== 'ed25519').map(({ baseUrl }) => baseUrl));
  for (const url of urls) {
    const found = await lookUpEntry(http, url, payload, armor, signature);
    if (found !== undefined) return found;
  }
  return undefined;
}

function goodVerdict(verified: VerifiedGitSignature, policy: GitPolicy | undefined, place: GitPlace): GitVerdict {
  const { certificate, subjectAlternativeName, issuer, times, logEntries } = verified;
  const [first] = times;
  const [entry] = logEntries;
  if (first === undefined) throw new Error('internal: a verified signature without a time');
  const base = { kind: 'good', certificate, name: `${subjectAlternativeName} (${issuer})`, time: first.time } as const;
  const line = `hallmark: good signature by ${subjectAlternativeName} (${issuer}), ${instantText(first.time)}${
    entry === undefined ? '' : `, log index ${entry.logIndex}`
  }`;
  if (policy === undefined) {
    return {
      verdict: { ...base, trust: 'UNDEFINED' },
      lines: [line, 'hallmark: no policy says whether they may sign: hallmark git setup --help'],
    };
  }
  try {
    const [rule] = requireGitPolicy(verified, policy, place);
    return { verdict: { ...base, trust: 'FULLY' }, lines: [`${line}, allowed by ${rule}`] };
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    return { verdict: { ...base, trust: 'NEVER' }, lines: [line, `hallmark: but ${error.message}`] };
  }
}

/** Step `signature` is what git calls a bad signature; of everything else it can only be said that it is not good. */
function failedVerdict(error: HallmarkError, signature: CmsSignature | undefined): GitVerdict {
  const hint = error.hint?.split('\n')[0];
  const lines = [`hallmark: ${error.message} (${error.code})`, ...(hint === undefined ? [] : [`hallmark: ${hint}`])];
  const isBad = error instanceof VerificationError && error.step === 'signature';
  if (!isBad || signature === undefined)
    return { verdict: { kind: 'error', certificate: signature?.certificate }, lines };
  const { certificate } = signature;
  return { verdict: { kind: 'bad', certificate, name: allegedName(signature) }, lines };
}

// Nothing vouches for it: git says "allegedly".
function allegedName({ certificate }: CmsSignature): string {
  try {
    const [identity] = identitiesOf(certificate).identities;
    return identity === undefined ? 'unknown' : `${identity.subjectAlternativeName} (${identity.issuer})`;
  } catch (error) {
    if (error instanceof HallmarkError) return 'unknown';
    throw error;
  }
}
