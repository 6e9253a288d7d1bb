import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { equal, serializeHex } from '../core/bytes/bytes.ts';
import { DuplicateSegment, type SealJob, type SegmentName } from './index/duplicate-segment.ts';
import { KeyTable } from './index/key-table.ts';
import { DamagedFile } from './index/paged-file.ts';
import { type Fingerprint, fingerprintOf } from './index/rows.ts';
import { createTurn } from './index/turn.ts';
import { IDENTITY_BYTES } from './store.ts';

/**
 * An exact index of the durable entries of one tree by a hash of IDENTITY_BYTES: by leaf hash, or by the identity that tells
 * duplicates. It is no part of the commit: whatever of it is lost in a crash is read again from the log.
 *
 * Every SEGMENT_ENTRIES entries make a segment. The newest one is a hash table in memory; each that is full is written to a
 * file of its own in the background and then read from there behind a filter in memory, so that neither the cost of an
 * append nor the memory for each entry depends on how many there are. Both hold 64 bits of each hash: what they find is
 * compared with the hash in the log, so that an answer is exact whatever the 64 bits are.
 *
 * A file is a cache. One that is missing, cut, altered or of another log is noticed when it is opened or read, and made again
 * from the log; an answer that needs it waits for that.
 */
export interface DuplicateIndex {
  /**
   * Takes in the entries up to `size` from the log. Called before the first use, and after the log was found longer than
   * expected. Errors: those of the store.
   */
  catchUp(size: bigint): Promise<void>;
  /** Takes in the entries first, first+1 ... that were just committed. `first` is the number of entries taken in so far. */
  add(first: bigint, hashes: readonly Uint8Array[]): void;
  /** For each hash the lowest index of an entry with it. Errors: those of the store. */
  find(hashes: readonly Uint8Array[]): Promise<(bigint | undefined)[]>;
  /** Waits for files that are being written. */
  close(): Promise<void>;
}

/** Reads the hashes of durable entries start .. end-1 of the log, end to end. */
export type ReadHashes = (start: bigint, end: bigint) => Promise<Uint8Array>;

/** Where sealed segments lie and who writes them. */
export interface SegmentFiles {
  readonly directory: string;
  /** Writes the file, off this thread. */
  readonly seal: (job: SealJob) => Promise<void>;
  /** Gets what is wrong with a file, or why none could be written. Nothing is lost by it. */
  readonly onFault: (error: unknown) => void;
}

export interface DuplicateIndexOptions {
  /** Tree and kind of hash, as it names files. */
  readonly name: string;
  readonly read: ReadHashes;
  /** Root of the log's tree of this size, which is never larger than what was taken in. */
  readonly rootAt: (size: bigint) => Promise<Uint8Array>;
  /** Undefined: all is kept in memory. */
  readonly files: SegmentFiles | undefined;
  /** Tests take fewer. */
  readonly segmentEntries?: number;
  /** Tests take one that collides. */
  readonly fingerprint?: (hash: Uint8Array) => Fingerprint;
}

/** 16 MB of memory while it is the newest one, 1.5 MB for the filter of a sealed one. */
const SEGMENT_ENTRIES = 2 ** 20;
/** Hashes that are read from the log at once: 64 full tiles. */
const READ_HASHES = 16_384;

/** A segment is in memory, in a file, or for a moment in both. */
interface Segment {
  table: KeyTable | undefined;
  file: DuplicateSegment | undefined;
  /** Under way while the table is made again. */
  repair: Promise<KeyTable> | undefined;
}

