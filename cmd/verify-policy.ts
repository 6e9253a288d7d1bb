import type { Command } from 'commander';
import { parsePublicKeyPem } from '../core/crypto/public-key.ts';
import { HallmarkError, parseNamed, UsageError, VerificationError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_TRUST_FILE_BYTES } from '../core/limits.ts';
import { parseRegistryKeys } from '../core/trust/registry-keys.ts';
import { type ExpectedIdentity, IdentityMismatchError, type IdentityPolicy } from '../core/verify/identity.ts';
import { exactly, glob, type Matcher } from '../core/verify/matcher.ts';
import { parsePattern } from '../core/verify/pattern.ts';
import { type ClaimRequirement, parseClaimName } from '../core/verify/policy-claims.ts';
import type { PinPolicy } from '../core/verify/policy-pin.ts';
import { parsePreset, presetOf } from '../core/verify/presets.ts';
import type { KeyPolicy, Policy, RegistryPolicy } from '../core/verify/signer.ts';
import { shellWord } from './report.ts';

/** One of several values of a flag; `order` is its place among all the flags that come in pairs. */
interface Given {
  readonly order: number;
  readonly value: string;
}

/** The flags that say who must have signed. Plain data: workers get them as they are. */
export interface PolicyFlags {
  readonly certificateIdentity?: readonly Given[];
  readonly certificateIdentityGlob?: readonly Given[];
  readonly certificateIdentityRegexp?: readonly Given[];
  readonly certificateOidcIssuer?: readonly Given[];
  readonly certificateOidcIssuerGlob?: readonly Given[];
  readonly certificateOidcIssuerRegexp?: readonly Given[];
  readonly from?: readonly string[];
  readonly require?: readonly string[];
  readonly policy?: string;
  readonly lock?: string;
  readonly lockName?: string;
  readonly key?: string;
  readonly registryKeys?: string;
}

type PairedFlag = Extract<keyof PolicyFlags, `certificate${string}`>;

/** The flags of which one of each half makes an identity. */
const PAIRED: Record<PairedFlag, { half: 'name' | 'issuer'; flag: string; parse: (text: string) => Matcher }> = {
  certificateIdentity: { half: 'name', flag: '--certificate-identity', parse: exactly },
  certificateIdentityGlob: { half: 'name', flag: '--certificate-identity-glob', parse: glob },
  certificateIdentityRegexp: { half: 'name', flag: '--certificate-identity-regexp', parse: regexp },
  certificateOidcIssuer: { half: 'issuer', flag: '--certificate-oidc-issuer', parse: exactly },
  certificateOidcIssuerGlob: { half: 'issuer', flag: '--certificate-oidc-issuer-glob', parse: glob },
  certificateOidcIssuerRegexp: { half: 'issuer', flag: '--certificate-oidc-issuer-regexp', parse: regexp },
};

function regexp(source: string): Matcher {
  return { kind: 'pattern', pattern: parsePattern(source) };
}

/** Adds the flags that say who must have signed, signers.lock among them. */
export function policyOptions(command: Command): Command {
  return signerOptions(command)
    .option('--lock <file>', 'the signer must be the one that hallmark pin wrote down in this signers.lock')
    .option('--lock-name <name>', 'what the artifact is called there (default: the name of the file)');
}

