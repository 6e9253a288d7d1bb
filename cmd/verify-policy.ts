import type { Command } from 'commander';
import { parsePublicKeyPem } from '../core/crypto/public-key.ts';
import { parseNamed, UsageError, VerificationError } from '../core/errors.ts';
import { IdentityMismatchError, type Matcher } from '../core/verify/identity.ts';
import { parsePattern } from '../core/verify/pattern.ts';
import type { Policy } from '../core/verify/signer.ts';
import { shellWord } from './report.ts';

/** The flags that say who must have signed. */
export interface PolicyFlags {
  readonly certificateIdentity?: string;
  readonly certificateIdentityRegexp?: string;
  readonly certificateOidcIssuer?: string;
  readonly certificateOidcIssuerRegexp?: string;
  readonly key?: string;
}

/** Adds the flags that say who must have signed. */
export function policyOptions(command: Command): Command {
  return command
    .option('--certificate-identity <name>', 'who must have signed: an email address or URI, exactly')
    .option('--certificate-identity-regexp <regexp>', 'the same as a regular expression for the whole name')
    .option('--certificate-oidc-issuer <url>', 'who must have vouched for that identity: an OIDC issuer, exactly')
    .option('--certificate-oidc-issuer-regexp <regexp>', 'the same as a regular expression for the whole URL')
    .option('--key <ref>', 'instead of an identity: the public key, a PEM file or env://VARIABLE');
}

/** The policy that the flags state. USAGE if they state none, or two that exclude each other; the errors of a key file. */
export async function policyOf(reference: string, flags: PolicyFlags): Promise<Policy> {
  const subjectAlternativeName = matcher('identity', flags.certificateIdentity, flags.certificateIdentityRegexp);
  const issuer = matcher('oidc-issuer', flags.certificateOidcIssuer, flags.certificateOidcIssuerRegexp);
  if (flags.key !== undefined) {
    if (subjectAlternativeName !== undefined || issuer !== undefined) {
      throw new UsageError('--key and --certificate-* exclude each other', { hint: 'a key proves no identity' });
    }
    const { readKeyText } = await import('./key-source.ts');
    return { key: parseKey(flags.key, readKeyText(flags.key)) };
  }
  if (subjectAlternativeName === undefined || issuer === undefined) {
    const missing = subjectAlternativeName === undefined ? '--certificate-identity' : '--certificate-oidc-issuer';
    throw new UsageError(`say who must have signed: ${missing} is missing`, {
      hint: `hallmark verify ${shellWord(reference)} --certificate-identity you@example.com --certificate-oidc-issuer https://github.com/login/oauth
hallmark inspect BUNDLE shows whom a bundle names`,
    });
  }
  return { identities: [{ subjectAlternativeName, issuer }] };
}

function matcher(name: string, exact: string | undefined, regexp: string | undefined): Matcher | undefined {
  if (exact !== undefined && regexp !== undefined) {
    throw new UsageError(`--certificate-${name} and --certificate-${name}-regexp exclude each other`);
  }
  // An empty text is what an unset variable of a script leaves behind.
  if (exact === '' || regexp === '') throw new UsageError(`--certificate-${name} is empty`);
  if (exact !== undefined) return { kind: 'exact', value: exact };
  return regexp === undefined ? undefined : { kind: 'pattern', pattern: parsePattern(regexp) };
}

const parseKey = (reference: string, pem: string) =>
  parseNamed(`public key ${reference}`, 'give a public key in PEM', () => parsePublicKeyPem(pem));

/** Adds the command-line flags that would accept what was found. */
export function withRemedy<T>(verify: () => T): T {
  try {
    return verify();
  } catch (error) {
    if (!(error instanceof IdentityMismatchError)) throw error;
    const accepting = error.found.map(
      ({ subjectAlternativeName, issuer }) =>
        `--certificate-identity ${shellWord(subjectAlternativeName)} --certificate-oidc-issuer ${shellWord(issuer)}`,
    );
    throw new VerificationError(error.code, error.step, error.message, {
      cause: error,
      hint: ['if that is whom you expect:', ...accepting].join('\n'),
      ...(error.evidence !== undefined && { evidence: error.evidence }),
    });
  }
}
