import {
  createHash,
  createPublicKey,
  createSign,
  generateKeyPair,
  generateKeyPairSync,
  type KeyObject,
  sign as nativeSign,
} from 'node:crypto';
import { promisify } from 'node:util';
import { InputError } from '../errors.ts';
import type { KeyKind } from './algorithms.ts';
import { sealCosignKey } from './cosign-key.ts';
import { CURVES } from './curves.ts';
import { signEd25519ph } from './ed25519.ts';
import type { HashName } from './hash.ts';
import { serializePem } from './pem.ts';
import { importPrivateKeyPem, type Password } from './private-key-import.ts';
import { defaultHash, type PublicKey, parsePublicKey } from './public-key.ts';

/** A private key with its public half. The secret stays inside `native`. */
export interface PrivateKey {
  readonly publicKey: PublicKey;
  readonly native: KeyObject;
}

type RsaBits = 2048 | 3072 | 4096;

/** A fresh key of the runtime's random generator. RSA blocks, for up to seconds: prefer `generateRsaKey`. */
export function generateKey(kind: KeyKind, rsaBits: RsaBits = 3072): PrivateKey {
  if (kind === 'rsa') return fromNative(generateKeyPairSync('rsa', { modulusLength: rsaBits }).privateKey);
  if (kind === 'ed25519') return fromNative(generateKeyPairSync('ed25519').privateKey);
  return fromNative(generateKeyPairSync('ec', { namedCurve: CURVES[kind].native }).privateKey);
}

/** A fresh RSA key, computed off the main thread. */
export async function generateRsaKey(bits: RsaBits): Promise<PrivateKey> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits });
  return fromNative(privateKey);
}

/**
 * The key of a PEM text: PKCS#8, SEC 1 (also after OpenSSL's EC PARAMETERS) or PKCS#1, each plain or encrypted, or cosign's
 * encrypted form. Errors: PEM_INVALID, KEY_INVALID, KEY_UNSUPPORTED, KEY_PASSWORD_REQUIRED, KEY_PASSWORD_WRONG.
 */
export function parsePrivateKey(pem: string, password: Password): PrivateKey {
  return fromNative(importPrivateKeyPem(pem, password));
}

/** PKCS#8 in PEM, not encrypted. */
export const serializePrivateKey = (key: PrivateKey): string => serializePem('PRIVATE KEY', exportPkcs8(key));

/** cosign's encrypted PEM. `random` gives that many random bytes. */
export function serializeEncryptedPrivateKey(
  key: PrivateKey,
  password: string,
  random: (bytes: number) => Uint8Array,
): string {
  const pkcs8 = exportPkcs8(key);
  try {
    return serializePem('ENCRYPTED SIGSTORE PRIVATE KEY', sealCosignKey(pkcs8, password, random));
  } finally {
    pkcs8.fill(0);
  }
}

/** The signature that `isValidSignature` accepts. Pure Ed25519 takes no hash. */
export function sign(key: PrivateKey, message: Uint8Array, hash: HashName = defaultHash(key.publicKey)): Uint8Array {
  return toPlainBytes(nativeSign(key.publicKey.kind === 'ed25519' ? null : hash, message, key.native));
}

/** Signs a message that arrives in chunks, in constant memory. `finish` ends it and may be called once. */
export interface StreamSigner {
  update(chunk: Uint8Array): void;
  finish(): { digest: Uint8Array; hash: HashName; signature: Uint8Array };
}

/** A signer with the key's default hash, whose signature `isValidDigestSignature` accepts: for Ed25519 it is Ed25519ph. */
export function streamSigner(key: PrivateKey): StreamSigner {
  const hash = defaultHash(key.publicKey);
  const hasher = createHash(hash);
  // The runtime signs messages, not digests, so all but Ed25519ph hash twice.
  const signer = key.publicKey.kind === 'ed25519' ? undefined : createSign(hash);
  return {
    update(chunk) {
      hasher.update(chunk);
      signer?.update(chunk);
    },
    finish() {
      const digest = toPlainBytes(hasher.digest());
      const signature = signer === undefined ? signDigestEd25519(key, digest) : toPlainBytes(signer.sign(key.native));
      return { digest, hash, signature };
    },
  };
}

function signDigestEd25519(key: PrivateKey, digest: Uint8Array): Uint8Array {
  const pkcs8 = exportPkcs8(key);
  try {
    // The encoding has one fixed form, which ends in the seed (RFC 8410 §7).
    return signEd25519ph(pkcs8.subarray(-32), digest);
  } finally {
    pkcs8.fill(0);
  }
}

function exportPkcs8(key: PrivateKey): Uint8Array {
  return toPlainBytes(key.native.export({ format: 'der', type: 'pkcs8' }));
}

function fromNative(native: KeyObject): PrivateKey {
  let spki: Uint8Array;
  try {
    spki = createPublicKey(native).export({ format: 'der', type: 'spki' });
  } catch (cause) {
    throw new InputError('KEY_UNSUPPORTED', 'private key of an unsupported kind', { cause });
  }
  return { native, publicKey: parsePublicKey(spki) };
}

const toPlainBytes = (buffer: Buffer): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