/** Adds the flags that say who must have signed. */
export function signerOptions(command: Command): Command {
  let order = 0;
  const paired = (value: string, before: readonly Given[] = []): Given[] => [...before, { order: order++, value }];
  const several = (value: string, before: readonly string[] = []): string[] => [...before, value];
  return command
    .option(
      '--certificate-identity <name>',
      'who must have signed: an email address or URI, exactly; several pairs with an issuer: any of them',
      paired,
    )
    .option('--certificate-identity-glob <glob>', 'the same with * for anything but /, ** for anything', paired)
    .option('--certificate-identity-regexp <regexp>', 'the same as a regular expression for the whole name', paired)
    .option(
      '--certificate-oidc-issuer <url>',
      'who must have vouched for the identity beside it: an OIDC issuer, exactly',
      paired,
    )
    .option('--certificate-oidc-issuer-glob <glob>', 'the same with * and **', paired)
    .option('--certificate-oidc-issuer-regexp <regexp>', 'the same as a regular expression for the whole URL', paired)
    .option(
      '--from <preset>',
      'both in one: github:OWNER/REPO[/WORKFLOW.yml][@REF], gitlab:GROUP/PROJECT[@REF], email:NAME@DOMAIN, google:NAME@DOMAIN; repeatable, any of them',
      several,
    )
    .option(
      '--require <name=value>',
      'a claim that the certificate must state, as runner-environment=github-hosted',
      several,
    )
    .option('--policy <file>', 'instead of all these: a policy in JSON or YAML, see docs/policy.md')
    .option('--key <ref>', 'instead of an identity: the public key, a PEM file or env://VARIABLE')
    .option('--registry-keys <file>', "instead of an identity: a registry's keys for attestations, as npm's keys.json");
}

/**
 * The policy that the flags state. USAGE if they state none, half an identity, or what excludes each other; the errors of
 * the files that they name.
 */
export async function policyOf(reference: string, flags: PolicyFlags): Promise<Policy> {
  const stated = await statedPolicy(reference, flags);
  if (flags.lock === undefined) {
    if (flags.lockName !== undefined) throw new UsageError('--lock-name needs --lock FILE');
    return stated ?? missing(reference, '--certificate-identity');
  }
  const { readPins } = await import('./signers-lock.ts');
  return {
    pins: readPins(flags.lock),
    ...(flags.lockName !== undefined && { name: flags.lockName }),
    ...(stated !== undefined && { also: stated }),
  };
}

/** What the flags say beside `--lock`; undefined if nothing. */
export async function statedPolicy(
  reference: string,
  flags: PolicyFlags,
): Promise<Exclude<Policy, PinPolicy> | undefined> {
  const identities = statedIdentities(reference, flags);
  const given = [
    ...(identities === undefined ? [] : ['an identity']),
    ...(flags.key === undefined ? [] : ['--key']),
    ...(flags.registryKeys === undefined ? [] : ['--registry-keys']),
    ...(flags.policy === undefined ? [] : ['--policy']),
  ];
  if (given.length > 1) {
    throw new UsageError(`${given.join(' and ')} exclude each other`, {
      hint: flags.policy === undefined ? 'a key proves no identity' : 'write the others into a rule of the policy',
    });
  }
  if (identities !== undefined) return identities;
  if (flags.key !== undefined) return keyPolicy(flags.key);
  if (flags.registryKeys !== undefined) return registryPolicy(flags.registryKeys);
  if (flags.policy === undefined) return undefined;
  // Loaded only for a policy in a file.
  const { readPolicy } = await import('./policy-file.ts');
  return readPolicy(flags.policy);
}

function statedIdentities(reference: string, flags: PolicyFlags): IdentityPolicy | undefined {
  const identities = [...pairedIdentities(reference, flags), ...(flags.from ?? []).flatMap(presetFlag)];
  const claims = (flags.require ?? []).map(requirement);
  for (const [i, { claim }] of claims.entries()) {
    if (claims.findIndex((other) => other.claim === claim) === i) continue;
    throw new UsageError(`--require ${flags.require?.[i]}: the same claim twice`, {
      hint: 'all of them have to be met',
    });
  }
  if (identities.length > 0) {
    return { identities: identities.map((each) => ({ ...each, claims: [...(each.claims ?? []), ...claims] })) };
  }
  if (claims.length > 0) {
    throw new UsageError('--require needs an identity whose claims they are', {
      hint: flags.policy === undefined ? '--from github:OWNER/REPO' : 'write it into a rule of the policy, as claims',
    });
  }
  return undefined;
}

