import { Command, InvalidArgumentError } from 'commander';
import { PREDICATE_TYPES } from '../core/dsse/predicate-types.ts';
import { UsageError } from '../core/errors.ts';
import { BUNDLE_SUFFIX } from './bundle-file.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { trustOptions } from './trust-store.ts';
import { prepareVerify, type VerifyFlags } from './verify-one.ts';
import { policyOptions } from './verify-policy.ts';
import { verifiedJson, verifiedText } from './verify-report.ts';

interface Flags extends VerifyFlags {
  readonly bundle?: string;
  readonly filesFrom?: string;
  readonly all?: boolean;
  readonly jobs?: number;
  readonly output: OutputFormat;
}

/** More threads than that only cost memory. */
const MAX_JOBS = 256;

/** `hallmark verify FILE|FOLDER|sha256:HEX|- ...`: never touches the network. */
export function verifyCommand(cli: Cli): Command {
  const command = new Command('verify')
    .description('Verify that files were signed by whom you expect. Works offline, always.')
    .argument('[artifact...]', 'files, folders of signed files, a digest as sha256:HEX, or - for standard input')
    .option('--bundle <file>', `the signature bundle, or - for standard input (default: ARTIFACT${BUNDLE_SUFFIX})`)
    .option(
      '--files-from <file>',
      'verify the files listed there, one a line or each ended by a NUL; - for standard input',
    )
    .option(
      '--all',
      'in a folder everything has to be a file with a signature; without it what has none is passed over',
    )
    .option('--jobs <number>', 'threads that verify many files (default: as many as pay)', parseJobs)
    .option(
      '--type <type>',
      `require an attestation of this type: ${Object.keys(PREDICATE_TYPES).join(', ')}, or a URI (default: any, and plain signatures)`,
    )
    .addOption(outputOption());
  return trustOptions(policyOptions(command))
    .addHelpText(
      'after',
      `
Regular expressions match the whole text, as if written between ^ and $.

Examples:
  hallmark verify app.tar.gz --certificate-identity you@example.com --certificate-oidc-issuer https://github.com/login/oauth
  hallmark verify app.tar.gz --from github:OWNER/REPO
  hallmark verify app.tar.gz --key release.pub
  hallmark verify dist/ --all --key release.pub --output json
  hallmark verify sha256:HEX --bundle app${BUNDLE_SUFFIX} --type slsaprovenance1 \\
    --certificate-identity-regexp 'https://github\\.com/org/repo/.*' \\
    --certificate-oidc-issuer https://token.actions.githubusercontent.com

Exit codes: 0 verified, 10 no signature found, 12 rejected, 2 wrong command line, 3 unusable input, 7 no trust material.
Of many files: 12 if any is rejected, else the code of the first that is not verified.
`,
    )
    .action((references: string[], flags: Flags) => verifyReferences(cli, references, flags));
}

async function verifyReferences(cli: Cli, named: readonly string[], flags: Flags): Promise<void> {
  const [only, ...others] = named;
  if (only === undefined && flags.filesFrom === undefined) {
    throw new UsageError('say what to verify', { hint: 'hallmark verify FILE ...' });
  }
  if (only !== undefined && others.length === 0 && flags.filesFrom === undefined) {
    const { isFolder } = await import('./verify-list.ts');
    if (!isFolder(only)) return verifyOne(cli, only, flags);
  }
  if (flags.bundle !== undefined) {
    throw new UsageError('--bundle is about one file', {
      hint: `many files have theirs beside them, FILE${BUNDLE_SUFFIX}`,
    });
  }
  // Loaded only here: one file is verified without it, and sooner.
  const { expandFolders, readFileList } = await import('./verify-list.ts');
  const { verifyMany } = await import('./verify-many.ts');
  const listed = flags.filesFrom === undefined ? [] : readFileList(flags.filesFrom);
  const expanded = expandFolders([...named, ...listed], flags.all ?? false);
  const { passedOver } = expanded;
  if (passedOver > 0) cli.warn(`passed over ${passedOver} without a signature; --all refuses them`);
  return verifyMany(cli, expanded, flags);
}

async function verifyOne(cli: Cli, reference: string, flags: Flags): Promise<void> {
  const { verify, warnings } = await prepareVerify(cli, flags, reference);
  for (const warning of warnings) cli.warn(warning);
  const result = verify(reference, flags.bundle);
  emit(cli, flags.output, verifiedJson(result), verifiedText(result));
}

function parseJobs(text: string): number {
  const jobs = /^[1-9][0-9]{0,2}$/.test(text) ? Number(text) : 0;
  if (jobs < 1 || jobs > MAX_JOBS) throw new InvalidArgumentError(`Give a number from 1 to ${MAX_JOBS}.`);
  return jobs;
}
