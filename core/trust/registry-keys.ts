import { Fields } from '../bytes/fields.ts';
import { parseJson } from '../bytes/json.ts';
import { KEY_DETAILS, type KeyDetails } from '../crypto/algorithms.ts';
import { type PublicKey, parsePublicKey } from '../crypto/public-key.ts';
import { InputError, VerificationError } from '../errors.ts';
import { MAX_REGISTRY_KEYS } from '../limits.ts';
import type { Validity } from '../x509/validity.ts';
import { parseValidity } from './fields.ts';

/** A key that a package registry signs with, and when it was in use. */
export interface RegistryKey {
  readonly keyId: string;
  /** `npm:signatures`, `npm:attestations`. */
  readonly usage: string;
  readonly key: PublicKey;
  readonly validFor: Validity;
}

const CODE = 'REGISTRY_KEYS_INVALID';

/**
 * Parses the list of a registry's keys, npm's `keys.json` of its TUF repository: `{keys:[{keyId, keyUsage, publicKey}]}`.
 * Unknown members and keys of unknown algorithms are passed over, as in a trusted root; a key ID that comes twice for the
 * same usage is refused. REGISTRY_KEYS_INVALID
 */
export function parseRegistryKeys(bytes: Uint8Array): RegistryKey[] {
  const fields = new Fields(parseJson(bytes), '', CODE);
  const listed = fields.objects('keys', MAX_REGISTRY_KEYS);
  if (listed.length === 0) throw fields.fail('keys', 'no key');
  const keys = listed.flatMap(parseRegistryKey);
  const names = new Set<string>();
  for (const { usage, keyId } of keys) {
    const name = `${usage} ${keyId}`;
    if (names.has(name)) throw fields.fail('keys', `the key ${keyId.slice(0, 100)} is listed twice for ${usage}`);
    names.add(name);
  }
  return keys;
}

function parseRegistryKey(fields: Fields): RegistryKey[] {
  const keyId = fields.string('keyId');
  const usage = fields.string('keyUsage');
  if (keyId === '') throw fields.fail('keyId', 'empty');
  const publicKey = fields.object('publicKey');
  const keyDetails = publicKey.string('keyDetails');
  if (!isKeyDetails(keyDetails)) return [];
  return [{ keyId, usage, key: parseKey(publicKey, keyDetails), validFor: parseValidity(publicKey) }];
}

const isKeyDetails = (name: string): name is KeyDetails => Object.hasOwn(KEY_DETAILS, name);

function parseKey(fields: Fields, keyDetails: KeyDetails): PublicKey {
  const spki = fields.bytes('rawBytes');
  let key: PublicKey;
  try {
    key = parsePublicKey(spki);
  } catch (cause) {
    if (cause instanceof InputError) throw fields.fail('rawBytes', cause.message, cause);
    throw cause;
  }
  if (key.kind !== KEY_DETAILS[keyDetails].kind) throw fields.fail('keyDetails', `the key is not ${keyDetails}`);
  return key;
}

/**
 * The key that a bundle's hint names, for one usage. The hint only chooses: the signature, and `validFor` at the time that
 * the log vouches for, are left to verification. KEY_MISMATCH if none of the registry's keys has that ID.
 */
export function requireRegistryKey(keys: readonly RegistryKey[], hint: string, usage: string): RegistryKey {
  const found = keys.find((key) => key.keyId === hint && key.usage === usage);
  if (found !== undefined) return found;
  throw new VerificationError('KEY_MISMATCH', 'parse', `the registry has no key ${hint.slice(0, 100)} for ${usage}`, {
    evidence: 'verificationMaterial.publicKey.hint',
    hint: 'if the registry has changed its keys, get the new list from it',
  });
}
