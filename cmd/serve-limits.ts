import type { Json } from '../core/bytes/json.ts';
import type { Rate } from '../core/http/rate-limit.ts';
import { MAX_RATE } from '../core/limits.ts';
import { DEFAULT_LIMITS, type Limits } from '../server.ts';

const RATES = ['client', 'certificates', 'entries'] as const;
export const LIMIT_KEYS: readonly string[] = [...RATES, 'clientHeader'];

/** `limits` of the configuration file: what it does not say is as by default. Adds a line to `problems` for each error. */
export function parseLimits(json: Json, path: string, problems: string[]): Partial<Limits> {
  const members = objectOf(json, path, LIMIT_KEYS, problems);
  const header = members['clientHeader'];
  // A field name of RFC 9110 §5.1.
  if (header !== undefined && !(typeof header === 'string' && /^[A-Za-z0-9-]{1,64}$/.test(header))) {
    problems.push(`${path}.clientHeader: expected the name of a header`);
  }
  const rates = RATES.flatMap((name) => {
    const rate = members[name];
    return rate === undefined ? [] : [[name, parseRate(rate, `${path}.${name}`, DEFAULT_LIMITS[name], problems)]];
  });
  return { ...Object.fromEntries(rates), ...(typeof header === 'string' && { clientHeader: header }) };
}

function parseRate(json: Json, path: string, byDefault: Rate, problems: string[]): Rate {
  const members = objectOf(json, path, ['perMinute', 'burst'], problems);
  const number = (name: 'perMinute' | 'burst', min: number): number => {
    const value = members[name] ?? byDefault[name];
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= MAX_RATE) {
      return value as number;
    }
    problems.push(`${path}.${name}: expected an integer from ${min} to ${MAX_RATE}`);
    return min;
  };
  return { perMinute: number('perMinute', 0), burst: number('burst', 1) };
}

/** The members of an object of the configuration; {} and a line in `problems` if it is none. */
export function objectOf(json: Json, path: string, known: readonly string[], problems: string[]): Record<string, Json> {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) {
    problems.push(`${path}: expected an object`);
    return {};
  }
  for (const key of Object.keys(json)) if (!known.includes(key)) problems.push(`${path}.${key}: unknown key`);
  return json as Record<string, Json>;
}
