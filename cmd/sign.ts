import { Command } from 'commander';
import { UsageError } from '../core/errors.ts';
import { BUNDLE_SUFFIX } from './bundle-file.ts';
import { type Cli, emit, outputOption } from './cli.ts';
import { reportText } from './report.ts';
import { type SigningJob, signFiles } from './sign-files.ts';
import { openSigning, type SigningFlags, signedJson, signedLines, signingOptions } from './signing.ts';

/** `hallmark sign FILE...`: one login, one key and one certificate for all files. */
export function signCommand(cli: Cli): Command {
  const command = new Command('sign')
    .description('Sign files with your identity, or with a key. Each signature is verified before it is written.')
    .argument('<file...>', `files to sign, each into FILE${BUNDLE_SUFFIX}; - for standard input`)
    .option('--bundle <out>', 'where the signature of a single file goes; - for standard output')
    .addOption(outputOption());
  return signingOptions(command)
    .addHelpText(
      'after',
      `
An existing bundle of the same name is replaced, once the new one is complete. Without a terminal nothing is asked: the
identity is that of --identity-token, of SIGSTORE_ID_TOKEN, or of the CI system or cloud that this runs in.

Examples:
  hallmark sign app.tar.gz                          log in with the browser
  hallmark sign --identity-token token *.tar.gz     one certificate for all
  hallmark sign --key release.key app.tar.gz
  tar c dir | hallmark sign - --bundle dir.tar${BUNDLE_SUFFIX}
`,
    )
    .action(async (files: string[], flags: SigningFlags) => {
      const done = await signFiles(cli, planJobs(files, flags.bundle), () => openSigning(cli, flags));
      // A bundle on standard output is the output.
      if (flags.bundle === '-') return;
      emit(
        cli,
        flags.output,
        { ok: true, signatures: done.map(({ job, verified }) => signedJson(job.file, job.bundle, verified)) },
        done.map(({ job, verified }) => reportText(title(job.file), signedLines(job.bundle, verified))).join(''),
      );
    });
}

/** Which bundle goes where; a UsageError before anybody logs in if that is not clear. */
function planJobs(files: readonly string[], bundle: string | undefined): SigningJob[] {
  if (bundle !== undefined) {
    const [file, ...more] = files;
    if (file === undefined || more.length > 0) {
      throw new UsageError('--bundle is for a single file', {
        hint: `leave it out: each FILE gets its own FILE${BUNDLE_SUFFIX}`,
      });
    }
    return [{ file, bundle }];
  }
  if (files.includes('-')) {
    throw new UsageError('standard input has no name to make a bundle name from', {
      hint: `hallmark sign - --bundle OUT${BUNDLE_SUFFIX}`,
    });
  }
  return [...new Set(files)].map((file) => ({ file, bundle: `${file}${BUNDLE_SUFFIX}` }));
}

const title = (file: string): string => `Signed: ${file === '-' ? 'standard input' : file}`;
