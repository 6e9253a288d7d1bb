import type { InclusionProof, TransparencyLogEntry } from '../core/bundle/bundle.ts';
import { parseUtf8, serializeUtf8 } from '../core/bytes/bytes.ts';
import { InputError } from '../core/errors.ts';
import { MAX_LOG_SIZE, MAX_PROOF_HASHES, MAX_UNIX_SECONDS } from '../core/limits.ts';
import { type ProtobufField, parseProtobuf, serializeProtobuf } from './protobuf.ts';

/** An entry as a signature carries it: the body is left out, as all of it is in the signature already. */
export type EmbeddedEntry = Omit<TransparencyLogEntry, 'canonicalizedBody'>;

const HASH_BYTES = 32;

const fail = (problem: string): InputError => new InputError('ENTRY_INVALID', `not an embedded log entry: ${problem}`);

/**
 * Reads dev.sigstore.rekor.v1.TransparencyLogEntry in protobuf. Only the spelling that its writers make is accepted: fields in
 * the order of their numbers, none twice, none unknown, defaults left out. Errors: ENTRY_INVALID, ENCODING_INVALID.
 */
export function parseEmbeddedEntry(bytes: Uint8Array): EmbeddedEntry {
  const message = new Message(bytes);
  const logIndex = message.number(1, MAX_LOG_SIZE);
  const logId = new Message(message.bytes(2));
  const kind = new Message(message.bytes(3));
  const integratedTime = message.number(4, MAX_UNIX_SECONDS);
  const promise = message.optionalBytes(5);
  const proof = message.optionalBytes(6);
  message.end();
  const entry = {
    logIndex,
    logId: logId.bytes(1),
    kindVersion: { kind: parseUtf8(kind.bytes(1)), version: parseUtf8(kind.bytes(2)) },
    integratedTime: integratedTime === 0n ? undefined : integratedTime,
    inclusionPromise: promise && promiseIn(promise),
    inclusionProof: proof && proofIn(proof),
  };
  logId.end();
  kind.end();
  return entry;
}

function promiseIn(bytes: Uint8Array): Uint8Array {
  const message = new Message(bytes);
  const promise = message.bytes(1);
  message.end();
  return promise;
}

function proofIn(bytes: Uint8Array): InclusionProof {
  const message = new Message(bytes);
  const hash = (value: Uint8Array): Uint8Array => {
    if (value.length !== HASH_BYTES) throw fail(`a hash of ${value.length} bytes`);
    return value;
  };
  const proof = {
    logIndex: message.number(1, MAX_LOG_SIZE),
    rootHash: hash(message.bytes(2)),
    treeSize: message.number(3, MAX_LOG_SIZE),
    hashes: message.repeated(4, MAX_PROOF_HASHES).map(hash),
  };
  const checkpoint = message.optionalBytes(5);
  message.end();
  return { ...proof, checkpoint: checkpoint && parseUtf8(promiseIn(checkpoint)) };
}

/** The entry in protobuf, as gitsign writes it. */
export function serializeEmbeddedEntry(entry: EmbeddedEntry): Uint8Array {
  const { integratedTime, inclusionPromise, inclusionProof, kindVersion } = entry;
  return serializeProtobuf([
    ...present(1, entry.logIndex),
    [2, serializeProtobuf([[1, entry.logId]])],
    [
      3,
      serializeProtobuf([
        [1, serializeUtf8(kindVersion.kind)],
        [2, serializeUtf8(kindVersion.version)],
      ]),
    ],
    ...present(4, integratedTime ?? 0n),
    ...(inclusionPromise === undefined ? [] : [[5, serializeProtobuf([[1, inclusionPromise]])] as const]),
    ...(inclusionProof === undefined ? [] : [[6, serializeProof(inclusionProof)] as const]),
  ]);
}

function serializeProof({ logIndex, rootHash, treeSize, hashes, checkpoint }: InclusionProof): Uint8Array {
  return serializeProtobuf([
    ...present(1, logIndex),
    [2, rootHash],
    ...present(3, treeSize),
    ...hashes.map((hash): ProtobufField => [4, hash]),
    ...(checkpoint === undefined ? [] : [[5, serializeProtobuf([[1, serializeUtf8(checkpoint)]])] as const]),
  ]);
}

const present = (number: number, value: bigint): ProtobufField[] => (value === 0n ? [] : [[number, value]]);

/** Reads the fields of one message in the order of their numbers. */
class Message {
  readonly #fields: ProtobufField[];
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#fields = parseProtobuf(bytes, MAX_PROOF_HASHES + 8);
  }

  #next(number: number): bigint | Uint8Array | undefined {
    const field = this.#fields[this.#at];
    if (field?.[0] !== number) return undefined;
    this.#at++;
    return field[1];
  }

  /** A number up to `max`; 0 where it is left out. */
  number(number: number, max: bigint): bigint {
    const value = this.#next(number);
    if (value === undefined) return 0n;
    if (typeof value !== 'bigint' || value === 0n || value > max)
      throw fail(`field ${number} is no number up to ${max}`);
    return value;
  }

  optionalBytes(number: number): Uint8Array | undefined {
    const value = this.#next(number);
    if (typeof value === 'bigint') throw fail(`field ${number} is a number`);
    return value;
  }

  /** At least one byte. */
  bytes(number: number): Uint8Array {
    const value = this.optionalBytes(number);
    if (value === undefined || value.length === 0) throw fail(`field ${number} is missing`);
    return value;
  }

  repeated(number: number, max: number): Uint8Array[] {
    const values: Uint8Array[] = [];
    for (let value = this.optionalBytes(number); value !== undefined; value = this.optionalBytes(number)) {
      if (values.length === max) throw fail(`field ${number} more than ${max} times`);
      values.push(value);
    }
    return values;
  }

  end(): void {
    if (this.#at < this.#fields.length) throw fail('a field that is unknown, out of order or there twice');
  }
}
