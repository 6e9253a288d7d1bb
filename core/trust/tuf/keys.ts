import { concat, parseHex, serializeHex, serializeUtf8 } from '../../bytes/bytes.ts';
import type { Fields } from '../../bytes/fields.ts';
import type { Json } from '../../bytes/json.ts';
import type { KeyKind } from '../../crypto/algorithms.ts';
import { type HashName, sha256 } from '../../crypto/hash.ts';
import {
  type PublicKey,
  parsePublicKey,
  parsePublicKeyPem,
  parseRawEd25519Key,
  rawEd25519Key,
  serializePublicKeyPem,
} from '../../crypto/public-key.ts';
import { HallmarkError } from '../../errors.ts';
import { canonicalizeTufJson } from './canonical-json.ts';

/** A key as TUF metadata lists it. `key` is undefined if its kind is not supported: it then vouches for nothing. */
export interface TufKey {
  readonly key: PublicKey | undefined;
  readonly hash: HashName;
}

/** Signature schemes of the TUF specification §4.2 that are supported; the keytype `ecdsa` has several spellings. */
const SCHEMES: Record<string, { keytypes: readonly string[]; kind: KeyKind; hash: HashName }> = {
  'ecdsa-sha2-nistp256': { keytypes: ['ecdsa', 'ecdsa-sha2-nistp256'], kind: 'p256', hash: 'sha256' },
  'ecdsa-sha2-nistp384': { keytypes: ['ecdsa', 'ecdsa-sha2-nistp384'], kind: 'p384', hash: 'sha384' },
  ed25519: { keytypes: ['ed25519'], kind: 'ed25519', hash: 'sha512' },
};

/** What stands before the raw key in a SubjectPublicKeyInfo (RFC 5480 §2, uncompressed P-256 point). */
const P256_PREFIX = parseHex('3059301306072a8648ce3d020106082a8648ce3d030107034200');

/** Reads one member of a root's `keys`. A key that is unknown or broken is kept without its value, as other clients do. */
export function parseTufKey(fields: Fields): TufKey {
  const keytype = fields.string('keytype');
  const name = fields.string('scheme');
  const material = fields.object('keyval').optionalString('public') ?? '';
  const scheme = Object.hasOwn(SCHEMES, name) ? SCHEMES[name] : undefined;
  if (scheme === undefined || !scheme.keytypes.includes(keytype)) return { key: undefined, hash: 'sha256' };
  const key = parseMaterial(scheme.kind, material);
  return { key: key?.kind === scheme.kind ? key : undefined, hash: scheme.hash };
}

function parseMaterial(kind: KeyKind, material: string): PublicKey | undefined {
  try {
    if (kind === 'ed25519') return parseRawEd25519Key(parseHex(material));
    // The public-good roots 1 to 4 hold the bare point.
    if (kind === 'p256' && !material.startsWith('-')) return parsePublicKey(concat(P256_PREFIX, parseHex(material)));
    return parsePublicKeyPem(material);
  } catch (error) {
    if (error instanceof HallmarkError) return undefined;
    throw error;
  }
}

/** A key as a root lists it, and its key ID: SHA-256 of that in canonical JSON (TUF specification §4.2). P-256 or Ed25519. */
export function serializeTufKey(key: PublicKey): { keyid: string; json: Record<string, Json> } {
  if (key.kind !== 'p256' && key.kind !== 'ed25519') throw new Error(`internal: no TUF key of kind ${key.kind}`);
  const json =
    key.kind === 'p256'
      ? { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: serializePublicKeyPem(key) } }
      : { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: serializeHex(rawEd25519Key(key)) } };
  return { keyid: serializeHex(sha256(serializeUtf8(canonicalizeTufJson(json)))), json };
}
