import { Command } from 'commander';
import { PREDICATE_TYPES, predicateTypeUri } from '../core/dsse/predicate-types.ts';
import { requiredHashes } from '../core/verify/artifact.ts';
import { verifyBundle } from '../core/verify/verify.ts';
import { readArtifact } from './artifact.ts';
import { BUNDLE_SUFFIX, readBundleOf } from './bundle-file.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { resolveTrust, type TrustFlags, trustOptions } from './trust-store.ts';
import { type PolicyFlags, policyOf, policyOptions, withRemedy } from './verify-policy.ts';
import { verifiedJson, verifiedText } from './verify-report.ts';

interface Flags extends TrustFlags, PolicyFlags {
  readonly bundle?: string;
  readonly type?: string;
  readonly output: OutputFormat;
}

/** `hallmark verify FILE|sha256:HEX|-`: never touches the network. */
export function verifyCommand(cli: Cli): Command {
  const command = new Command('verify')
    .description('Verify that a file was signed by whom you expect. Works offline, always.')
    .argument('<artifact>', 'the file, its digest as sha256:HEX, or - for standard input')
    .option('--bundle <file>', `the signature bundle, or - for standard input (default: ARTIFACT${BUNDLE_SUFFIX})`)
    .option(
      '--type <type>',
      `require an attestation of this type: ${Object.keys(PREDICATE_TYPES).join(', ')}, or a URI`,
    )
    .addOption(outputOption());
  return trustOptions(policyOptions(command))
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
      emit(
        cli,
        flags.output,
        { ok: true, ...verifiedJson(reference, verified), trust: trust.name },
        verifiedText(reference, verified),
      );
    });
}
