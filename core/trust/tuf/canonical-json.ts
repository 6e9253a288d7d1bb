import type { Json } from '../../bytes/json.ts';
import { InputError } from '../../errors.ts';

/**
 * Canonical JSON of TUF (the OLPC form): members sorted by code point, no white space, of all characters only `"` and `\`
 * escaped, integers alone. TUF_METADATA_INVALID for a fraction. Not RFC 8785, which escapes more.
 */
export function canonicalizeTufJson(value: Json): string {
  if (typeof value === 'string') return `"${value.replace(/["\\]/g, '\\$&')}"`;
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new InputError('TUF_METADATA_INVALID', `${value} is not an exact integer`);
    return String(value);
  }
  if (value === null || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `[${value.map(canonicalizeTufJson).join(',')}]`;
  const members = Object.keys(value).sort(byCodePoint);
  return `{${members.map((key) => `${canonicalizeTufJson(key)}:${canonicalizeTufJson(value[key] as Json)}`).join(',')}}`;
}

// The order of UTF-8 is that of the code points; JavaScript's own is that of UTF-16.
const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
