// Changes of JSON that leave it JSON, and of what is in its strings: base64 of DER, of JSON, of text.
import type { Json } from '../../core/bytes/json.ts';
import { MAX_INPUT_BYTES, mutateBytes } from './mutate-bytes.ts';
import { mutateDer } from './mutate-der.ts';
import { mutateText } from './mutate-text.ts';
import type { Random } from './random.ts';

const VALUES: readonly Json[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  '',
  ' ',
  '0',
  '-1',
  '01',
  '1e3',
  '0x10',
  '9223372036854775807',
  '9223372036854775808',
  '99999999999999999999999',
  'AA==',
  'AB==',
  'zz$$',
  '\u0000',
  '\ud800',
  '\ufeff',
  '2024-13-01T00:00:00Z',
  '2024-01-01T00:00:00Z',
  '9999-12-31T23:59:60.999999999+23:59',
  'https://[::1',
  'http://a b',
  [],
  {},
  [[]],
  [null],
  [{}],
  { a: 1 },
];
/** What conversions to text, numbers and lists trip over. */
const TRICKY: readonly Json[] = [
  { toString: 1, valueOf: 1 },
  { toJSON: 1 },
  { length: 1e9 },
  { constructor: null },
  [{ toString: null }],
];
const KEYS = [
  '__proto__',
  'constructor',
  'toString',
  'valueOf',
  'toJSON',
  'hasOwnProperty',
  'length',
  '',
  'then',
  '\u0000',
  '\ud800',
];
const DEEP = 160;

export function mutateJson(input: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  const root = parse(input);
  if (root === undefined) return mutateBytes(input, other, random);
  const donor = parse(other) ?? null;
  const box: Json[] = [root];
  for (let times = 1 + random.below(3); times > 0; times--) changeOnce(box, donor, random);
  const text = JSON.stringify(box[0]) ?? 'null';
  if (random.oneIn(8)) return mutateBytes(Buffer.from(text), other, random);
  if (random.oneIn(8)) return Buffer.from(withMemberTwice(text, random)).subarray(0, MAX_INPUT_BYTES);
  return Buffer.from(text).subarray(0, MAX_INPUT_BYTES);
}

function parse(input: Uint8Array): Json | undefined {
  try {
    return JSON.parse(Buffer.from(input).toString()) as Json;
  } catch {
    return undefined;
  }
}

type Container = Json[] | { [key: string]: Json };

function changeOnce(box: Json[], donor: Json, random: Random): void {
  if (box.length === 0) box.push(structuredClone(donor));
  const { container, key } = random.pick(placesOf(box));
  const value = (container as Record<string | number, Json>)[key] as Json;
  const set = (changed: Json): void => {
    Object.defineProperty(container, key, { value: changed, enumerable: true, writable: true, configurable: true });
  };
  // What makes inputs large or deep is rare: it takes the time of many others.
  const rare = random.oneIn(40);
  switch (rare ? 4 + random.below(3) : random.pick([0, 1, 1, 2, 3, 7, 7, 7])) {
    case 0:
      if (Array.isArray(container)) container.splice(Number(key), 1);
      else delete container[key];
      return;
    case 1:
      set(structuredClone(random.pick(random.oneIn(4) ? TRICKY : VALUES)));
      return;
    case 2: {
      const places = placesOf([donor]);
      const from = random.pick(places);
      set(structuredClone((from.container as Record<string | number, Json>)[from.key] as Json));
      return;
    }
    case 3: {
      const name = random.pick(random.oneIn(2) ? KEYS : placesOf([donor]).map((place) => String(place.key)));
      if (value === null || typeof value !== 'object' || Array.isArray(value)) return;
      const member = structuredClone(random.pick(VALUES));
      Object.defineProperty(value, name, { value: member, enumerable: true, writable: true, configurable: true });
      return;
    }
    case 4:
      if (!Array.isArray(value)) return;
      value.push(...structuredClone(value));
      if (random.oneIn(2) && value.length > 0) {
        const size = JSON.stringify(value).length;
        const times = Math.min(20_000, Math.floor(MAX_INPUT_BYTES / 2 / Math.max(2, size)));
        // Copies: a change of one must not be a change of thousands.
        set(Array.from({ length: times }, () => JSON.parse(JSON.stringify(value)) as Json[]).flat());
      }
      return;
    case 5: {
      let nested = value;
      for (let depth = 1 + random.below(DEEP); depth > 0; depth--) nested = random.oneIn(2) ? [nested] : { a: nested };
      set(nested);
      return;
    }
    case 6:
      if (random.oneIn(2)) set('A'.repeat(1 + random.below(MAX_INPUT_BYTES / 4)));
      return;
    default:
      if (typeof value === 'string') set(changedString(value, donor, random));
      else if (typeof value === 'number') set(value + random.pick([1, -1, 0.5, 2 ** 31, 2 ** 53]));
  }
}

function changedString(value: string, donor: Json, random: Random): string {
  const bytes = Buffer.from(value, 'base64');
  const isBase64 = value.length > 3 && bytes.toString('base64') === value;
  const strings = placesOf([donor])
    .map(({ container, key }) => (container as Record<string | number, Json>)[key])
    .filter((each) => typeof each === 'string');
  const other = Buffer.from(strings.length > 0 ? random.pick(strings) : '', isBase64 ? 'base64' : 'utf8');
  if (!isBase64 || random.oneIn(5)) return Buffer.from(mutateText(Buffer.from(value), other, random)).toString();
  const first = bytes[0];
  const mutate = first === 0x30 ? mutateDer : first === 0x7b ? mutateJson : first === 0x2d ? mutateText : mutateBytes;
  return Buffer.from(mutate(bytes, other, random)).toString('base64');
}

interface Place {
  readonly container: Container;
  readonly key: string | number;
}

function placesOf(container: Container): Place[] {
  const places: Place[] = [];
  const open: Container[] = [container];
  for (let next = open.pop(); next !== undefined && places.length < 5000; next = open.pop()) {
    for (const key of Object.keys(next)) {
      places.push({ container: next, key });
      const value = (next as Record<string, Json>)[key];
      if (value !== null && typeof value === 'object') open.push(value);
    }
  }
  return places;
}

function withMemberTwice(text: string, random: Random): string {
  const members = [...text.matchAll(/"(?:[^"\\]|\\.)*":/g)];
  if (members.length === 0) return text;
  const { 0: key, index } = random.pick(members);
  return `${text.slice(0, index)}${key}${random.pick(['null', '0', '""'])},${text.slice(index)}`;
}
