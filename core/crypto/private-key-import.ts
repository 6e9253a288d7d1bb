import { createPrivateKey, type KeyObject } from 'node:crypto';
import { DerReader } from '../asn1/der.ts';
import { InputError } from '../errors.ts';
import { openCosignKey } from './cosign-key.ts';
import { type PemBlock, parsePem } from './pem.ts';

/** Gives the password of an encrypted key; called only if the key is encrypted. */
export type Password = (() => string) | undefined;

/** Reads the one private key of a PEM text, of any kind that the runtime knows. Errors: those of `parsePrivateKey`. */
export function importPrivateKeyPem(pem: string, password: Password): KeyObject {
  const { label, der } = requireOneKey(parsePem(pem));
  try {
    switch (label) {
      case 'PRIVATE KEY':
        return importKey(der, 'pkcs8');
      case 'EC PRIVATE KEY':
        return importKey(der, 'sec1');
      case 'RSA PRIVATE KEY':
        return importKey(der, 'pkcs1');
      case 'ENCRYPTED PRIVATE KEY':
        return importEncrypted(der, requirePassword(password));
      case 'ENCRYPTED SIGSTORE PRIVATE KEY':
      case 'ENCRYPTED COSIGN PRIVATE KEY':
        return importCosign(der, requirePassword(password));
    }
  } finally {
    der.fill(0);
  }
  throw new InputError('KEY_UNSUPPORTED', `expected a private key, found ${label.slice(0, 80)}`, {
    hint: 'give a key in PKCS#8, SEC 1, PKCS#1 or cosign form',
  });
}

// `openssl ecparam -genkey` writes the curve as a block of its own first; the key repeats it, and only that one is read.
function requireOneKey(blocks: readonly PemBlock[]): PemBlock {
  const [block, ...more] = blocks[0]?.label === 'EC PARAMETERS' ? blocks.slice(1) : blocks;
  if (block === undefined || more.length > 0) throw new InputError('PEM_INVALID', 'expected exactly one private key');
  return block;
}

function requirePassword(password: Password): string {
  if (password !== undefined) return password();
  throw new InputError('KEY_PASSWORD_REQUIRED', 'the private key is encrypted', { hint: 'give its password' });
}

// The causes are dropped in all of these: an error must not carry a byte of a private key.
function importKey(der: Uint8Array, type: 'pkcs8' | 'sec1' | 'pkcs1'): KeyObject {
  try {
    const outer = new DerReader(der);
    outer.sequence();
    outer.end();
    return createPrivateKey({ key: asBuffer(der), format: 'der', type });
  } catch {
    throw new InputError('KEY_INVALID', `not a valid private key (${type})`);
  }
}

function importCosign(body: Uint8Array, password: string): KeyObject {
  const pkcs8 = openCosignKey(body, password);
  try {
    return importKey(pkcs8, 'pkcs8');
  } finally {
    pkcs8.fill(0);
  }
}

/** EncryptedPrivateKeyInfo (RFC 5958 §3). */
function importEncrypted(der: Uint8Array, passphrase: string): KeyObject {
  try {
    const outer = new DerReader(der);
    const info = outer.sequence();
    outer.end();
    info.sequence();
    info.octetString();
    info.end();
  } catch {
    throw new InputError('KEY_INVALID', 'not a valid encrypted private key (pkcs8)');
  }
  try {
    return createPrivateKey({ key: asBuffer(der), format: 'der', type: 'pkcs8', passphrase });
  } catch {
    // A wrong password can pass the padding by chance and fail at any later point, so there is one answer to all of it.
    throw new InputError('KEY_PASSWORD_WRONG', 'the password does not open the private key', {
      hint: 'if the password is right, the file is damaged or encrypted in an uncommon way',
    });
  }
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
