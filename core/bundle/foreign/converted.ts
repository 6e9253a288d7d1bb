import { serializeUtf8 } from '../../bytes/bytes.ts';
import type { Json } from '../../bytes/json.ts';
import { parseNamed } from '../../errors.ts';
import { type Bundle, parseBundle } from '../bundle.ts';

/** A bundle in standard form: well-formed, nothing in it verified. */
export interface ConvertedBundle {
  /** Path into the input, as `attestations[1].bundle`; empty for the whole of it. */
  readonly origin: string;
  readonly bundle: Bundle;
  /** What to write to a file. */
  readonly text: string;
}

/** A bundle that lies in a larger document keeps its version and its members. Errors of `parseBundle`, saying where. */
export function embeddedBundle(json: Json, origin: string): ConvertedBundle {
  const text = JSON.stringify(json);
  return { origin, bundle: within(origin, () => parseBundle(serializeUtf8(text))), text };
}

/** Runs a parser of what lies at `origin`, so that its errors say so. */
export const within = <T>(origin: string, parse: () => T): T =>
  origin === '' ? parse() : parseNamed(origin, 'get the file again from where it came from, whole', parse);
