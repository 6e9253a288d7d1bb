import { DerReader } from '../asn1/der.ts';
import { HallmarkError, InputError, type InputErrorCode } from '../errors.ts';

/** What a format's parser is called and how much it accepts. */
export interface DerFormat {
  readonly code: InputErrorCode;
  /** With its article: "a certificate". */
  readonly what: string;
  readonly maxBytes: number;
}

/**
 * Reads `der` to its last byte with `read`. What the layers below refuse (DER, UTF-8) becomes an InputError with the format's
 * code, "not a certificate: ...".
 */
export function parseDer<T>(der: Uint8Array, format: DerFormat, read: (reader: DerReader) => T): T {
  if (der.length > format.maxBytes)
    throw new InputError(format.code, `not ${format.what}: larger than ${format.maxBytes} bytes`);
  try {
    const reader = new DerReader(der);
    const value = read(reader);
    reader.end();
    return value;
  } catch (cause) {
    if (cause instanceof HallmarkError && (cause.code === 'DER_INVALID' || cause.code === 'ENCODING_INVALID'))
      throw new InputError(format.code, `not ${format.what}: ${cause.message}`, { cause });
    throw cause;
  }
}
