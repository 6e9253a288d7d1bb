import { Command } from 'commander';
import { serializeHex } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { parsePublicKeyPem } from '../core/crypto/public-key.ts';
import { PREDICATE_TYPES, predicateTypeUri } from '../core/dsse/predicate-types.ts';
import { UsageError, VerificationError } from '../core/errors.ts';
import { requiredHashes } from '../core/verify/artifact.ts';
import { IdentityMismatchError, type Matcher } from '../core/verify/identity.ts';
import { parsePattern } from '../core/verify/pattern.ts';
import type { Policy } from '../core/verify/signer.ts';
import { type VerifiedBundle, verifyBundle } from '../core/verify/verify.ts';
import { readArtifact } from './artifact.ts';
import { BUNDLE_SUFFIX, readBundleOf } from './bundle-file.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { instantText, reportText, shellWord } from './report.ts';
import { resolveTrust, type TrustFlags, trustOptions } from './trust-store.ts';

interface Flags extends TrustFlags {
  readonly bundle?: string;
  readonly certificateIdentity?: string;
  readonly certificateIdentityRegexp?: string;
  readonly certificateOidcIssuer?: string;
  readonly certificateOidcIssuerRegexp?: string;
  readonly key?: string;
  readonly type?: string;
  readonly output: OutputFormat;
}

/** `hallmark verify FILE|sha256:HEX|-`: never touches the network. */
export function verifyCommand(cli: Cli): Command {
  const command = new Command('verify')
    .description('Verify that a file was signed by whom you expect. Works offline, always.')
    .argument('<artifact>', 'the file, its digest as sha256:HEX, or - for standard input')
    .option('--bundle <file>', `the signature bundle, or - for standard input (default: ARTIFACT${BUNDLE_SUFFIX})`)
    .option('--certificate-identity <name>', 'who must have signed: an email address or URI, exactly')
    .option('--certificate-identity-regexp <regexp>', 'the same as a regular expression for the whole name')
    .option('--certificate-oidc-issuer <url>', 'who must have vouched for that identity: an OIDC issuer, exactly')
    .option('--certificate-oidc-issuer-regexp <regexp>', 'the same as a regular expression for the whole URL')
    .option('--key <ref>', 'instead of an identity: the public key, a PEM file or env://VARIABLE')
    .option(
      '--type <type>',
      `require an attestation of this type: ${Object.keys(PREDICATE_TYPES).join(', ')}, or a URI`,
    )
    .addOption(outputOption());
  return trustOptions(command)
    .addHelpText(
      'after',
      `
Regular expressions match the whole text, as if written between ^ and $.

Examples:
  hallmark verify app.tar.gz --certificate-identity you@example.com --certificate-oidc-issuer https://github.com/login/oauth
  hallmark verify app.tar.gz --key release.pub
  hallmark verify sha256:HEX --bundle app${BUNDLE_SUFFIX} --type slsaprovenance1 \\
    --certificate-identity-regexp 'https://github\\.com/org/repo/.*' \\
    --certificate-oidc-issuer https://token.actions.githubusercontent.com

Exit codes: 0 verified, 10 no signature found, 12 rejected, 2 wrong command line, 3 unusable input, 7 no trust material.
`,
    )
    .action(async (reference: string, flags: Flags) => {
      const policy = await policyOf(reference, flags);
      const predicateType = flags.type === undefined ? undefined : predicateTypeUri(flags.type);
      const { bundle } = readBundleOf(reference, flags.bundle);
      const trust = resolveTrust(cli, flags);
      for (const warning of trust.warnings) cli.warn(warning);
      const artifact = readArtifact(reference, requiredHashes(bundle, 'key' in policy ? policy.key : undefined));
      const verified = withRemedy(() =>
        verifyBundle(bundle, {
          trustedRoot: trust.trustedRoot,
          policy,
          artifact,
          now: cli.now(),
          ...(predicateType !== undefined && { predicateType }),
        }),
      );
      emit(cli, flags.output, { ok: true, ...json(reference, verified), trust: trust.name }, text(reference, verified));
    });
}

async function policyOf(reference: string, flags: Flags): Promise<Policy> {
  const subjectAlternativeName = matcher('identity', flags.certificateIdentity, flags.certificateIdentityRegexp);
  const issuer = matcher('oidc-issuer', flags.certificateOidcIssuer, flags.certificateOidcIssuerRegexp);
  if (flags.key !== undefined) {
    if (subjectAlternativeName !== undefined || issuer !== undefined) {
      throw new UsageError('--key and --certificate-* exclude each other', { hint: 'a key proves no identity' });
    }
    const { readKeyText } = await import('./key-source.ts');
    return { key: parsePublicKeyPem(readKeyText(flags.key)) };
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

/** Adds the command-line flags that would accept what was found. */
function withRemedy<T>(verify: () => T): T {
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

function text(reference: string, verified: VerifiedBundle): string {
  const { signer, times, logEntries, artifact, statement } = verified;
  return reportText(`Verified: ${reference}`, [
    signer.kind === 'certificate'
      ? ['signed by', signer.subjectAlternativeName]
      : ['signed by', `the given key, sha256:${serializeHex(signer.fingerprint)}`],
    ['vouched for by', signer.kind === 'certificate' ? signer.issuer : undefined],
    ['attests', statement?.predicateType],
    ['signed at', ...times.map((time) => `${instantText(time.time)} (${time.source} ${urlOf(time)})`)],
    ['logged in', ...logEntries.map(({ log, logIndex }) => `${log.baseUrl}, index ${logIndex}`)],
    [artifact.hash, serializeHex(artifact.digest)],
  ]);
}

function json(reference: string, verified: VerifiedBundle): Record<string, Json> {
  const { signer, times, logEntries, artifact, statement } = verified;
  return {
    artifact: { reference, hash: artifact.hash, digest: serializeHex(artifact.digest) },
    signer:
      signer.kind === 'key'
        ? { kind: 'key', fingerprint: `sha256:${serializeHex(signer.fingerprint)}` }
        : {
            kind: 'certificate',
            subjectAlternativeName: signer.subjectAlternativeName,
            issuer: signer.issuer,
            claims: { ...signer.claims },
            certificate: {
              serialNumber: serializeHex(signer.certificate.serialNumber),
              notBefore: signer.certificate.notBefore.toISOString(),
              notAfter: signer.certificate.notAfter.toISOString(),
            },
          },
    times: times.map((time) => ({ time: time.time.toISOString(), source: time.source, url: urlOf(time) })),
    logEntries: logEntries.map(({ log, logIndex, integratedTime, kind, version }) => ({
      url: log.baseUrl,
      logId: serializeHex(log.logId),
      logIndex: String(logIndex),
      integratedTime: integratedTime?.toISOString() ?? null,
      kind,
      version,
    })),
    statement:
      statement === undefined
        ? null
        : {
            predicateType: statement.predicateType,
            subjects: statement.subjects.map(({ name, digest }) => ({ name: name ?? null, digest: { ...digest } })),
          },
  };
}

function urlOf(time: VerifiedBundle['times'][number]): string {
  return time.source === 'log' ? time.log.baseUrl : (time.authority.uri ?? '');
}
