import { concat, equal, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { type PrivateKey, sign } from '../crypto/private-key.ts';
import { isValidSignature } from '../crypto/verify.ts';
import { MAX_UNIX_SECONDS } from '../limits.ts';
import type { Note, NoteSignature } from './note.ts';
import type { Vkey } from './vkey.ts';

const TIME_BYTES = 8;

/** A cosignature that verified: this witness saw this tree as the largest of its log at this time, to the second. */
export interface Cosignature {
  readonly witness: Vkey;
  readonly time: Date;
}

/**
 * Cosigns the text of a checkpoint (C2SP tlog-cosignature, Ed25519). `time` is cut to whole seconds; `witness` is the public
 * half of `key`.
 */
export function cosign(text: string, witness: Vkey, key: PrivateKey, time: Date): NoteSignature {
  const seconds = BigInt(Math.floor(time.getTime() / 1000));
  const signature = concat(serializeTime(seconds), sign(key, cosignedMessage(text, seconds)));
  return { name: witness.name, keyId: witness.keyId, signature };
}

/**
 * The witness's cosignature of a note: undefined if there is none, or if any line under its name and key ID does not verify
 * (such a note is malformed by C2SP signed-note). Of several the latest counts.
 */
export function verifyCosignature({ text, signatures }: Note, witness: Vkey): Cosignature | undefined {
  const own = signatures.filter(({ name, keyId }) => name === witness.name && equal(keyId, witness.keyId));
  const times = own.map(({ signature }) => cosignedAt(text, signature, witness));
  if (times.some((time) => time === undefined)) return undefined;
  const latest = times.reduce((last, time) => ((time ?? 0n) > (last ?? 0n) ? time : last), undefined);
  return latest === undefined ? undefined : { witness, time: new Date(Number(latest) * 1000) };
}

/**
 * The cosignatures by these witnesses, one for each distinct key: a witness under two names is still one.
 */
export function verifyCosignatures(note: Note, witnesses: readonly Vkey[]): Cosignature[] {
  const byKey = new Map<string, Cosignature>();
  for (const witness of witnesses) {
    const cosignature = verifyCosignature(note, witness);
    if (cosignature) byKey.set(serializeHex(witness.publicKey.spki), cosignature);
  }
  return [...byKey.values()];
}

/** When it was made, in seconds; undefined if it is no cosignature of this text by this witness. */
function cosignedAt(text: string, signature: Uint8Array, { publicKey }: Vkey): bigint | undefined {
  if (signature.length !== TIME_BYTES + 64) return undefined;
  const time = Buffer.from(signature.buffer, signature.byteOffset, TIME_BYTES).readBigUInt64BE();
  // Zero is no time, and what no calendar has is no statement about one.
  if (time === 0n || time > MAX_UNIX_SECONDS) return undefined;
  const message = cosignedMessage(text, time);
  return isValidSignature(publicKey, 'sha512', message, signature.subarray(TIME_BYTES)) ? time : undefined;
}

const cosignedMessage = (text: string, time: bigint): Uint8Array =>
  serializeUtf8(`cosignature/v1\ntime ${time}\n${text}`);

function serializeTime(time: bigint): Uint8Array {
  const bytes = Buffer.alloc(TIME_BYTES);
  bytes.writeBigUInt64BE(time);
  return new Uint8Array(bytes);
}
