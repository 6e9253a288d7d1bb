import { scryptSync } from 'node:crypto';
import { parseUtf8, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { type Json, parseJson } from '../bytes/json.ts';
import { InputError } from '../errors.ts';

const KDF = 'scrypt';
const CIPHER = 'nacl/secretbox';
/** scrypt's N: what cosign wrote once, what it writes, and the OWASP advice. cosign reads no other, nor other r and p. */
const READ_COSTS: readonly number[] = [32_768, 65_536, 131_072];
const WRITE_COST = 65_536;
const BLOCK_SIZE = 8;
const PARALLELISM = 1;
/** Twice what N = 131,072 takes (128·N·r bytes); node:crypto stops at 32 MiB otherwise. */
const SCRYPT_MEMORY = 256 * 1024 * 1024;
const SALT_BYTES = 32;
const NONCE_BYTES = 24;
const TAG_BYTES = 16;

/**
 * Opens the JSON body of an ENCRYPTED SIGSTORE PRIVATE KEY: scrypt, then XSalsa20-Poly1305. Returns the PKCS#8 DER, which the
 * caller wipes. Errors: KEY_INVALID, KEY_UNSUPPORTED, KEY_PASSWORD_WRONG.
 */
export function openCosignKey(body: Uint8Array, password: string): Uint8Array {
  const { cost, salt, nonce, ciphertext } = parseBody(body);
  const key = deriveKey(password, salt, cost);
  try {
    return secretbox(key, nonce).decrypt(ciphertext);
  } catch {
    throw new InputError('KEY_PASSWORD_WRONG', 'the password does not open the private key', {
      hint: 'give the password that the key was made with; if it is right, the file is damaged',
    });
  } finally {
    key.fill(0);
  }
}

/** The JSON body of an ENCRYPTED SIGSTORE PRIVATE KEY over a PKCS#8 DER. `random` gives that many random bytes. */
export function sealCosignKey(pkcs8: Uint8Array, password: string, random: (bytes: number) => Uint8Array): Uint8Array {
  const salt = random(SALT_BYTES);
  const nonce = random(NONCE_BYTES);
  const key = deriveKey(password, salt, WRITE_COST);
  try {
    const body = {
      kdf: { name: KDF, params: { N: WRITE_COST, r: BLOCK_SIZE, p: PARALLELISM }, salt: serializeBase64(salt) },
      cipher: { name: CIPHER, nonce: serializeBase64(nonce) },
      ciphertext: serializeBase64(secretbox(key, nonce).encrypt(pkcs8)),
    };
    return serializeUtf8(JSON.stringify(body));
  } finally {
    key.fill(0);
  }
}

function parseBody(body: Uint8Array) {
  const fields = new Fields(parseKeyJson(body), '', 'KEY_INVALID');
  const kdf = fields.object('kdf');
  const params = kdf.object('params');
  const cost = params.optionalInteger('N', 1, 2 ** 30);
  const blockSize = params.optionalInteger('r', 1, 2 ** 30);
  const parallelism = params.optionalInteger('p', 1, 2 ** 30);
  params.end();
  const kdfName = kdf.string('name');
  const salt = kdf.bytes('salt');
  kdf.end();
  const cipher = fields.object('cipher');
  const cipherName = cipher.string('name');
  const nonce = cipher.bytes('nonce');
  cipher.end();
  const ciphertext = fields.bytes('ciphertext');
  fields.end();

  if (kdfName !== KDF || cipherName !== CIPHER)
    throw new InputError('KEY_UNSUPPORTED', `private key not encrypted with ${KDF} and ${CIPHER}`);
  if (cost === undefined || !READ_COSTS.includes(cost) || blockSize !== BLOCK_SIZE || parallelism !== PARALLELISM)
    throw new InputError('KEY_UNSUPPORTED', 'private key with unsupported scrypt parameters');
  if (salt.length !== SALT_BYTES) throw kdf.fail('salt', `expected ${SALT_BYTES} bytes`);
  if (nonce.length !== NONCE_BYTES) throw cipher.fail('nonce', `expected ${NONCE_BYTES} bytes`);
  if (ciphertext.length <= TAG_BYTES) throw fields.fail('ciphertext', `expected more than ${TAG_BYTES} bytes`);
  return { cost, salt, nonce, ciphertext };
}

// The cause is dropped: the runtime's message quotes the text, and someone may have put a bare key here.
function parseKeyJson(body: Uint8Array): Json {
  try {
    return parseJson(parseUtf8(body));
  } catch {
    throw new InputError('KEY_INVALID', 'encrypted private key: not valid JSON');
  }
}

const deriveKey = (password: string, salt: Uint8Array, cost: number): Uint8Array =>
  scryptSync(password, salt, 32, { N: cost, r: BLOCK_SIZE, p: PARALLELISM, maxmem: SCRYPT_MEMORY });

function secretbox(key: Uint8Array, nonce: Uint8Array) {
  // Loaded only here: node:crypto has no Salsa20, and few runs need it.
  const { xsalsa20poly1305 } = require('@noble/ciphers/salsa.js') as typeof import('@noble/ciphers/salsa.js');
  return xsalsa20poly1305(key, nonce);
}
