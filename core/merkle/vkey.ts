import { concat, parseBase64, serializeBase64, serializeHex } from '../bytes/bytes.ts';
import { type PublicKey, parseRawEd25519Key, rawEd25519Key } from '../crypto/public-key.ts';
import { HallmarkError, InputError } from '../errors.ts';
import { MAX_VKEY_CHARS } from '../limits.ts';
import { isKeyName, NOTE_ALGORITHM, noteKeyId } from './note.ts';

/** A key that signs notes under a name. What it signs: checkpoints as a log, or cosignatures as a witness. */
export interface Vkey {
  readonly name: string;
  /** 4 bytes that name, algorithm and key determine. */
  readonly keyId: Uint8Array;
  readonly use: 'log' | 'witness';
  /** Ed25519. */
  readonly publicKey: PublicKey;
}

const ALGORITHM = { log: NOTE_ALGORITHM.ed25519, witness: NOTE_ALGORITHM.cosignatureV1 } as const;
const VKEY = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/;
const HINT = 'a verifier key has the form NAME+KEYID+BASE64, as the log or the witness publishes it';

const invalid = (problem: string, cause?: unknown): InputError =>
  new InputError('KEY_INVALID', `not a verifier key: ${problem}`, { hint: HINT, cause });

/** The name of a key; CONFIG_INVALID if a key cannot have it. */
export function requireKeyName(name: string): string {
  if (isKeyName(name) && name.length <= MAX_VKEY_CHARS - 64) return name;
  throw new InputError('CONFIG_INVALID', `${JSON.stringify(name.slice(0, 200))} cannot be the name of a key`, {
    hint: 'use a host and a path without a scheme, such as witness.example.com/w1: no space, no plus sign',
  });
}

/** The key of this name and use. `publicKey` is Ed25519. CONFIG_INVALID if a key cannot have that name. */
export function vkeyOf(name: string, use: Vkey['use'], publicKey: PublicKey): Vkey {
  requireKeyName(name);
  return { name, use, publicKey, keyId: noteKeyId(name, ALGORITHM[use], rawEd25519Key(publicKey)) };
}

/**
 * Parses a verifier key of C2SP signed-note: name, key ID in hexadecimal, and algorithm and key in base64, with plus signs
 * between them. KEY_INVALID; KEY_UNSUPPORTED for algorithms other than Ed25519 of logs (1) and witnesses (4).
 */
export function parseVkey(text: string): Vkey {
  const [, name, keyId, base64] = (text.length <= MAX_VKEY_CHARS ? VKEY.exec(text) : null) ?? [];
  if (name === undefined || keyId === undefined || base64 === undefined) throw invalid('expected NAME+KEYID+BASE64');
  let material: Uint8Array;
  try {
    material = parseBase64(base64);
  } catch (cause) {
    throw invalid('its third part is not base64', cause);
  }
  const use = material[0] === ALGORITHM.log ? 'log' : material[0] === ALGORITHM.witness ? 'witness' : undefined;
  if (use === undefined) {
    throw new InputError('KEY_UNSUPPORTED', `a verifier key of algorithm ${material[0]} is not supported`, {
      hint: 'use an Ed25519 key: algorithm 1 for a log, 4 for a witness',
    });
  }
  if (material.length !== 33) throw invalid('an Ed25519 key has 32 bytes');
  const vkey = parsed(() => vkeyOf(name, use, parseRawEd25519Key(material.subarray(1))));
  if (serializeHex(vkey.keyId) !== keyId) throw invalid(`its key ID is ${serializeHex(vkey.keyId)}, not ${keyId}`);
  return vkey;
}

function parsed(parse: () => Vkey): Vkey {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof HallmarkError)) throw cause;
    throw invalid(cause.message, cause);
  }
}

/** The text form, the inverse of `parseVkey`. */
export function serializeVkey({ name, keyId, use, publicKey }: Vkey): string {
  return `${name}+${serializeHex(keyId)}+${serializeBase64(concat(Uint8Array.of(ALGORITHM[use]), rawEd25519Key(publicKey)))}`;
}
