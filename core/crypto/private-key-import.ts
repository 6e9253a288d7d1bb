import { createPrivateKey, type KeyObject, type PrivateKeyInput } from 'node:crypto';
import { DerReader, TAG } from '../asn1/der.ts';
import { InputError } from '../errors.ts';
import { MAX_KEY_DERIVATION_ITERATIONS } from '../limits.ts';
import { openCosignKey } from './cosign-key.ts';
import { type KeyPemBlock, parseKeyPem, serializePem } from './pem.ts';

/** Gives the password of an encrypted key; called only if the key is encrypted. */
export type Password = (() => string) | undefined;

/**
 * Reads the one private key of a PEM text, of any kind that the runtime knows. Errors: those of `parsePrivateKey`, none with a
 * cause, as an error must not carry a byte of a private key.
 */
export function importPrivateKeyPem(pem: string, password: Password): KeyObject {
  const { label, der, dekInfo } = requireOneKey(parseKeyPem(pem));
  try {
    if (dekInfo !== undefined) return importEncryptedByHeaders(label, der, dekInfo, requirePassword(password));
    switch (label) {
      case 'PRIVATE KEY':
      case 'EC PRIVATE KEY':
      case 'RSA PRIVATE KEY':
        return importKey(label, der);
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
function requireOneKey(blocks: readonly KeyPemBlock[]): KeyPemBlock {
  const [block, ...more] = blocks[0]?.label === 'EC PARAMETERS' ? blocks.slice(1) : blocks;
  if (block === undefined || more.length > 0) throw new InputError('PEM_INVALID', 'expected exactly one private key');
  return block;
}

function requirePassword(password: Password): string {
  if (password !== undefined) return password();
  throw new InputError('KEY_PASSWORD_REQUIRED', 'the private key is encrypted', { hint: 'give its password' });
}

/** Tag of the element behind the version: PrivateKeyInfo (RFC 5958 §2), ECPrivateKey (RFC 5915 §3), RSAPrivateKey (RFC 8017 §A.1.2). */
const SECOND_TAG = {
  'PRIVATE KEY': TAG.sequence,
  'EC PRIVATE KEY': TAG.octetString,
  'RSA PRIVATE KEY': TAG.integer,
} as const;

function importKey(label: keyof typeof SECOND_TAG, der: Uint8Array): KeyObject {
  const invalid = new InputError('KEY_INVALID', `not a valid ${label}`);
  try {
    const outer = new DerReader(der);
    const key = outer.sequence();
    outer.end();
    key.smallInteger();
    key.read(SECOND_TAG[label]);
  } catch {
    throw invalid;
  }
  // As PEM: given DER, the runtime goes by the number of elements rather than by the type that it is told.
  return importNative({ key: serializePem(label, der), format: 'pem' }, invalid);
}

function importCosign(body: Uint8Array, password: string): KeyObject {
  const pkcs8 = openCosignKey(body, password);
  try {
    return importKey('PRIVATE KEY', pkcs8);
  } finally {
    pkcs8.fill(0);
  }
}

/** EncryptedPrivateKeyInfo (RFC 5958 §3). */
function importEncrypted(der: Uint8Array, passphrase: string): KeyObject {
  let iterations: bigint;
  try {
    const outer = new DerReader(der);
    const info = outer.sequence();
    outer.end();
    iterations = readIterations(info.sequence());
    info.octetString();
    info.end();
  } catch {
    throw new InputError('KEY_INVALID', 'not a valid ENCRYPTED PRIVATE KEY');
  }
  if (iterations > MAX_KEY_DERIVATION_ITERATIONS) {
    throw new InputError('KEY_UNSUPPORTED', `encryption of more than ${MAX_KEY_DERIVATION_ITERATIONS} iterations`, {
      hint: 'encrypt the key again: openssl pkcs8 -topk8 -iter 600000 -in OLD -out NEW',
    });
  }
  return importNative({ key: serializePem('ENCRYPTED PRIVATE KEY', der), format: 'pem', passphrase }, wrongPassword());
}

const PBES2 = '1.2.840.113549.1.5.13';

// All derivations begin with salt and cost: PBKDF2 and scrypt inside of PBES2 (RFC 8018 §A.4, RFC 7914 §7), others at
// the top (RFC 8018 §A.3, RFC 7292 §C).
function readIterations(algorithm: DerReader): bigint {
  const scheme = algorithm.oid();
  let parameters = algorithm.sequence();
  if (scheme === PBES2) {
    const derivation = parameters.sequence();
    derivation.oid();
    parameters = derivation.sequence();
  }
  parameters.octetString();
  return parameters.integer();
}

/** SEC 1 or PKCS#1 encrypted by PEM headers, OpenSSL's form before PKCS#8. */
function importEncryptedByHeaders(label: string, der: Uint8Array, dekInfo: string, passphrase: string): KeyObject {
  const key = serializePem(label, der).replace('\n', `\nProc-Type: 4,ENCRYPTED\nDEK-Info: ${dekInfo}\n\n`);
  return importNative({ key, format: 'pem', passphrase }, wrongPassword());
}

// It can pass the padding by chance and fail at any later point, so there is one answer to all of it.
const wrongPassword = (): InputError =>
  new InputError('KEY_PASSWORD_WRONG', 'the password does not open the private key', {
    hint: 'give the password that the key was made with; if it is right, the file is damaged',
  });

function importNative(input: PrivateKeyInput, otherwise: InputError): KeyObject {
  try {
    return createPrivateKey(input);
  } catch (error) {
    if (!/UNSUPPORTED|UNKNOWN/.test((error as { code?: string }).code ?? '')) throw otherwise;
    throw new InputError('KEY_UNSUPPORTED', 'private key of an unsupported kind or encryption', {
      hint: 'if it is encrypted, convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW',
    });
  }
}
