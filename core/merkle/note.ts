import { concat, equal, parseBase64, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { sha256 } from '../crypto/hash.ts';
import { defaultHash, type PublicKey, rawEd25519Key } from '../crypto/public-key.ts';
import { isValidSignature } from '../crypto/verify.ts';
import { InputError } from '../errors.ts';
import { MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES } from '../limits.ts';

/** A signature line. The key ID (4 bytes) and the name tell which key it may be by; neither is a proof of it. */
export interface NoteSignature {
  readonly name: string;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

/** A C2SP signed note. `text` is what is signed, with its final newline. */
export interface Note {
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Signature type bytes of C2SP signed-note; that of a cosignature is its own, so that no log signature is taken for one. */
export const NOTE_ALGORITHM = { ed25519: 0x01, cosignatureV1: 0x04, rsaPkcs1v15: 0xff } as const;

const KEY_ID_BYTES = 4;
const DASH = '— ';
// A control character other than the newline, which signed-note forbids; half of a surrogate pair, which is no UTF-8.
const NOT_TEXT = /[^\P{Cc}\n]|\p{Surrogate}/u;
const NAME = /^[^\s+]+$/;

/** True if this can be the name of a key: not empty, no space and no plus sign (C2SP signed-note). */
export const isKeyName = (name: string): boolean => NAME.test(name) && !NOT_TEXT.test(name);

const invalid = (problem: string, cause?: unknown): InputError =>
  new InputError('NOTE_INVALID', `not a signed note: ${problem}`, cause === undefined ? {} : { cause });

/**
 * Parses a signed note (C2SP signed-note): text that ends in a newline, one blank line, and one line per signature,
 * `— name base64(key ID || signature)`. Nothing is verified. NOTE_INVALID
 */
export function parseNote(note: string): Note {
  // A character is at least one byte.
  if (note.length > MAX_NOTE_BYTES) throw invalid(`longer than ${MAX_NOTE_BYTES} bytes`);
  if (NOT_TEXT.test(note)) throw invalid('a character that is not text');
  const blank = note.indexOf('\n\n');
  if (blank <= 0) throw invalid('no blank line after the text');
  return { text: note.slice(0, blank + 1), signatures: parseSignatureLines(note.slice(blank + 2)) };
}

/** The signature lines of a note alone, at least one: the answer of a witness (C2SP tlog-witness). NOTE_INVALID */
export function parseSignatureLines(text: string): NoteSignature[] {
  if (text.length > MAX_NOTE_BYTES) throw invalid(`longer than ${MAX_NOTE_BYTES} bytes`);
  const lines = text.split('\n');
  if (lines.pop() !== '') throw invalid('the last line does not end');
  if (lines.length === 0) throw invalid('no signature');
  if (lines.length > MAX_NOTE_SIGNATURES) throw invalid(`more than ${MAX_NOTE_SIGNATURES} signatures`);
  return lines.map(parseSignature);
}

function parseSignature(line: string): NoteSignature {
  const [name, base64, ...others] = line.startsWith(DASH) ? line.slice(DASH.length).split(' ') : [];
  if (name === undefined || base64 === undefined || others.length > 0 || !NAME.test(name)) {
    throw invalid('expected a signature line');
  }
  let bytes: Uint8Array;
  try {
    bytes = parseBase64(base64);
  } catch (cause) {
    throw invalid('the signature is not base64', cause);
  }
  if (bytes.length <= KEY_ID_BYTES) throw invalid('the signature is too short');
  return { name, keyId: bytes.subarray(0, KEY_ID_BYTES), signature: bytes.subarray(KEY_ID_BYTES) };
}

/** The note as text, the inverse of `parseNote`. */
export function serializeNote(note: Note): string {
  return `${note.text}\n${serializeSignatureLines(note.signatures)}`;
}

/** Signature lines, the inverse of `parseSignatureLines`. */
export function serializeSignatureLines(signatures: readonly NoteSignature[]): string {
  return signatures
    .map(({ name, keyId, signature }) => `${DASH}${name} ${serializeBase64(concat(keyId, signature))}\n`)
    .join('');
}

/**
 * True if the note carries a signature under this name and key ID and all such are by the key. Other lines are those of
 * witnesses and are not looked at. `hash` counts for ECDSA and RSA; the default is the key's own.
 */
export function isNoteSignedBy(
  note: Note,
  signer: { readonly name: string; readonly keyId: Uint8Array; readonly publicKey: PublicKey },
  hash = defaultHash(signer.publicKey),
): boolean {
  const own = note.signatures.filter(({ name, keyId }) => name === signer.name && equal(keyId, signer.keyId));
  const text = serializeUtf8(note.text);
  return own.length > 0 && own.every(({ signature }) => isValidSignature(signer.publicKey, hash, text, signature));
}

/** First 4 bytes of SHA-256(name || 0x0A || algorithm || key), C2SP signed-note; `key` as the algorithm defines it. */
export function noteKeyId(name: string, algorithm: number, key: Uint8Array): Uint8Array {
  return noteKeyHash(name, algorithm, key).subarray(0, KEY_ID_BYTES);
}

function noteKeyHash(name: string, algorithm: number, key: Uint8Array): Uint8Array {
  return sha256(serializeUtf8(name), Uint8Array.of(0x0a, algorithm), key);
}

/**
 * The ID of a Rekor v2 log: the hash whose first 4 bytes are the key ID of its checkpoints. For Ed25519 over name and key,
 * for RSA over name and SPKI, for ECDSA the SHA-256 of the SPKI. A Rekor v1 log has the last form for every key.
 */
export function logKeyHash(name: string, key: PublicKey): Uint8Array {
  if (key.kind === 'ed25519') return noteKeyHash(name, NOTE_ALGORITHM.ed25519, rawEd25519Key(key));
  if (key.kind === 'rsa') {
    return noteKeyHash(name, NOTE_ALGORITHM.rsaPkcs1v15, concat(serializeUtf8('PKIX-RSA-PKCS#1v1.5'), key.spki));
  }
  return sha256(key.spki);
}
