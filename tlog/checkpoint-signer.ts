import { concat, equal } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';
import { type PrivateKey, sign } from '../core/crypto/private-key.ts';
import { keyFingerprint, type PublicKey } from '../core/crypto/public-key.ts';
import { isValidSignature } from '../core/crypto/verify.ts';
import { HallmarkError, InputError, StorageError } from '../core/errors.ts';
import { MAX_LOG_SIZE } from '../core/limits.ts';
import { type Checkpoint, parseCheckpoint, serializeCheckpoint, signCheckpoint } from '../core/merkle/checkpoint.ts';
import { isNoteSignedBy, logKeyHash, noteKeyId, serializeNote } from '../core/merkle/note.ts';
import { TlsReader, uint } from '../core/x509/tls.ts';
import { serializeDigitallySigned, TLS_ECDSA, TLS_SHA256, treeHeadSignedData } from './ct-entry.ts';
import { corrupt } from './faults.ts';
import type { Head } from './store.ts';

/** How one tree signs its heads: the front ends differ in origin, key and form of the signature. */
export interface CheckpointSigner {
  /** First line of the checkpoint: what the tree is called for ever. */
  readonly origin: string;
  /** The signed note for this size and root. */
  sign(treeSize: bigint, rootHash: Uint8Array): string;
  /** The root of a checkpoint that this signer made. Errors: DATABASE_CORRUPT, LOG_FORKED, CONFIG_INVALID. */
  open(head: Head): Uint8Array;
}

/**
 * Signs checkpoints of C2SP tlog-checkpoint under a key name. Rekor v1: the name is the host, the origin
 * `<host> - <treeID>`; Rekor v2: both are the host.
 */
export function createNoteSigner(origin: string, name: string, key: PrivateKey): CheckpointSigner {
  const { publicKey } = key;
  const keyId = logKeyHash(name, publicKey).subarray(0, 4);
  return {
    origin,
    sign: (treeSize, rootHash) => signCheckpoint({ origin, treeSize, rootHash }, { name, keyId, key }),
    open: (head) => openHead(head, origin, ({ note }) => isNoteSignedBy(note, { name, keyId, publicKey })),
  };
}

/** Signature type of C2SP static-ct-api for the tree head of a CT log. */
const RFC6962_NOTE = 0x05;

/**
 * Signs the tree heads of a CT log as checkpoints whose signature is the one of RFC 6962 §3.5, with its timestamp before it
 * (`RFC6962NoteSignature` of C2SP static-ct-api). `key` is ECDSA P-256.
 */
export function createTreeHeadSigner(origin: string, key: PrivateKey, clock: () => Date): CheckpointSigner {
  const keyId = treeHeadKeyId(origin, key.publicKey);
  return {
    origin,
    sign(treeSize, rootHash) {
      const timestamp = BigInt(clock().getTime());
      const signature = sign(key, treeHeadSignedData(timestamp, treeSize, rootHash));
      return serializeNote({
        text: serializeCheckpoint({ origin, treeSize, rootHash }),
        signatures: [
          { name: origin, keyId, signature: concat(uint(8, timestamp), serializeDigitallySigned(signature)) },
        ],
      });
    },
    open: (head) =>
      openHead(head, origin, (checkpoint) => isTreeHeadSignedBy(checkpoint, origin, keyId, key.publicKey)),
  };
}

/** True if a checkpoint of any of our trees is signed with this key, under the name that it gives itself. */
export function isCheckpointSignedBy(checkpoint: Checkpoint, publicKey: PublicKey): boolean {
  const { note, origin } = checkpoint;
  const name = note.signatures[0]?.name ?? '';
  const keyId = logKeyHash(name, publicKey).subarray(0, 4);
  return (
    isNoteSignedBy(note, { name, keyId, publicKey }) ||
    isTreeHeadSignedBy(checkpoint, origin, treeHeadKeyId(origin, publicKey), publicKey)
  );
}

/**
 * The answer of a CT log to get-sth (RFC 6962 §4.3) as the checkpoint that was signed with one of these keys. CHECKPOINT_INVALID
 * and those of JSON.
 */
export function noteOfTreeHead(text: string, origin: string, keys: readonly PublicKey[]): string {
  const fields = new Fields(parseJson(text), 'tree head', 'CHECKPOINT_INVALID');
  const [treeSize, timestamp] = [fields.bigint('tree_size', MAX_LOG_SIZE), fields.bigint('timestamp', MAX_LOG_SIZE)];
  const noteText = serializeCheckpoint({ origin, treeSize, rootHash: fields.bytes('sha256_root_hash') });
  const signature = concat(uint(8, timestamp), fields.bytes('tree_head_signature'));
  for (const key of keys) {
    const note = serializeNote({
      text: noteText,
      signatures: [{ name: origin, keyId: treeHeadKeyId(origin, key), signature }],
    });
    if (isCheckpointSignedBy(parseCheckpoint(note), key)) return note;
  }
  throw new InputError('CHECKPOINT_INVALID', 'the tree head is not signed by a log of this data directory');
}

const treeHeadKeyId = (origin: string, key: PublicKey): Uint8Array =>
  noteKeyId(origin, RFC6962_NOTE, keyFingerprint(key));

function isTreeHeadSignedBy(checkpoint: Checkpoint, name: string, keyId: Uint8Array, key: PublicKey): boolean {
  const { treeSize, rootHash, note } = checkpoint;
  const [line] = note.signatures;
  if (note.signatures.length !== 1 || line?.name !== name || !equal(line.keyId, keyId)) return false;
  const reader = new TlsReader(line.signature);
  const timestamp = reader.uint64();
  if (reader.number(1) !== TLS_SHA256 || reader.number(1) !== TLS_ECDSA) return false;
  const signature = reader.opaque(2);
  return isValidSignature(key, 'sha256', treeHeadSignedData(timestamp, treeSize, rootHash), signature);
}

function openHead(head: Head, origin: string, isSigned: (checkpoint: Checkpoint) => boolean): Uint8Array {
  let checkpoint: Checkpoint;
  try {
    checkpoint = parseCheckpoint(head.checkpoint);
  } catch (cause) {
    if (!(cause instanceof HallmarkError)) throw cause;
    throw corrupt(origin, 'its checkpoint cannot be read', cause);
  }
  if (checkpoint.origin !== origin) {
    throw new InputError('CONFIG_INVALID', `the data directory holds the log "${checkpoint.origin}", not "${origin}"`, {
      hint: 'start with the public URL of the first start (--url), or with another data directory (--data)',
    });
  }
  if (checkpoint.treeSize !== head.treeSize || !isSigned(checkpoint)) {
    throw new StorageError('LOG_FORKED', `the stored checkpoint of ${origin} is not one that its key signed`, {
      hint: 'use the key files and the database of the same data directory, or restore both from one backup',
    });
  }
  return checkpoint.rootHash;
}
