import { createPublicKey, type KeyObject } from 'node:crypto';
import { DerReader, TAG } from '../asn1/der.ts';
import { concat, parseHex } from '../bytes/bytes.ts';
import { HallmarkError, InputError } from '../errors.ts';
import { MAX_RSA_BITS, MAX_RSA_EXPONENT, MIN_RSA_BITS, MIN_RSA_EXPONENT } from '../limits.ts';
import { KEY_DETAILS, type KeyKind } from './algorithms.ts';
import { CURVES, type CurveKind } from './curves.ts';
import { type HashName, sha256 } from './hash.ts';
import { parsePem, serializePem } from './pem.ts';

/** A public key that passed `parsePublicKey`. `bits` is the size of its field or modulus, `spki` its one DER encoding. */
export interface PublicKey {
  readonly kind: KeyKind;
  readonly bits: number;
  readonly spki: Uint8Array;
  readonly native: KeyObject;
}

/** A key for ECDSA. */
export type EcdsaKey = PublicKey & { readonly kind: CurveKind };
export const isEcdsaKey = (key: PublicKey): key is EcdsaKey => Object.hasOwn(CURVES, key.kind);

const OID_EC = '1.2.840.10045.2.1';
const OID_RSA = '1.2.840.113549.1.1.1';
const OID_ED25519 = '1.3.101.112';
const P25519 = 2n ** 255n - 19n;
const SUPPORTED = 'use ECDSA on P-256, P-384 or P-521, RSA, or Ed25519';

const invalid = (problem: string, cause?: unknown): InputError =>
  new InputError('KEY_INVALID', `not a valid public key: ${problem}`, cause === undefined ? {} : { cause });

const unsupported = (what: string): InputError =>
  new InputError('KEY_UNSUPPORTED', `public key not supported: ${what}`, { hint: SUPPORTED });

/**
 * Reads a DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) in its one canonical form: a named curve and an uncompressed point on
 * it, RSA within the bounds of core/limits.ts, or Ed25519. Errors: KEY_INVALID, KEY_UNSUPPORTED.
 */
export function parsePublicKey(spki: Uint8Array): PublicKey {
  let shape: Shape;
  try {
    shape = parseShape(spki);
  } catch (cause) {
    throw cause instanceof HallmarkError && cause.code === 'DER_INVALID' ? invalid(cause.message, cause) : cause;
  }
  const copy = Uint8Array.from(spki);
  return { ...shape, spki: copy, native: importKey(copy) };
}

interface Shape {
  readonly kind: KeyKind;
  readonly bits: number;
}

function parseShape(spki: Uint8Array): Shape {
  const outer = new DerReader(spki);
  const info = outer.sequence();
  outer.end();
  const algorithm = info.sequence();
  const key = info.bitString();
  info.end();
  const oid = algorithm.oid();
  if (oid === OID_EC) return parseEcPoint(algorithm, key);
  if (oid === OID_RSA) return parseRsaKey(algorithm, key);
  if (oid === OID_ED25519) return parseEd25519Point(algorithm, key);
  throw unsupported(`algorithm ${oid}`);
}

/** RFC 5480 §2.1.1, §2.2. Whether the point is on the curve, the import tells. */
function parseEcPoint(algorithm: DerReader, point: Uint8Array): Shape {
  if (algorithm.tag === TAG.sequence) throw unsupported('explicit curve parameters');
  const oid = algorithm.oid();
  algorithm.end();
  for (const [kind, curve] of Object.entries(CURVES)) {
    if (curve.oid !== oid) continue;
    if (point[0] !== 4) throw invalid('the point is not in uncompressed form');
    if (point.length !== 1 + 2 * curve.bytes) throw invalid('the point has the wrong length for its curve');
    return { kind: kind as CurveKind, bits: curve.bits };
  }
  throw unsupported(`curve ${oid}`);
}

