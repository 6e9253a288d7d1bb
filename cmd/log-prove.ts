import { Command } from 'commander';
import type { Bundle, TransparencyLogEntry } from '../core/bundle/bundle.ts';
import { dialectOf, parseEntryBody } from '../core/bundle/entry.ts';
import { VerificationError } from '../core/errors.ts';
import { verifySignedCheckpoint } from '../core/verify/checkpoint.ts';
import { requireKnownLog } from '../core/verify/known-log.ts';
import type { ReadEntry } from '../core/verify/read-entry.ts';
import { BUNDLE_SUFFIX, readBundle, readBundleOf } from './bundle-file.ts';
import { type Cli, emit, outputOption } from './cli.ts';
import { entryLines, parseEntryReference, proofJson } from './log-entry.ts';
import { type LogFlags, type LogSource, logOptions, openLogSource } from './log-source.ts';
import { reportText } from './report.ts';

interface ProveFlags extends LogFlags {
  readonly bundle?: string;
}

/** `hallmark log prove`: a new inclusion proof, from the log as it is now. */
export function logProveCommand(cli: Cli): Command {
  const command = new Command('prove')
    .description('prove that a log has an entry now: of a signed file, or of an index or ID')
    .argument('<file|entry>', `a signed file, its bundle (FILE${BUNDLE_SUFFIX}), an index, or an entry ID (Rekor v1)`)
    .option('--bundle <file>', `the bundle of the file (default: FILE${BUNDLE_SUFFIX})`);
  return logOptions(command)
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
A bundle carries the proof that was made when it was signed. This asks the log again: that it still has the same entry, and
that it only grew since. It says nothing of who signed: hallmark verify does.

Examples:
  hallmark log prove release.tar.gz
  hallmark log prove 42 --rekor-version 2 --output json

Exit codes: 0 proven, 5 the log does not have it, or cannot be reached, 12 not proven.
`,
    )
    .action((what: string, flags: ProveFlags) => run(cli, what, flags));
}

async function run(cli: Cli, what: string, flags: ProveFlags): Promise<void> {
  const reference = flags.bundle === undefined ? parseEntryReference(what) : undefined;
  const source = reference === undefined ? undefined : openLogSource(cli, flags).client();
  if (source !== undefined && reference !== undefined) {
    const proven = typeof reference === 'bigint' ? await source.entryAt(reference) : await source.entryOf(reference);
    report(cli, flags, [proven]);
    return;
  }
  const isBundle = flags.bundle === undefined && what.endsWith('.json');
  const bundle = isBundle ? readBundle(what) : readBundleOf(what, flags.bundle).bundle;
  report(cli, flags, await proveBundle(bundle, openLogSource(cli, flags), flags.rekorUrl));
}

async function proveBundle(bundle: Bundle, source: LogSource, rekorUrl: string | undefined): Promise<ReadEntry[]> {
  if (bundle.tlogEntries.length === 0) {
    throw new VerificationError('LOG_ENTRY_MISSING', 'log', 'the bundle has no log entry', {
      evidence: 'verificationMaterial.tlogEntries',
    });
  }
  const proven: ReadEntry[] = [];
  for (const [i, entry] of bundle.tlogEntries.entries()) {
    proven.push(await proveEntry(entry, source, rekorUrl, `verificationMaterial.tlogEntries[${i}]`));
  }
  return proven;
}

// The log is the one that the trusted root knows by the entry's log ID; what the bundle says of a URL does not exist.
async function proveEntry(
  entry: TransparencyLogEntry,
  source: LogSource,
  rekorUrl: string | undefined,
  evidence: string,
): Promise<ReadEntry> {
  const log = requireKnownLog(entry, source.logs, [], evidence);
  const version = dialectOf(parseEntryBody(entry.canonicalizedBody));
  const client = source.clientOf({ url: rekorUrl ?? log.baseUrl, version });
  const proven = await client.proveAgain(entry);
  const [then, now] = [entry, proven.entry].map(({ inclusionProof }) => inclusionProof?.checkpoint);
  if (then !== undefined && now !== undefined) {
    const [before, after] = [then, now].map((envelope) => verifySignedCheckpoint(envelope, version, source.logs));
    // A shard that was frozen since has a tree of its own; the proof stands by itself.
    if (before && after && before.checkpoint.origin === after.checkpoint.origin) {
      await client.proveConsistency(before, after);
    }
  }
  return proven;
}

function report(cli: Cli, flags: ProveFlags, proven: readonly ReadEntry[]): void {
  emit(
    cli,
    flags.output,
    { ok: true, proofs: proven.map(proofJson) },
    proven.map((entry) => reportText(`PROVEN: ${entry.log.baseUrl} has the entry`, entryLines(entry))).join('\n'),
  );
}
