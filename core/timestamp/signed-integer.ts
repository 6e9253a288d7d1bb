import { type DerReader, element, TAG } from '../asn1/der.ts';

/**
 * Reads an INTEGER of either sign, at most `maxBytes` with its sign: nonces and serial numbers are random bytes to some writers,
 * so half of theirs are negative. Errors: DER_INVALID.
 */
export function readSignedInteger(reader: DerReader, maxBytes: number): bigint {
  const content = reader.integerBytes(maxBytes);
  return BigInt.asIntN(content.length * 8, BigInt(`0x${Buffer.from(content).toString('hex')}`));
}

/** INTEGER in two's complement of the fewest bytes (X.690 §8.3.2). */
export function serializeSignedInteger(value: bigint): Uint8Array {
  let length = 1;
  while (BigInt.asIntN(length * 8, value) !== value) length++;
  const hex = BigInt.asUintN(length * 8, value).toString(16);
  return element(TAG.integer, Buffer.from(hex.padStart(length * 2, '0'), 'hex'));
}
