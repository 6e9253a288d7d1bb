import { InputError, type InputErrorCode } from '../errors.ts';
import { parseBase64, parseDecimal } from './bytes.ts';
import type { Json } from './json.ts';

/**
 * Typed reading of one JSON object. Every accessor names the path in its error; `end` refuses members that nobody read,
 * so a parser built on it accepts exactly the fields that it knows. `null` counts as absent (protojson).
 */
export class Fields {
  readonly #object: { readonly [key: string]: Json };
  readonly #read = new Set<string>();
  readonly path: string;
  readonly #code: InputErrorCode;

  /** `code` is the error that every failure carries, e.g. BUNDLE_INVALID. */
  constructor(value: Json | undefined, path: string, code: InputErrorCode) {
    this.path = path;
    this.#code = code;
    if (value === null || value === undefined || typeof value !== 'object' || Array.isArray(value)) {
      throw new InputError(code, `${path || 'document'}: expected an object`, path === '' ? {} : { evidence: path });
    }
    this.#object = value;
  }

  /** An InputError about member `key`. */
  fail(key: string, problem: string, cause?: unknown): InputError {
    const evidence = this.#at(key);
    return new InputError(this.#code, `${evidence}: ${problem}`, { evidence, ...(cause !== undefined && { cause }) });
  }

  #at(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }

  #get(key: string): Json | undefined {
    this.#read.add(key);
    if (!Object.hasOwn(this.#object, key)) return undefined;
    const value = this.#object[key];
    return value === null ? undefined : value;
  }

  has(key: string): boolean {
    return this.#get(key) !== undefined;
  }

  /** The raw value, unread by any typed accessor. */
  json(key: string): Json | undefined {
    return this.#get(key);
  }

  optionalString(key: string): string | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw this.fail(key, 'expected a string');
    return value;
  }

  string(key: string): string {
    const value = this.optionalString(key);
    if (value === undefined) throw this.fail(key, 'missing');
    return value;
  }

  optionalBoolean(key: string): boolean | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (typeof value !== 'boolean') throw this.fail(key, 'expected true or false');
    return value;
  }

  /** Standard base64 with padding. */
  optionalBytes(key: string): Uint8Array | undefined {
    const value = this.optionalString(key);
    if (value === undefined) return undefined;
    try {
      return parseBase64(value);
    } catch (cause) {
      throw this.fail(key, 'expected base64', cause);
    }
  }

  bytes(key: string): Uint8Array {
    const value = this.optionalBytes(key);
    if (value === undefined) throw this.fail(key, 'missing');
    return value;
  }

  /** protojson int64: a decimal string, or a number that is a safe integer. 0..max. */
  optionalBigint(key: string, max: bigint): bigint | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && BigInt(value) <= max)
      return BigInt(value);
    if (typeof value !== 'string') throw this.fail(key, 'expected an unsigned integer');
    try {
      return parseDecimal(value, max);
    } catch (cause) {
      throw this.fail(key, `expected an unsigned integer up to ${max}`, cause);
    }
  }

  bigint(key: string, max: bigint): bigint {
    const value = this.optionalBigint(key, max);
    if (value === undefined) throw this.fail(key, 'missing');
    return value;
  }

  /** A JSON number that is an integer in min..max. */
  optionalInteger(key: string, min: number, max: number): number | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
      throw this.fail(key, `expected an integer from ${min} to ${max}`);
    }
    return value;
  }

  optionalObject(key: string): Fields | undefined {
    const value = this.#get(key);
    return value === undefined ? undefined : new Fields(value, this.#at(key), this.#code);
  }

  object(key: string): Fields {
    return new Fields(this.#get(key), this.#at(key), this.#code);
  }

  /** The array's raw elements; absent counts as empty; more than `max` is an error. */
  array(key: string, max: number): Json[] {
    const value = this.#get(key) ?? [];
    if (!Array.isArray(value)) throw this.fail(key, 'expected an array');
    if (value.length > max) throw this.fail(key, `more than ${max} elements`);
    return value;
  }

  objects(key: string, max: number): Fields[] {
    return this.array(key, max).map((item, i) => new Fields(item, `${this.#at(key)}[${i}]`, this.#code));
  }

  /** RFC 3339 time, as protojson writes timestamps. */
  optionalTime(key: string): Date | undefined {
    const value = this.optionalString(key);
    if (value === undefined) return undefined;
    const time = new Date(value);
    if (
      !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(value) ||
      Number.isNaN(time.getTime())
    ) {
      throw this.fail(key, 'expected an RFC 3339 time');
    }
    return time;
  }

  /** Names of all members, for documents whose keys are data. */
  keys(): string[] {
    return Object.keys(this.#object);
  }

  /** Refuses members that no accessor asked for. */
  end(): void {
    for (const key of Object.keys(this.#object)) {
      if (!this.#read.has(key)) throw this.fail(key.slice(0, 80), 'unknown field');
    }
  }
}
