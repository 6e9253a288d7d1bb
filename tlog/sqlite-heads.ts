/**
 * What a store acknowledged, kept beside its database in `log.db-heads`: of each tree the newest size that was durable.
 *
 * A write-ahead log that is lost or cut short leaves a sound, older database. So each commit, once it is durable and before it
 * is acknowledged, is written here too, and whoever opens the database compares: a database behind this file lost answers.
 *
 * The write is one of a record that lies within one sector, without fsync: it outlives the process with the page cache. After a
 * loss of power it may be behind the database, or unreadable, which is taken for unknown; ahead of it only if the disk did not
 * keep what it said it had. For the same reason a record that cannot be written (a full disk) fails nothing.
 *
 * Told by it: a `log.db-wal` that is removed, cut short, damaged or of another time; an older `log.db` put
 * back alone. Not told:
 * the same together with this file, or a whole directory that went back. Witnesses and monitors are there for that.
 */
import { Database } from 'bun:sqlite';
import { closeSync, fsyncSync, openSync, statSync, writeSync } from 'node:fs';
import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { StorageError } from '../core/errors.ts';
import { createPrivateFile, fileExists, readFileBounded } from '../core/files.ts';
import { MAX_LOG_SHARDS } from '../core/limits.ts';

/** Divides a sector, so that no record is half written. */
const RECORD_BYTES = 64;
/** Shards of both logs that are rotated, and the CT log. */
const MAX_RECORDS = 2 * MAX_LOG_SHARDS + 1;

const fileOf = (database: string): string => `${database}-heads`;

/** Where a store writes down what it is about to acknowledge. It never throws. */
export interface HeadsFile {
  record(tree: string, treeSize: bigint): void;
  /** Waits until the disk has it. */
  sync(): void;
  close(): void;
}

/** Of the database at this path, for all trees anew. One that cannot be opened takes nothing. */
export function openHeadsFile(database: string): HeadsFile {
  const slots = new Map<string, number>();
  let fd: number | undefined;
  const quietly = (action: () => void): void => {
    try {
      action();
    } catch {
      // The record stays behind, which is allowed: what it is about is in the database.
    }
  };
  quietly(() => {
    createPrivateFile(fileOf(database));
    fd = openSync(fileOf(database), 'r+');
  });
  return {
    record: (tree, treeSize) =>
      quietly(() => {
        const slot = slots.get(tree) ?? slots.size;
        if (fd === undefined || slot >= MAX_RECORDS) return;
        writeSync(fd, serializeUtf8(serializeRecord(tree, treeSize)), 0, RECORD_BYTES, slot * RECORD_BYTES);
        slots.set(tree, slot);
      }),
    sync: () => quietly(() => fd !== undefined && fsyncSync(fd)),
    close: () => quietly(() => fd !== undefined && closeSync(fd)),
  };
}

/**
 * Compares a database that is there with what was acknowledged from it; neither it nor its write-ahead log is changed. May be
 * open elsewhere and being written. LOG_FORKED; those of readFileBounded and of SQLite.
 */
export function requireAcknowledged(database: string): void {
  // One without content is for openDatabase: SQLite would delete the write-ahead log beside it.
  if (!fileExists(fileOf(database)) || !(statSync(database, { throwIfNoEntry: false })?.size ?? 0)) return;
  // Before the database is read, for that only grows.
  const bytes = readFileBounded(fileOf(database), MAX_RECORDS * RECORD_BYTES, 'file of acknowledged heads');
  const records = recordsOf(bytes).flatMap((line) => parseRecord(line) ?? []);
  if (records.length === 0) return;
  // The last writing connection to be closed would copy what is left of a damaged write-ahead log, and delete it.
  const reader = new Database(database, { readonly: true, strict: true, safeIntegers: true });
  try {
    for (const { tree, treeSize } of records) {
      const size = sizeOf(reader, tree);
      if (size >= treeSize) continue;
      throw new StorageError(
        'LOG_FORKED',
        `the log ${tree} must not go on: ${database} holds ${size} entries, and was answered for when it had ${treeSize}`,
        {
          hint: `put the ${database}-wal back that lay beside it: the newest entries are there alone; if it is lost, so are they, and a new log has to begin`,
        },
      );
    }
  } finally {
    reader.close();
  }
}

function sizeOf(reader: Database, tree: string): bigint {
  const table = `${tree}_head`;
  const isThere = reader.query<unknown, [string]>('SELECT 1 FROM sqlite_schema WHERE name = ?').get(table);
  return isThere === null ? 0n : (reader.query<{ size: bigint }, []>(`SELECT size FROM ${table}`).get()?.size ?? 0n);
}

interface Acknowledged {
  readonly tree: string;
  readonly treeSize: bigint;
}

/** What tells a record from one that was never written whole. */
const checksumOf = (members: string): string => serializeHex(sha256(serializeUtf8(members)).subarray(0, 8));

/** `tree size checksum`, filled with spaces up to the end of its line. */
function serializeRecord(tree: string, treeSize: bigint): string {
  const members = `${tree} ${treeSize}`;
  return `${`${members} ${checksumOf(members)}`.padEnd(RECORD_BYTES - 1)}\n`;
}

function parseRecord(line: string): Acknowledged | undefined {
  const [, members = '', tree = '', size = '', checksum] =
    /^(([a-z][a-z0-9]*) ([0-9]{1,19})) ([0-9a-f]{16}) *\n$/.exec(line) ?? [];
  return checksum === undefined || checksum !== checksumOf(members) ? undefined : { tree, treeSize: BigInt(size) };
}

const recordsOf = (bytes: Uint8Array): string[] =>
  Array.from({ length: Math.ceil(bytes.length / RECORD_BYTES) }, (_, slot) =>
    Buffer.from(bytes.subarray(slot * RECORD_BYTES, (slot + 1) * RECORD_BYTES)).toString('latin1'),
  );
