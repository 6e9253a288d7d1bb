/**
 * A log that publishes only what witnesses cosigned. It stands before the log engine: entries are durable in the engine at
 * once, but everything that is read through here refers to the *published* head, a durable head with cosignatures.
 *
 * The rule
 *   1. The published head is never larger than the durable one and never goes back: each is stored (`PublishedHead`)
 *      before anybody sees it, and replaced only by one of a durable head that was read later.
 *   2. Witnesses are asked about durable heads alone. One that was signed for a commit that then failed never leaves the
 *      engine, so no witness ever holds a tree that the log does not have.
 *   3. `append` is answered once a published head covers the entry, with that head and a proof in its tree. It waits for
 *      `answerMs` at most; then it fails although the entry is logged, and a repeated submission finds it.
 *   4. Fail closed: with fewer than `threshold` distinct witnesses nothing is published, and before the first publication
 *      there is no head at all. Fail open: it is published without them, `onEvent` says so, and they are asked again.
 *
 * What a crash means
 *   while witnesses are asked: some have cosigned a durable head; the next head extends it.
 *   after a published head was stored, before it is seen: the restart publishes it; it is as good as the others.
 *   A start finds the stored head in its own tree, or refuses: the database was replaced by an older one.
 *
 * Ownership: `published` is replaced by the publisher alone (one loop, one round at a time). `waiting` changes between awaits.
 */
import { equal, serializeHex } from '../core/bytes/bytes.ts';
import { StorageError } from '../core/errors.ts';
import { MAX_WAITING_PUBLICATIONS } from '../core/limits.ts';
import { parseCheckpoint } from '../core/merkle/checkpoint.ts';
import { verifyCosignatures } from '../core/merkle/cosignature.ts';
import { type NoteSignature, serializeSignatureLines } from '../core/merkle/note.ts';
import { EMPTY_ROOT, verifyInclusion } from '../core/merkle/tree.ts';
import type { CheckpointSigner } from './checkpoint-signer.ts';
import { forked } from './faults.ts';
import type { Appended, Log } from './log.ts';
import type { LogReader } from './log-reader.ts';
import { tileWidth } from './tree-edge.ts';
import type { WitnessAddress, WitnessClient } from './witness-client.ts';

/** Who has to cosign, and what if too few do. */
export interface WitnessPolicy {
  /** Distinct keys. */
  readonly witnesses: readonly WitnessAddress[];
  /** How many of them, 1 to all. */
  readonly threshold: number;
  readonly fail: 'open' | 'closed';
  /** Least time between two publications, ms. */
  readonly intervalMs: number;
  /** For one request to a witness, ms. */
  readonly timeoutMs: number;
  /** How long an answer waits for a published head, ms. */
  readonly answerMs: number;
}

/** Where the published head is kept, so that it outlives the process. What `save` was given is durable when it resolves. */
export interface PublishedHead {
  load(): Promise<string | undefined>;
  save(checkpoint: string): Promise<void>;
  forget(): Promise<void>;
}

/** What the operator is to know. `missing`: for each witness that did not cosign, why. */
export type PublishingEvent =
  | { readonly kind: 'published'; readonly treeSize: bigint; readonly cosignatures: number }
  | {
      readonly kind: 'too-few-witnesses';
      readonly published: boolean;
      readonly have: number;
      readonly missing: unknown[];
    }
  | { readonly kind: 'fault'; readonly error: unknown };

export interface WitnessedLogOptions {
  readonly log: Log;
  /** The one that signs its heads. */
  readonly signer: CheckpointSigner;
  readonly policy: Pick<WitnessPolicy, 'threshold' | 'fail' | 'intervalMs' | 'timeoutMs' | 'answerMs'>;
  readonly clients: readonly WitnessClient[];
  readonly head: PublishedHead;
  readonly onEvent: (event: PublishingEvent) => void;
}

export interface WitnessedLog extends Log {
  /** Entries that are durable and not yet published. */
  lag(): bigint;
  /** The same log for who reads entries and needs no checkpoint: before the first publication it is empty. */
  readonly entriesAlone: LogReader;
}

type LogHead = ReturnType<LogReader['head']>;
interface Published extends LogHead {
  readonly cosignatures: number;
}

/** Once there are enough, how long the others may take, as part of the interval: readers may want more than the log does. */
const GRACE = 0.1;
/** Longest pause between rounds that fail, ms. */
const MAX_PAUSE_MS = 5_000;

