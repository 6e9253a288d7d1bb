import { Command } from 'commander';
import { serializeBundle } from '../core/bundle/bundle.ts';
import { HallmarkError, UsageError } from '../core/errors.ts';
import { writeFileAtomic } from '../core/files.ts';
import { type SigningContext, signArtifact } from '../core/sign/sign.ts';
import type { Signer } from '../core/sign/signer.ts';
import type { VerifiedBundle } from '../core/verify/verify.ts';
import { readChunks } from './artifact.ts';
import { BUNDLE_SUFFIX } from './bundle-file.ts';
import { type Cli, emit, outputOption } from './cli.ts';
import { reportText } from './report.ts';
import { openSigning, type SigningFlags, signedJson, signedLines, signingOptions } from './signing.ts';

/** Files signed at once: enough to keep the services busy while one of them is slow, polite to their limits. */
const PARALLEL = 4;

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
      const jobs = planJobs(files, flags.bundle);
      const { signer, context } = await openSigning(cli, flags);
      const done = await signAll(cli, jobs, signer, context);
      // A bundle on standard output is the output.
      if (flags.bundle === '-') return;
      emit(
        cli,
        flags.output,
        { ok: true, signatures: done.map(({ job, verified }) => signedJson(job.file, job.bundle, verified)) },
        done
          .map(({ job, verified }) => reportText(`Signed: ${nameOf(job.file)}`, signedLines(job.bundle, verified)))
          .join(''),
      );
    });
}

interface Job {
  readonly file: string;
  readonly bundle: string;
}

/** Which bundle goes where; a UsageError before anybody logs in if that is not clear. */
function planJobs(files: readonly string[], bundle: string | undefined): Job[] {
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
    throw new UsageError('standard input has no name to make the bundle’s name of', {
      hint: `hallmark sign - --bundle OUT${BUNDLE_SUFFIX}`,
    });
  }
  return [...new Set(files)].map((file) => ({ file, bundle: `${file}${BUNDLE_SUFFIX}` }));
}

// Signs what can be signed and says what could not; then the first failure is the command's own.
async function signAll(
  cli: Cli,
  jobs: readonly Job[],
  signer: Signer,
  context: SigningContext,
): Promise<{ job: Job; verified: VerifiedBundle }[]> {
  const waiting = [...jobs.entries()];
  const done: { job: Job; verified: VerifiedBundle }[] = [];
  const failures: { job: Job; error: HallmarkError }[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [i, job] = next;
      try {
        done[i] = { job, verified: await signOne(cli, job, signer, context) };
        if (jobs.length > 1 && cli.interactive) cli.say(`signed ${job.file}`);
      } catch (error) {
        if (!(error instanceof HallmarkError)) throw error;
        failures.push({ job, error });
        if (jobs.length > 1) cli.say(`not signed: ${job.file}: ${error.message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, jobs.length) }, worker));
  const [first] = failures;
  if (first === undefined) return done;
  if (jobs.length > 1) cli.say(`${jobs.length - failures.length} of ${jobs.length} files signed`);
  throw first.error;
}

async function signOne(cli: Cli, job: Job, signer: Signer, context: SigningContext): Promise<VerifiedBundle> {
  const { bundle, verified } = await signArtifact(readChunks(job.file), signer, context);
  const text = `${serializeBundle(bundle)}`;
  if (job.bundle === '-') cli.out(text);
  else writeFileAtomic(job.bundle, text, 0o644);
  return verified;
}

const nameOf = (file: string): string => (file === '-' ? 'standard input' : file);
