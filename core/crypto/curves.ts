/** The NIST curves that are accepted, over the field of `p` elements with base point of order `n` (FIPS 186-5, SP 800-186 §3.2.1). */
interface Curve {
  readonly oid: string;
  /** Name for node:crypto. */
  readonly native: 'prime256v1' | 'secp384r1' | 'secp521r1';
  readonly bits: number;
  /** Bytes of a coordinate, and of a scalar. */
  readonly bytes: number;
  readonly p: bigint;
  readonly n: bigint;
}

export type CurveKind = 'p256' | 'p384' | 'p521';

export const CURVES: Record<CurveKind, Curve> = {
  p256: {
    oid: '1.2.840.10045.3.1.7',
    native: 'prime256v1',
    bits: 256,
    bytes: 32,
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  p384: {
    oid: '1.3.132.0.34',
    native: 'secp384r1',
    bits: 384,
    bytes: 48,
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
  p521: {
    oid: '1.3.132.0.35',
    native: 'secp521r1',
    bits: 521,
    bytes: 66,
    p: 2n ** 521n - 1n,
    n: 2n ** 521n - 0x5ae79787c40d069948033feb708f65a2fc44a36477663b851449048e16ec79bf7n,
  },
};
