import { createHash } from 'node:crypto';
import { concat, equal, serializeUtf8 } from '../bytes/bytes.ts';
import { digest as hash } from './hash.ts';
import type { PublicKey } from './public-key.ts';

/** dom2(1, ""), which sets Ed25519ph apart from Ed25519 (RFC 8032 §2). */
const DOMAIN = concat(serializeUtf8('SigEd25519 no Ed25519 collisions'), Uint8Array.of(1, 0));

// Loaded only here: node:crypto has no Ed25519ph, and few runs need it.
const loadCurve = () => (require('@noble/curves/ed25519.js') as typeof import('@noble/curves/ed25519.js')).ed25519;

/** Loads and computes now what the first Ed25519ph of a process takes some 30 ms for. */
export function prepareEd25519ph(): void {
  loadCurve().Point.BASE.multiplyUnsafe(2n);
}

/** True if `signature` is the Ed25519ph signature over the SHA-512 `digest` (RFC 8032 §5.1.7). */
export function isValidEd25519phSignature(key: PublicKey, digest: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  const [publicBytes, r] = [publicBytesOf(key), signature.subarray(0, 32)];
  return isSolution(publicBytes, signature, hash('sha512', DOMAIN, r, publicBytes, digest));
}

/** Verifies a pure Ed25519 signature of a message that comes in pieces, which no other part of the scheme needs at once. */
export function ed25519Verifier(
  key: PublicKey,
  signature: Uint8Array,
): { update(chunk: Uint8Array): void; isValid(): boolean } {
  const publicBytes = publicBytesOf(key);
  const challenge = createHash('sha512').update(signature.subarray(0, 32)).update(publicBytes);
  return {
    update: (chunk) => {
      challenge.update(chunk);
    },
    isValid: () => signature.length === 64 && isSolution(publicBytes, signature, challenge.digest()),
  };
}

const publicBytesOf = (key: PublicKey): Uint8Array => key.spki.subarray(-32);

// The equation is checked without the cofactor, R by its bytes, and a key in a longer form than it needs is read, all as the
// native verification of pure Ed25519 does, so that all judge alike.
function isSolution(publicBytes: Uint8Array, signature: Uint8Array, challenge: Uint8Array): boolean {
  const { Point } = loadCurve();
  const r = signature.subarray(0, 32);
  const s = littleEndian(signature.subarray(32));
  if (s >= Point.Fn.ORDER) return false;
  const k = littleEndian(challenge) % Point.Fn.ORDER;
  let point: ReturnType<typeof Point.fromBytes>;
  try {
    point = Point.fromBytes(publicBytes, true);
  } catch {
    return false; // y of no point on the curve
  }
  return equal(Point.BASE.multiplyUnsafe(s).subtract(point.multiplyUnsafe(k)).toBytes(), r);
}

/** The Ed25519ph signature over the SHA-512 `digest` by the key with this 32-byte seed (RFC 8032 §5.1.6). */
export function signEd25519ph(seed: Uint8Array, digest: Uint8Array): Uint8Array {
  const { eddsa } = require('@noble/curves/abstract/edwards.js') as typeof import('@noble/curves/abstract/edwards.js');
  const scheme = eddsa(loadCurve().Point, (bytes: Uint8Array) => hash('sha512', bytes), {
    adjustScalarBytes: clamp,
    domain: (bytes: Uint8Array) => concat(DOMAIN, bytes),
    prehash: (bytes: Uint8Array) => bytes, // already the digest
  });
  return scheme.sign(digest, seed);
}

/** RFC 8032 §5.1.5 step 2. */
function clamp(bytes: Uint8Array): Uint8Array {
  bytes[0] = (bytes[0] as number) & 248;
  bytes[31] = ((bytes[31] as number) & 127) | 64;
  return bytes;
}

const littleEndian = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