export function createDuplicateIndex(options: DuplicateIndexOptions): DuplicateIndex {
  const { name, read, rootAt, files, segmentEntries = SEGMENT_ENTRIES, fingerprint = fingerprintOf } = options;
  const seed = fingerprintOf(crypto.getRandomValues(new Uint8Array(8)));
  const segments: Segment[] = [];
  let taken = 0;
  let sealing: Promise<void> | undefined;
  let opened = false;

  const pathOf = (number: number): string => join(files?.directory ?? '', `${name}-${number}.idx`);
  const newTable = (): KeyTable => new KeyTable(segmentEntries, seed);

  function take(hash: Uint8Array): void {
    if (taken % segmentEntries === 0) segments.push({ table: newTable(), file: undefined, repair: undefined });
    segments.at(-1)?.table?.add(fingerprint(hash));
    taken++;
  }

  function add(first: bigint, hashes: readonly Uint8Array[]): void {
    if (Number(first) !== taken) throw new Error('internal: entries are indexed out of order');
    const before = segments.length;
    for (const hash of hashes) take(hash);
    if (segments.length > before || taken % segmentEntries === 0) void sealFull();
  }

  async function catchUp(size: bigint): Promise<void> {
    if (!opened) await openFiles(Number(size));
    opened = true;
    const turn = createTurn();
    while (taken < Number(size)) {
      const hashes = await readHashes(taken, Math.min(taken + READ_HASHES, Number(size)));
      for (let at = 0; at < hashes.length; at += IDENTITY_BYTES) {
        take(hashes.subarray(at, at + IDENTITY_BYTES));
        if (turn.isDue()) await turn.next();
      }
      // One after the other, so that a log whose files are all lost does not have to fit into memory.
      if (segments.some((segment) => isFull(segment))) await sealFull();
    }
  }

  // Segments whose files are as they were written, up to the first that is not; catchUp goes on from there.
  async function openFiles(size: number): Promise<void> {
    if (!files) return;
    for (let number = 0; (number + 1) * segmentEntries <= size; number++) {
      const file = await openFile(files, number);
      const segment: Segment = { table: undefined, file, repair: undefined };
      if (!file) segment.table = await tableOf(number);
      segments.push(segment);
      taken += segmentEntries;
      if (!file) await sealFull();
    }
  }

  async function openFile({ onFault }: SegmentFiles, number: number): Promise<DuplicateSegment | undefined> {
    try {
      return new DuplicateSegment(pathOf(number), await segmentName(number));
    } catch (error) {
      if (!(error instanceof DamagedFile)) throw error;
      onFault(error);
      return undefined;
    }
  }

  async function segmentName(number: number): Promise<SegmentName> {
    const end = (number + 1) * segmentEntries;
    return { name, start: number * segmentEntries, end, rootHash: serializeHex(await rootAt(BigInt(end))) };
  }

  async function tableOf(number: number): Promise<KeyTable> {
    const table = newTable();
    const turn = createTurn();
    const end = (number + 1) * segmentEntries;
    for (let at = number * segmentEntries; at < end; at += READ_HASHES) {
      const hashes = await readHashes(at, Math.min(at + READ_HASHES, end));
      for (let from = 0; from < hashes.length; from += IDENTITY_BYTES) {
        table.add(fingerprint(hashes.subarray(from, from + IDENTITY_BYTES)));
        if (turn.isDue()) await turn.next();
      }
    }
    return table;
  }

  async function readHashes(start: number, end: number): Promise<Uint8Array> {
    const hashes = await read(BigInt(start), BigInt(end));
    if (hashes.length !== (end - start) * IDENTITY_BYTES) throw new Error('internal: hashes are missing');
    return hashes;
  }

  const isFull = ({ table, file }: Segment): boolean => table?.size === segmentEntries && !file;

  /** Writes the segments that are full, one at a time. One that cannot be written stays in memory until the next attempt. */
  function sealFull(): Promise<void> {
    if (!files) return Promise.resolve();
    const { directory, seal, onFault } = files;
    sealing ??= (async () => {
      // The log has the root of what it just gave to `add` only when this turn is over.
      await Promise.resolve();
      for (const [number, segment] of segments.entries()) {
        if (!isFull(segment) || !segment.table) continue;
        try {
          mkdirSync(directory, { recursive: true, mode: 0o700 });
          const named = await segmentName(number);
          await seal({ path: pathOf(number), segment: named, keys: segment.table.keys });
          segment.file = new DuplicateSegment(pathOf(number), named);
          segment.table = undefined;
        } catch (error) {
          onFault(error);
        }
      }
    })().finally(() => {
      sealing = undefined;
    });
    return sealing;
  }

  /** Indexes whose fingerprint is the key's, ascending; or the number of a segment that has to be repaired first. */
  function candidates(key: Fingerprint): number[] | { readonly damaged: number } {
    const indexes: number[] = [];
    for (const [number, segment] of segments.entries()) {
      let places: number[];
      try {
        if (segment.table) places = segment.table.find(key);
        else if (segment.file) places = segment.file.find(key);
        else return { damaged: number };
      } catch (error) {
        if (!(error instanceof DamagedFile)) throw error;
        files?.onFault(error);
        segment.file?.close();
        segment.file = undefined;
        return { damaged: number };
      }
      for (const place of places) indexes.push(number * segmentEntries + place);
    }
    return indexes;
  }

  async function repair(number: number): Promise<void> {
    const segment = segments[number];
    if (!segment || segment.table) return;
    segment.repair ??= tableOf(number).finally(() => {
      segment.repair = undefined;
    });
    segment.table = await segment.repair;
    void sealFull();
  }

  async function findOne(hash: Uint8Array): Promise<bigint | undefined> {
    const key = fingerprint(hash);
    let found = candidates(key);
    while (!Array.isArray(found)) {
      await repair(found.damaged);
      found = candidates(key);
    }
    for (const index of found) {
      if (equal(await read(BigInt(index), BigInt(index) + 1n), hash)) return BigInt(index);
    }
    return undefined;
  }

  return {
    catchUp,
    add,
    async find(hashes) {
      const found: (bigint | undefined)[] = [];
      const turn = createTurn();
      for (const hash of hashes) {
        found.push(await findOne(hash));
        if (turn.isDue()) await turn.next();
      }
      return found;
    },
    async close() {
      await sealing;
      for (const { file } of segments) file?.close();
      segments.length = 0;
    },
  };
}
