/**
 * A witness (C2SP tlog-witness): for each log that it watches it remembers the newest checkpoint that it cosigned, and
 * cosigns a further one only if that extends it. Whoever finds its cosignature on a checkpoint knows that everybody who
 * relies on the same witness sees the same log.
 *
 * Life of a request, in this order: parse (400) -> origin (404) -> signature of the log (403) -> old size (400, 409) ->
 * another root at the same size (409) -> consistency (422) -> cosign -> compare-and-swap of the newest checkpoint, durable -> answer.
 *
 * The only state is the store. A request reads it, and changes it by compare-and-swap against exactly what it read, so of
 * two that race one changes it and the other is answered 409. A cosignature leaves only after the change that stands for it
 * is durable. A crash before that: nobody has the cosignature, it contradicts nothing. After it: the log did not get the
 * answer, asks again and learns the size by 409. A change whose result is unknown is answered 503, and the next request
 * reads what became of it.
 */
import { equal, parseUtf8, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import type { PrivateKey } from '../core/crypto/private-key.ts';
import { InputError, StorageError, VerificationError } from '../core/errors.ts';
import type { Handle } from '../core/http/front-end.ts';
import { MAX_ADD_CHECKPOINT_BYTES } from '../core/limits.ts';
import { type Checkpoint, parseCheckpoint } from '../core/merkle/checkpoint.ts';
import { cosign, verifyCosignature } from '../core/merkle/cosignature.ts';
import {
  isNoteSignedBy,
  type Note,
  type NoteSignature,
  serializeNote,
  serializeSignatureLines,
} from '../core/merkle/note.ts';
import { EMPTY_ROOT, verifyConsistency } from '../core/merkle/tree.ts';
import { type Vkey, vkeyOf } from '../core/merkle/vkey.ts';
import { parseAddCheckpoint, SIZE_TYPE } from './add-checkpoint.ts';
import { createDispatcher, Refusal, type Route, requireBody } from './http.ts';
import type { WitnessStore } from './witness-store.ts';

/** A log that is watched: its checkpoints have this origin and are signed by one of these keys. */
export interface WatchedLog {
  readonly origin: string;
  readonly keys: readonly Vkey[];
}

export interface WitnessOptions {
  /** Name of the witness's key: a URL without scheme, such as `witness.example.com/w1`. */
  readonly name: string;
  /** Ed25519. */
  readonly key: PrivateKey;
  readonly logs: readonly WatchedLog[];
  readonly store: WitnessStore;
  readonly clock: () => Date;
  /** Gets what is to be told to the operator: a fault, or a log that contradicts itself. */
  readonly onEvent: (event: WitnessEvent) => void;
}

export type WitnessEvent =
  | { readonly kind: 'fault'; readonly error: unknown }
  /** Two signed checkpoints of one size with different roots: proof that the log shows different trees. */
  | { readonly kind: 'fork'; readonly origin: string; readonly known: string; readonly shown: string };

export interface Witness {
  readonly vkey: Vkey;
  readonly handle: Handle;
}

/** The newest checkpoint that was cosigned for a log; before the first one the empty tree. */
interface Latest extends Pick<Checkpoint, 'treeSize' | 'rootHash'> {
  /** What is stored, undefined before the first. */
  readonly envelope: string | undefined;
  readonly text: string | undefined;
  readonly time: Date;
}

const TEXT = { 'Content-Type': 'text/plain; charset=utf-8' };
const NEVER: Latest = { treeSize: 0n, rootHash: EMPTY_ROOT, envelope: undefined, text: undefined, time: new Date(0) };

/**
 * The witness as a front end: `POST /add-checkpoint`, `GET /<origin hash>/checkpoint`. CONFIG_INVALID for a bad name,
 * DATABASE_CORRUPT if what is stored was cosigned under another name or with another key.
 */
export async function openWitness({ name, key, logs, store, clock, onEvent }: WitnessOptions): Promise<Witness> {
  const vkey = vkeyOf(name, 'witness', key.publicKey);
  const byOrigin = new Map(logs.map((log) => [log.origin, log]));
  const byHash = new Map(logs.map(({ origin }) => [serializeHex(sha256(serializeUtf8(origin))), origin]));

  async function addCheckpoint(request: Request): Promise<Response> {
    const body = parseUtf8(await requireBody(request, MAX_ADD_CHECKPOINT_BYTES));
    const { oldSize, proof, checkpoint: envelope } = parseAddCheckpoint(body);
    const checkpoint = parseCheckpoint(envelope);
    const { origin, treeSize, rootHash, note } = checkpoint;
    const log = byOrigin.get(origin);
    if (!log) throw new Refusal(404, 'this witness does not know the log of that origin');
    const signatures = requireLogSignatures(note, log.keys);
    if (oldSize > treeSize) throw new Refusal(400, 'the old size is above that of the checkpoint');

    const latest = await openLatest(origin);
    if (latest.treeSize !== oldSize) return conflict(latest);
    if (treeSize === latest.treeSize && !equal(rootHash, latest.rootHash) && latest.envelope !== undefined) {
      onEvent({ kind: 'fork', origin, known: latest.envelope, shown: serializeNote({ text: note.text, signatures }) });
      return conflict(latest);
    }
    try {
      verifyConsistency({
        firstSize: oldSize,
        firstRoot: latest.rootHash,
        secondSize: treeSize,
        secondRoot: rootHash,
        hashes: proof,
      });
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      throw new Refusal(422, error.message);
    }

    // The clock may go back, the order of statements may not: a later one says a later time, or the same.
    const now = clock();
    const time = new Date(Math.max(now.getTime(), latest.time.getTime()));
    const line = cosign(note.text, vkey, key, time);
    const next = serializeNote({ text: note.text, signatures: [...signatures, line] });
    // Whoever repeats a checkpoint within its second costs no write.
    const isStored = latest.envelope === next;
    if (!isStored && !(await store.replace(origin, latest.envelope, next))) return conflict(await openLatest(origin));
    return new Response(serializeSignatureLines([line]), { headers: TEXT });
  }

  async function openLatest(origin: string): Promise<Latest> {
    const envelope = await store.latest(origin);
    if (envelope === undefined) return NEVER;
    const problem = (what: string, cause?: unknown): StorageError =>
      new StorageError('DATABASE_CORRUPT', `what is stored of ${origin} ${what}`, {
        hint: 'use the key and the database of the same data directory',
        cause,
      });
    let checkpoint: Checkpoint;
    try {
      checkpoint = parseCheckpoint(envelope);
    } catch (cause) {
      throw problem('cannot be read', cause);
    }
    const own = verifyCosignature(checkpoint.note, vkey);
    if (!own || checkpoint.origin !== origin) throw problem(`was not cosigned by ${name}`);
    const { treeSize, rootHash, note } = checkpoint;
    return { treeSize, rootHash, envelope, text: note.text, time: own.time };
  }

  async function getCheckpoint(hash: string): Promise<Response> {
    const origin = byHash.get(hash);
    const { envelope } = origin === undefined ? NEVER : await openLatest(origin);
    if (envelope === undefined) throw new Refusal(404, 'this witness has cosigned no checkpoint of that log');
    return new Response(envelope, { headers: { ...TEXT, 'Cache-Control': 'no-cache' } });
  }

  for (const { origin } of logs) await openLatest(origin);
  const routes: Route[] = [
    { name: '/add-checkpoint', method: 'POST', path: /^\/add-checkpoint$/, answer: addCheckpoint },
    {
      name: '/{originHash}/checkpoint',
      method: 'GET',
      path: /^\/([0-9a-f]{64})\/checkpoint$/,
      answer: (_request, _url, [hash = '']) => getCheckpoint(hash),
    },
    { name: '/healthz', method: 'GET', path: /^\/healthz$/, answer: () => new Response('ok\n', { headers: TEXT }) },
  ];
  const errorAnswer = (status: number, message: string, headers: Readonly<Record<string, string>>): Response =>
    new Response(`${message}\n`, { status, headers: { ...TEXT, ...headers } });
  return { vkey, handle: createDispatcher(routes, errorAnswer, (error) => onEvent({ kind: 'fault', error })) };
}

/** 409 with the size that a next request has to start from (C2SP tlog-witness). */
const conflict = ({ treeSize }: Latest): Response =>
  new Response(`${treeSize}\n`, { status: 409, headers: { 'Content-Type': SIZE_TYPE } });

/** The lines by which the log signed: at least one, and none that only claims to be by one of its keys. */
function requireLogSignatures(note: Note, keys: readonly Vkey[]): NoteSignature[] {
  const isBy = (line: NoteSignature, key: Vkey): boolean => line.name === key.name && equal(line.keyId, key.keyId);
  const claimed = keys.filter((key) => note.signatures.some((line) => isBy(line, key)));
  if (claimed.length === 0) throw new Refusal(403, 'the checkpoint carries no signature of a known key of its log');
  if (!claimed.every((key) => isNoteSignedBy(note, key))) {
    throw new Refusal(403, 'a signature of the checkpoint does not verify');
  }
  return note.signatures.filter((line) => claimed.some((key) => isBy(line, key)));
}

/** The logs of a configuration: keys of one origin together. CONFIG_INVALID for a key of a witness. */
export function watchedLogs(
  entries: readonly { readonly origin: string | undefined; readonly key: Vkey }[],
): WatchedLog[] {
  const logs = new Map<string, Vkey[]>();
  for (const { origin, key } of entries) {
    if (key.use !== 'log') {
      throw new InputError('CONFIG_INVALID', `the key of ${key.name} is one of a witness, not of a log`, {
        hint: 'hallmark log info shows the verifier key of a log',
      });
    }
    const name = origin ?? key.name;
    logs.set(name, [...(logs.get(name) ?? []), key]);
  }
  return [...logs].map(([origin, keys]) => ({ origin, keys }));
}
