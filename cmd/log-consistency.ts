import { Command } from 'commander';
import { parseBundle } from '../core/bundle/bundle.ts';
import { parseUtf8, serializeBase64, serializeHex } from '../core/bytes/bytes.ts';
import { HallmarkError, InputError, parseNamed, UsageError } from '../core/errors.ts';
import { readFileBounded, readStdinBounded } from '../core/files.ts';
import { MAX_BUNDLE_BYTES } from '../core/limits.ts';
import { isV1Style, parseCheckpoint } from '../core/merkle/checkpoint.ts';
import type { LogInstance } from '../core/trust/trusted-root.ts';
import { type SignedCheckpoint, verifySignedCheckpoint } from '../core/verify/checkpoint.ts';
import { type Cli, emit, outputOption } from './cli.ts';
import { compareWithMemory } from './log-memory.ts';
import { type LogFlags, logOptions, openLogSource } from './log-source.ts';
import { reportText } from './report.ts';

/** `hallmark log consistency [OLD] [NEW]`: that one checkpoint of a log extends another. */
export function logConsistencyCommand(cli: Cli): Command {
  const command = new Command('consistency')
    .description('prove that a log only grew between two checkpoints')
    .argument('[old]', 'a checkpoint, or a bundle that carries one (default: the one seen last time)')
    .argument('[new]', 'another (default: the newest one of the log)');
  return logOptions(command)
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Both checkpoints have to be signed by a log of the trusted root; the proof comes from the log and is verified here.

Examples:
  hallmark log consistency
  hallmark log consistency old.note
  hallmark log consistency release.tar.gz.sigstore.json new.note --output json

Exit codes: 0 consistent, 12 the log forked, went back, or did not sign one of them.
`,
    )
    .action((old: string | undefined, other: string | undefined, flags: LogFlags) =>
      consistency(cli, old, other, flags),
    );
}

async function consistency(
  cli: Cli,
  oldFile: string | undefined,
  newFile: string | undefined,
  flags: LogFlags,
): Promise<void> {
  const source = openLogSource(cli, flags);
  const old = oldFile === undefined ? undefined : readCheckpoint(oldFile, source.logs);
  const other = newFile === undefined ? undefined : readCheckpoint(newFile, source.logs);
  // What was read from a file says which log it is of, unless the flags do.
  const named = old ?? other;
  const client =
    named === undefined || flags.rekorUrl !== undefined
      ? source.client()
      : source.clientOf({ url: named.log.baseUrl, version: isV1Style(named.checkpoint) ? 1 : 2 });
  const last = other ?? (await client.checkpoint());
  // What the log showed just now is compared and remembered; what is in a file may be old.
  const seen = newFile === undefined ? await compareWithMemory(cli, client, last) : undefined;
  const first = old ?? seen;
  if (first === undefined) {
    throw new UsageError(`nothing was remembered of ${client.address.url} until now`, {
      hint: 'run the command again to compare with what it shows now; or name an older checkpoint: hallmark log consistency FILE',
    });
  }
  const hashes = await client.proveConsistency(first, last);

  const [smaller, larger] = [first, last].sort((a, b) => (a.checkpoint.treeSize < b.checkpoint.treeSize ? -1 : 1));
  const shown = [smaller ?? first, larger ?? last].map(({ checkpoint: { treeSize, rootHash } }) => ({
    treeSize: String(treeSize),
    rootHash: serializeHex(rootHash),
  }));
  const [older, newer] = shown;
  emit(
    cli,
    flags.output,
    {
      ok: true,
      url: client.address.url,
      origin: last.checkpoint.origin,
      older: older ?? null,
      newer: newer ?? null,
      hashes: hashes.map(serializeBase64),
    },
    reportText(`CONSISTENT: ${client.address.url}`, [
      ['origin', last.checkpoint.origin],
      ['older', `${older?.treeSize} entries, root ${older?.rootHash}`],
      ['newer', `${newer?.treeSize} entries, root ${newer?.rootHash}`],
      ['proof', `${hashes.length} hashes`],
    ]),
  );
}

/** A signed note, or a bundle: the first of its checkpoints that a known log signed. */
function readCheckpoint(path: string, logs: readonly LogInstance[]): SignedCheckpoint {
  const what = 'checkpoint';
  const bytes = path === '-' ? readStdinBounded(MAX_BUNDLE_BYTES, what) : readFileBounded(path, MAX_BUNDLE_BYTES, what);
  const hint = 'give a checkpoint as the log serves it, or a bundle';
  return parseNamed(path === '-' ? 'standard input' : path, hint, () => {
    if (bytes[0] !== 0x7b) return verified(parseUtf8(bytes), logs);
    const envelopes = parseBundle(bytes).tlogEntries.flatMap(({ inclusionProof }) => inclusionProof?.checkpoint ?? []);
    let failure: HallmarkError = new InputError('CHECKPOINT_INVALID', 'the bundle carries no checkpoint');
    for (const envelope of envelopes) {
      try {
        return verified(envelope, logs);
      } catch (error) {
        if (!(error instanceof HallmarkError)) throw error;
        failure = error;
      }
    }
    throw failure;
  });
}

const verified = (envelope: string, logs: readonly LogInstance[]): SignedCheckpoint =>
  verifySignedCheckpoint(envelope, isV1Style(parseCheckpoint(envelope)) ? 1 : 2, logs);