/** RFC 3279 §2.3.1. */
function parseRsaKey(algorithm: DerReader, key: Uint8Array): Shape {
  algorithm.null();
  algorithm.end();
  const outer = new DerReader(key);
  const numbers = outer.sequence();
  outer.end();
  const modulus = numbers.integer(MAX_RSA_BITS); // bytes: eight times the bound, for a clear answer below
  const exponent = numbers.integer(16);
  numbers.end();
  const bits = modulus.toString(2).length;
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS)
    throw unsupported(`RSA of ${bits} bits, outside ${MIN_RSA_BITS} to ${MAX_RSA_BITS}`);
  if (modulus % 2n === 0n) throw invalid('RSA modulus even');
  if (exponent % 2n === 0n) throw invalid('RSA exponent even');
  if (exponent < MIN_RSA_EXPONENT || exponent > MAX_RSA_EXPONENT)
    throw unsupported(`RSA exponent outside ${MIN_RSA_EXPONENT} to ${MAX_RSA_EXPONENT}`);
  return { kind: 'rsa', bits };
}

// y of the points whose order divides 8: under such a key a signature says nothing about who made it, nor over what.
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  P25519 - 1n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
]);

/** RFC 8410 §4. The y coordinate is little-endian, its top bit the sign of x (RFC 8032 §5.1.2). */
function parseEd25519Point(algorithm: DerReader, point: Uint8Array): Shape {
  algorithm.end();
  if (point.length !== 32) throw invalid('an Ed25519 key has 32 bytes');
  const y = BigInt(`0x${Buffer.from(point).reverse().toString('hex')}`) & (2n ** 255n - 1n);
  if (y >= P25519) throw invalid('Ed25519 coordinate above the field');
  if (SMALL_ORDER_Y.has(y)) throw invalid('Ed25519 point of small order');
  return { kind: 'ed25519', bits: 256 };
}

function importKey(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (cause) {
    throw invalid('the numbers do not form a key', cause);
  }
}

/** What stands before the raw key in the SubjectPublicKeyInfo (RFC 8410 §4). */
const ED25519_PREFIX = parseHex('302a300506032b6570032100');

/** The Ed25519 key of these 32 bytes (RFC 8032 §5.1.5). KEY_INVALID */
export const parseRawEd25519Key = (raw: Uint8Array): PublicKey => parsePublicKey(concat(ED25519_PREFIX, raw));

/** The 32 bytes of an Ed25519 key. */
export function rawEd25519Key(key: PublicKey): Uint8Array {
  if (key.kind !== 'ed25519') throw new Error('internal: the raw form of a key that is not Ed25519');
  return key.spki.subarray(ED25519_PREFIX.length);
}

/** The key in a PEM text of one PUBLIC KEY block. Errors: PEM_INVALID, KEY_INVALID, KEY_UNSUPPORTED. */
export function parsePublicKeyPem(pem: string): PublicKey {
  const [block, ...more] = parsePem(pem, 'PUBLIC KEY');
  if (block === undefined || more.length > 0) throw new InputError('PEM_INVALID', 'more than one PUBLIC KEY block');
  return parsePublicKey(block.der);
}

/** PEM in lines of 64 characters with a final newline. */
export const serializePublicKeyPem = (key: PublicKey): string => serializePem('PUBLIC KEY', key.spki);

/** SHA-256 of the SubjectPublicKeyInfo: the ID of a log (RFC 6962 §3.2), the hint of a key. */
export const keyFingerprint = (key: PublicKey): Uint8Array => sha256(key.spki);

/** The hash that `key` signs with unless told otherwise; for Ed25519 that of Ed25519ph (RFC 8032 §5.1). */
export function defaultHash(key: { readonly kind: KeyKind }): HashName {
  for (const row of Object.values(KEY_DETAILS)) if (row.kind === key.kind && row.prehashed) return row.hash;
  throw new Error(`internal: no hash for a key of kind ${key.kind}`);
}