// Pairs in the order given: a name and its issuer next to each other, whichever comes first. Anything else is refused, as
// nobody could tell which issuer goes with which name.
function pairedIdentities(reference: string, flags: PolicyFlags): ExpectedIdentity[] {
  const given = (Object.keys(PAIRED) as PairedFlag[])
    .flatMap((name) => (flags[name] ?? []).map(({ order, value }) => ({ ...PAIRED[name], order, value })))
    .sort((a, b) => a.order - b.order);
  const identities: ExpectedIdentity[] = [];
  for (let i = 0; i < given.length; i += 2) {
    const [one, other] = given.slice(i, i + 2);
    if (one === undefined) break;
    if (other === undefined || other.half === one.half) {
      const wanted = one.half === 'name' ? '--certificate-oidc-issuer' : '--certificate-identity';
      if (given.length === 1) return missing(reference, wanted);
      throw new UsageError(`${one.flag} ${shellWord(one.value)}: ${wanted} is missing beside it`, {
        hint: 'each identity is a pair: --certificate-identity NAME --certificate-oidc-issuer URL, then the next',
      });
    }
    const [name, issuer] = one.half === 'name' ? [one, other] : [other, one];
    identities.push({ issuer: matcherOf(issuer), subjectAlternativeName: matcherOf(name) });
  }
  return identities;
}

function matcherOf({ flag, value, parse }: { flag: string; value: string; parse: (text: string) => Matcher }): Matcher {
  // An empty text is what an unset variable of a script leaves behind.
  if (value === '') throw new UsageError(`${flag} is empty`);
  return usage(flag, () => parse(value));
}

const presetFlag = (text: string): ExpectedIdentity[] => usage('--from', () => parsePreset(text));

function requirement(text: string): ClaimRequirement {
  const at = text.indexOf('=');
  const value = text.slice(at + 1);
  if (at < 1 || value === '') {
    throw new UsageError(`--require ${shellWord(text)}: expected NAME=VALUE`, {
      hint: '--require runner-environment=github-hosted',
    });
  }
  return { claim: usage('--require', () => parseClaimName(text.slice(0, at))), matcher: exactly(value) };
}

// What is wrong with a word of the command line is a wrong command line.
function usage<T>(flag: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof HallmarkError)) throw cause;
    throw new UsageError(`${flag}: ${cause.message}`, { cause, ...(cause.hint !== undefined && { hint: cause.hint }) });
  }
}

async function keyPolicy(reference: string): Promise<KeyPolicy> {
  const { readKeyText } = await import('./key-source.ts');
  const pem = readKeyText(reference);
  return {
    key: parseNamed(`public key ${reference}`, 'give a public key in PEM', () => parsePublicKeyPem(pem)),
  };
}

function registryPolicy(path: string): RegistryPolicy {
  const bytes = readFileBounded(path, MAX_TRUST_FILE_BYTES, 'registry keys');
  return {
    registryKeys: parseNamed(`registry keys ${path}`, 'give the keys.json of the registry', () =>
      parseRegistryKeys(bytes),
    ),
  };
}

function missing(reference: string, flag: string): never {
  throw new UsageError(`say who must have signed: ${flag} is missing`, {
    hint: `hallmark verify ${shellWord(reference)} --certificate-identity you@example.com --certificate-oidc-issuer https://github.com/login/oauth
hallmark verify ${shellWord(reference)} --from github:OWNER/REPO
hallmark inspect BUNDLE shows whom a bundle names`,
  });
}

/** Adds the command-line flags that would accept what was found. */
export function withRemedy<T>(verify: () => T): T {
  try {
    return verify();
  } catch (error) {
    if (!(error instanceof IdentityMismatchError)) throw error;
    const accepting = error.found.flatMap((identity) => {
      const { subjectAlternativeName, issuer } = identity;
      const preset = presetOf(identity, error.claims);
      return [
        ...(preset === undefined ? [] : [`--from ${shellWord(preset)}`]),
        `--certificate-identity ${shellWord(subjectAlternativeName)} --certificate-oidc-issuer ${shellWord(issuer)}`,
      ];
    });
    throw new VerificationError(error.code, error.step, error.message, {
      cause: error,
      hint: ['if that is whom you expect:', ...accepting].join('\n'),
      ...(error.evidence !== undefined && { evidence: error.evidence }),
    });
  }
}