/** The stored head. LOG_FORKED if the log lacks its tree, or did not sign it. */
async function loadPublished(log: Log, signer: CheckpointSigner, stored: PublishedHead) {
  const checkpoint = await stored.load();
  if (checkpoint === undefined) return undefined;
  const { treeSize, note } = parseCheckpoint(checkpoint);
  const rootHash = signer.open({ treeSize, checkpoint });
  if (treeSize > log.head().treeSize || !equal(await log.rootAt(treeSize), rootHash)) {
    throw forked(log.origin, `it lacks the tree of ${treeSize} entries that was published`);
  }
  return { treeSize, rootHash, note, checkpoint };
}

/**
 * Of a log that nobody witnesses any more: what it publishes goes beyond the stored head, which must not come back with
 * witnesses. LOG_FORKED as when it is opened with them, and then the head stays.
 */
export async function forgetPublished(log: Log, signer: CheckpointSigner, stored: PublishedHead): Promise<void> {
  if (await loadPublished(log, signer, stored)) await stored.forget();
}

/** Opens the published side of a log. `close` ends it and not the log. LOG_FORKED if the log lacks what was published or did not sign it. */
export async function openWitnessedLog(options: WitnessedLogOptions): Promise<WitnessedLog> {
  const { log, signer, policy, clients, head: stored, onEvent } = options;
  const vkeys = clients.map(({ vkey }) => vkey);
  if (new Set(vkeys.map(({ publicKey }) => serializeHex(publicKey.spki))).size < vkeys.length) {
    throw new Error('internal: two witnesses with one key would count as two');
  }
  let published = await restore();
  const waiting = new Set<Waiting>();
  let appends = 0;
  let failures = 0;
  let closing = false;
  let wake = (): void => {};
  let endRound = (): void => {};
  let publisher: Promise<void> | undefined;
  const asked = new Map<WitnessClient, Promise<unknown>>();

  // A head that a stricter policy would not have published is not taken up: the next one will be larger.
  async function restore(): Promise<Published | undefined> {
    const loaded = await loadPublished(log, signer, stored);
    if (loaded === undefined) return undefined;
    const { treeSize, rootHash, note, checkpoint } = loaded;
    const cosignatures = verifyCosignatures(note, vkeys).length;
    if (policy.fail === 'closed' && cosignatures < policy.threshold) return undefined;
    return { treeSize, rootHash, checkpoint, cosignatures };
  }

  const isDue = (): boolean =>
    published === undefined || published.treeSize < log.head().treeSize || published.cosignatures < policy.threshold;

  // Only if something is due: a publisher that ended before it first waited would seem to run for ever.
  function schedule(): void {
    if (!closing && isDue()) publisher ??= publishWhileDue();
  }

  async function publishWhileDue(): Promise<void> {
    while (!closing && isDue()) {
      const started = performance.now();
      try {
        failures = (await publish()) ? 0 : failures + 1;
      } catch (error) {
        failures++;
        onEvent({ kind: 'fault', error });
      }
      const pause = failures === 0 ? policy.intervalMs : Math.min(policy.intervalMs * 2 ** failures, MAX_PAUSE_MS);
      await sleep(Math.max(policy.intervalMs, pause) - (performance.now() - started));
    }
    // In the same turn in which nothing was due, so that no append can think that a publisher still runs.
    publisher = undefined;
  }

  function sleep(ms: number): Promise<void> {
    if (closing || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** One round. False if too few witnesses cosigned. */
  async function publish(): Promise<boolean> {
    const durable = log.head();
    const { lines, missing } = await gather(durable);
    if (closing) return false;
    const enough = lines.length >= policy.threshold;
    if (!enough) {
      const willPublish = policy.fail === 'open';
      onEvent({ kind: 'too-few-witnesses', published: willPublish, have: lines.length, missing });
      // Nothing is gained by the same tree with no more cosignatures than it has.
      const isBetter =
        published === undefined || published.treeSize < durable.treeSize || published.cosignatures < lines.length;
      if (!willPublish || !isBetter) return false;
    }
    const checkpoint = durable.checkpoint + serializeSignatureLines(lines);
    await stored.save(checkpoint);
    published = { ...durable, checkpoint, cosignatures: lines.length };
    onEvent({ kind: 'published', treeSize: durable.treeSize, cosignatures: lines.length });
    for (const waiter of waiting) if (waiter.index < durable.treeSize) waiter.resolve(published);
    return enough;
  }

  /** Asks all witnesses at once: until all answered, or enough did and the others had their grace, or time is up. */
  function gather(head: LogHead): Promise<{ lines: NoteSignature[]; missing: unknown[] }> {
    const { promise, resolve } = Promise.withResolvers<{ lines: NoteSignature[]; missing: unknown[] }>();
    const lines = new Map<WitnessClient, NoteSignature>();
    const reasons = new Map<WitnessClient, unknown>();
    const end = (): void => {
      clearTimeout(deadline);
      clearTimeout(grace);
      const missing = clients.flatMap((client) =>
        lines.has(client) ? [] : [reasons.get(client) ?? `the witness ${client.vkey.name} has not answered yet`],
      );
      // In the order of the configuration, whoever was faster.
      resolve({ lines: clients.flatMap((client) => lines.get(client) ?? []), missing });
    };
    endRound = end;
    const deadline = setTimeout(end, policy.timeoutMs);
    let grace: ReturnType<typeof setTimeout> | undefined;
    const settle = (): void => {
      if (lines.size + reasons.size === clients.length) end();
      else if (lines.size >= policy.threshold) grace ??= setTimeout(end, policy.intervalMs * GRACE);
    };
    for (const client of clients) {
      // One request at a time: who still works on the last one is not asked again.
      if (asked.has(client)) {
        reasons.set(client, `the witness ${client.vkey.name} has not answered the last request yet`);
        continue;
      }
      const request = client
        .cosignatureOf(head)
        .then(
          (line) => lines.set(client, line),
          (error: unknown) => reasons.set(client, error),
        )
        .finally(() => {
          asked.delete(client);
          settle();
        });
      asked.set(client, request);
    }
    settle();
    return promise;
  }

  async function append(submission: Parameters<Log['append']>[0]): Promise<Appended> {
    if (closing) throw unpublished('the log is shutting down');
    requireUnpublishedRoom();
    appends++;
    try {
      const entry = await log.append(submission);
      const head = await headBeyond(entry.index);
      const hashes = await log.inclusionPath(entry.index, head.treeSize);
      verifyInclusion({ ...head, leafHash: entry.leafHash, index: entry.index, hashes });
      const { treeSize, rootHash, checkpoint } = head;
      return { ...entry, treeSize, rootHash, checkpoint, hashes };
    } finally {
      appends--;
    }
  }

  function requireUnpublishedRoom(): void {
    if (appends >= MAX_WAITING_PUBLICATIONS) throw unpublished('too many entries wait for the witnesses');
  }

  async function headBeyond(index: bigint): Promise<Published> {
    if (published !== undefined && published.treeSize > index) return published;
    const { promise, resolve, reject } = Promise.withResolvers<Published>();
    const waiter: Waiting = { index, resolve, reject };
    const timer = setTimeout(
      () => reject(unpublished('the entry is logged, but too few witnesses have cosigned it yet')),
      policy.answerMs,
    );
    waiting.add(waiter);
    schedule();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(waiter);
    }
  }

  function head(): Published {
    if (published !== undefined) return published;
    throw unpublished('no checkpoint has been cosigned by enough witnesses yet');
  }

  const size = (): bigint => published?.treeSize ?? 0n;
  const reader: LogReader = {
    head: () => {
      const { treeSize, rootHash, checkpoint } = head();
      return { treeSize, rootHash, checkpoint };
    },
    entry: async (index) => (index < size() ? log.entry(index) : undefined),
    async entries(start, end) {
      const last = size();
      if (start >= last) return [];
      return end > last ? log.entries(start, last) : log.entries(start, end);
    },
    async indexOf(leafHash) {
      const last = size();
      const index = await log.indexOf(leafHash);
      return index !== undefined && index < last ? index : undefined;
    },
    async proveInclusion(index) {
      const { treeSize, rootHash, checkpoint } = head();
      return { treeSize, rootHash, checkpoint, hashes: await log.inclusionPath(index, treeSize) };
    },
    inclusionPath: log.inclusionPath,
    consistencyPath: log.consistencyPath,
    rootAt: log.rootAt,
    tile: async (level, index, width) =>
      width <= tileWidth(size(), level, index) ? log.tile(level, index, width) : undefined,
  };
  schedule();
  return {
    ...reader,
    origin: log.origin,
    append,
    requireRoom() {
      requireUnpublishedRoom();
      log.requireRoom();
    },
    lag: () => log.head().treeSize - size(),
    entriesAlone: {
      ...reader,
      head: () => (published === undefined ? { treeSize: 0n, rootHash: EMPTY_ROOT, checkpoint: '' } : reader.head()),
    },
    async close() {
      closing = true;
      wake();
      endRound();
      for (const waiter of waiting) waiter.reject(unpublished('the log is shutting down'));
      await publisher;
    },
  };
}

interface Waiting {
  readonly index: bigint;
  readonly resolve: (head: Published) => void;
  readonly reject: (error: StorageError) => void;
}

const unpublished = (why: string): StorageError =>
  new StorageError('OVERLOADED', why, { hint: 'try again in a few seconds' });
