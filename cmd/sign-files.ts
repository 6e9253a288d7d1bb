import { statSync } from 'node:fs';
import { serializeBundle } from '../core/bundle/bundle.ts';
import { HallmarkError } from '../core/errors.ts';
import { requireWritableFile, writeFileAtomic } from '../core/files.ts';
import { type SigningContext, signArtifact } from '../core/sign/sign.ts';
import type { Signer } from '../core/sign/signer.ts';
import type { VerifiedBundle } from '../core/verify/verify.ts';
import { readChunks } from './artifact.ts';
import type { Cli } from './cli.ts';
import { errorJson, PartialFailure } from './exit.ts';
import { startProgress } from './progress.ts';
import { printable } from './report.ts';
import { signedJson } from './signing.ts';

/** One file to sign and where its bundle goes; `-` for standard input and output. */
export interface SigningJob {
  readonly file: string;
  readonly bundle: string;
}

interface SignedJob {
  readonly job: SigningJob;
  readonly verified: VerifiedBundle;
}

interface FailedJob {
  readonly job: SigningJob;
  readonly error: HallmarkError;
}

/** Files signed at once: enough to keep the services busy while one of them is slow, polite to their limits. */
const PARALLEL = 4;

/**
 * Signs all, after one login by `open`. Files that cannot be read or bundles that cannot be written are found before
 * anybody logs in or anything is logged, and then nothing is signed. Of what fails later the rest is signed, and reported
 * together with it: the first failure is thrown, of several files as a PartialFailure.
 */
export async function signFiles(
  cli: Cli,
  jobs: readonly SigningJob[],
  open: () => Promise<{ signer: Signer; context: SigningContext }>,
): Promise<SignedJob[]> {
  const failed: FailedJob[] = [];
  for (const job of jobs) requireUsableOr(job, failed);
  const done = failed.length > 0 ? [] : await signAll(cli, jobs, await open(), failed);
  const [first] = failed;
  if (first === undefined) return done;
  if (jobs.length === 1) throw first.error;
  for (const { job } of done) cli.say(`signed: ${printable(job.file)}`);
  for (const { job, error } of failed) cli.say(`not signed: ${printable(job.file)}: ${printable(error.message)}`);
  cli.say(`${done.length} of ${jobs.length} files signed`);
  throw new PartialFailure(first.error, {
    signatures: done.map(({ job, verified }) => signedJson(job.file, job.bundle, verified)),
    failed: failed.map(({ job, error }) => ({ ...job, error: errorJson(error) })),
  });
}

function requireUsableOr(job: SigningJob, failed: FailedJob[]): void {
  try {
    requireUsable(job);
  } catch (error) {
    if (!(error instanceof HallmarkError)) throw error;
    failed.push({ job, error });
  }
}

async function signAll(
  cli: Cli,
  jobs: readonly SigningJob[],
  { signer, context }: { signer: Signer; context: SigningContext },
  failed: FailedJob[],
): Promise<SignedJob[]> {
  const progress = await startProgress(cli);
  const waiting = [...jobs.entries()];
  const done: SignedJob[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [i, job] = next;
      progress.show(jobs.length === 1 ? `Signing ${job.file}` : `Signing ${i + 1} of ${jobs.length}: ${job.file}`);
      try {
        done[i] = { job, verified: await signOne(cli, job, signer, context) };
      } catch (error) {
        if (!(error instanceof HallmarkError)) throw error;
        failed.push({ job, error });
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(PARALLEL, jobs.length) }, worker));
  } finally {
    progress.end();
  }
  return done.filter((signed) => signed !== undefined);
}

async function signOne(cli: Cli, job: SigningJob, signer: Signer, context: SigningContext): Promise<VerifiedBundle> {
  const { bundle, verified } = await signArtifact(readChunks(job.file), signer, context);
  writeBundle(cli, job.bundle, serializeBundle(bundle));
  return verified;
}

/** Writes a finished bundle to a file, whole or not at all, or for `-` to standard output. FILE_UNWRITABLE. */
export function writeBundle(cli: Cli, path: string, text: string): void {
  if (path === '-') cli.out(text);
  else writeFileAtomic(path, text, 0o644);
}

function requireUsable({ file, bundle }: SigningJob): void {
  if (file !== '-') {
    const found = statSync(file, { throwIfNoEntry: false });
    // The first chunk says whether it can be read; a pipe is left alone, for what is read of it is gone.
    if (found === undefined || found.isFile() || found.isDirectory()) {
      const chunks = readChunks(file);
      chunks.next();
      chunks.return();
    }
  }
  requireWritable(bundle);
}

/** Throws FILE_UNWRITABLE if a bundle cannot be written there: better than after its signature is in the log. */
export function requireWritable(path: string): void {
  if (path !== '-') requireWritableFile(path);
}
