import { DerReader } from '../asn1/der.ts';
import { HallmarkError } from '../errors.ts';
import { CURVES, type CurveKind } from './curves.ts';

/** An ECDSA signature, both numbers in 1..n-1. */
export interface EcdsaSignature {
  readonly r: bigint;
  readonly s: bigint;
}

/** Reads `Ecdsa-Sig-Value` (RFC 3279 §2.2.3) in DER; undefined if it is anything else or a number is out of range. */
export function parseEcdsaSignature(kind: CurveKind, signature: Uint8Array): EcdsaSignature | undefined {
  const { n, bytes } = CURVES[kind];
  try {
    const outer = new DerReader(signature);
    const numbers = outer.sequence();
    outer.end();
    const r = numbers.integer(bytes + 1);
    const s = numbers.integer(bytes + 1);
    numbers.end();
    return r > 0n && r < n && s > 0n && s < n ? { r, s } : undefined;
  } catch (error) {
    if (error instanceof HallmarkError && error.code === 'DER_INVALID') return undefined;
    throw error;
  }
}
