import { join } from 'node:path';
import { parseUtf8, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { InputError, parseNamed, VerificationError } from '../core/errors.ts';
import { makeFolder, readFileBounded, writeFileAtomic } from '../core/files.ts';
import { MAX_NOTE_BYTES } from '../core/limits.ts';
import type { LogClient } from '../core/log/log-client.ts';
import { type SignedCheckpoint, verifySignedCheckpoint } from '../core/verify/checkpoint.ts';
import type { Cli } from './cli.ts';
import { shellWord } from './report.ts';
import { xdgDirectory } from './xdg.ts';

/*
 * $XDG_DATA_HOME/hallmark/logs/HASH.note is the largest checkpoint that this user was shown by a log and that was proven to
 * extend the one before. HASH is that of log ID and origin, so that another log, or another shard, is another file. A
 * checkpoint that contradicts it is kept beside it as HASH.contradiction.note: both are signed, together they are proof.
 */

/** Where the memory of a log is; undefined without a home directory. */
function memoryPath(cli: Cli, { log, checkpoint }: SignedCheckpoint): string | undefined {
  const folder = xdgDirectory(cli, 'data');
  const name = serializeHex(sha256(log.logId, serializeUtf8(checkpoint.origin)));
  return folder && join(folder, 'logs', `${name}.note`);
}

/** The checkpoint that was remembered of the log that `now` is of, verified again; undefined if there is none. */
function readMemory(cli: Cli, now: SignedCheckpoint, version: 1 | 2): SignedCheckpoint | undefined {
  const path = memoryPath(cli, now);
  if (path === undefined) return undefined;
  let note: string;
  try {
    note = parseUtf8(readFileBounded(path, MAX_NOTE_BYTES, 'remembered checkpoint'));
  } catch (error) {
    if (error instanceof InputError && error.code === 'INPUT_MISSING') return undefined;
    throw error;
  }
  const hint = `it was damaged; what was remembered is lost with it: rm ${shellWord(path)}`;
  return parseNamed(path, hint, () => verifySignedCheckpoint(note, version, [now.log]));
}

/**
 * Compares what a log shows now with what it had shown before, and remembers it. Returns what was remembered. A log that
 * shows less than before, or another tree, is a CONSISTENCY_PROOF_WRONG whose hint names the two checkpoints.
 */
export async function compareWithMemory(
  cli: Cli,
  client: LogClient,
  now: SignedCheckpoint,
): Promise<SignedCheckpoint | undefined> {
  const path = memoryPath(cli, now);
  if (path === undefined) return undefined;
  const before = readMemory(cli, now, client.address.version);
  if (before === undefined) {
    makeFolder(join(path, '..'), 0o755);
    writeFileAtomic(path, now.envelope, 0o644);
    return undefined;
  }
  const [then, size] = [before.checkpoint.treeSize, now.checkpoint.treeSize];
  if (size < then) {
    throw contradiction(path, now, `${client.address.url} shows ${size} entries and had shown ${then} before`);
  }
  try {
    await client.proveConsistency(before, now);
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    throw contradiction(
      path,
      now,
      `${client.address.url} shows another tree of ${size} entries than the one that began with ${then}: ${error.message}`,
      error,
    );
  }
  if (size > then) writeFileAtomic(path, now.envelope, 0o644);
  return before;
}

function contradiction(path: string, now: SignedCheckpoint, message: string, cause?: unknown): VerificationError {
  const kept = path.replace(/\.note$/, '.contradiction.note');
  writeFileAtomic(kept, now.envelope, 0o644);
  return new VerificationError('CONSISTENCY_PROOF_WRONG', 'log', message, {
    evidence: kept,
    hint: `the log forked or went back; both signed checkpoints were kept, show them to its users: ${shellWord(path)} ${shellWord(kept)}`,
    cause,
  });
}
