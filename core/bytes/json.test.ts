import { describe, expect, test } from 'bun:test';
import { HallmarkError } from '../errors.ts';
import { MAX_JSON_DEPTH } from '../limits.ts';
import { serializeUtf8 } from './bytes.ts';
import { Fields } from './fields.ts';
import { canonicalizeJson, type Json, parseJson } from './json.ts';

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof HallmarkError) return error.code;
    throw error;
  }
  return 'accepted';
};

describe('parseJson', () => {
  test('accepts equal keys in different objects', () =>
    expect(parseJson('{"a":{"a":[{"a":1},{"a":2}]},"b":"a"}')).toEqual({ a: { a: [{ a: 1 }, { a: 2 }] }, b: 'a' }));
  test('accepts strings that look like structure', () =>
    expect(parseJson('{"a":"{\\"a\\":1,","b":"\\\\"}')).toEqual({ a: '{"a":1,', b: '\\' }));
  for (const [flaw, text, code] of [
    ['a duplicate key', '{"a":1,"a":2}', 'JSON_DUPLICATE_KEY'],
    ['a duplicate key in a nested object', '[{"x":{"a":1,"b":2,"a":3}}]', 'JSON_DUPLICATE_KEY'],
    ['a duplicate key that is written with an escape', '{"a":1,"\\u0061":2}', 'JSON_DUPLICATE_KEY'],
    ['a duplicate key after an array', '{"a":[1,2],"a":2}', 'JSON_DUPLICATE_KEY'],
    ['deep nesting', '['.repeat(MAX_JSON_DEPTH + 1) + ']'.repeat(MAX_JSON_DEPTH + 1), 'JSON_TOO_DEEP'],
    ['an unterminated string', '{"a', 'JSON_INVALID'],
    ['data after the value', '{} {}', 'JSON_INVALID'],
    ['a trailing comma', '[1,]', 'JSON_INVALID'],
    ['a byte order mark', '\ufeff{}', 'JSON_INVALID'],
    ['a number of more digits than a double holds', `[${'9'.repeat(400)}]`, 'JSON_INVALID'],
    ['a number of a larger exponent than a double holds', '{"a":-1e400}', 'JSON_INVALID'],
  ] as const) {
    test(`refuses ${flaw}`, () => expect(codeOf(() => parseJson(text))).toBe(code));
  }
  test('accepts numbers up to the largest, however they are written', () => {
    const text = `[1.7976931348623157e308,-1E+2,0.5,-0,${'9'.repeat(308)},0.${'0'.repeat(400)}1,1e-400]`;
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });
  test('refuses more members than it may have, in however many objects and arrays', () => {
    expect(parseJson('[{"a":1,"b":2},[3]]', 3)).toEqual([{ a: 1, b: 2 }, [3]]);
    expect(codeOf(() => parseJson('[{"a":1,"b":2},[3,4]]', 3))).toBe('INPUT_TOO_LARGE');
    expect(codeOf(() => parseJson(`[${'0,'.repeat(1_000_000)}0]`))).toBe('INPUT_TOO_LARGE');
    const large = serializeUtf8(`["${'x'.repeat(2_000_000)}","${',\\\\\\",'.repeat(1000)}",3]`);
    expect(parseJson(large, 3)).toHaveLength(3);
    expect(codeOf(() => parseJson(large, 2))).toBe('INPUT_TOO_LARGE');
    expect(codeOf(() => parseJson(large.subarray(0, -4), 3))).toBe('JSON_INVALID');
  });
  test('refuses invalid UTF-8', () =>
    expect(codeOf(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22)))).toBe('ENCODING_INVALID'));
  test('bounded time on a million brackets', () =>
    expect(codeOf(() => parseJson('['.repeat(1_000_000)))).toBe('JSON_TOO_DEEP'));
});

describe('canonicalizeJson', () => {
  test('RFC 8785 §3.2.3: members sorted by UTF-16 code units', () => {
    const unsorted: Json = { '€': 1, '\r': 2, '\ufb33': 3, '1': 4, '😀': 5, '\u0080': 6, ö: 7 };
    expect(Object.keys(JSON.parse(canonicalizeJson(unsorted)) as object)).toEqual([
      '1',
      '\r',
      '\u0080',
      'ö',
      '€',
      '😀',
      '\ufb33',
    ]);
  });
  test('RFC 8785 §3.2.2: numbers and strings', () =>
    expect(canonicalizeJson({ n: [1e30, 4.5, 2e-3, 1e-27], s: '€$\u000f\nA\'B"\\"/' })).toBe(
      '{"n":[1e+30,4.5,0.002,1e-27],"s":"€$\\u000f\\nA\'B\\"\\\\\\"/"}',
    ));
  test('is a fixed point', () => {
    const text = canonicalizeJson({ b: [{ d: null, c: true }], a: 'x' });
    expect(canonicalizeJson(parseJson(text))).toBe(text);
  });
});

describe('Fields', () => {
  const fields = (value: Json): Fields => new Fields(value, 'doc', 'FIELD_INVALID');
  test('names the path of a missing field', () =>
    expect(() =>
      fields({ a: { b: {} } })
        .object('a')
        .object('b')
        .string('c'),
    ).toThrow('doc.a.b.c: missing'));
  test('null counts as absent', () => expect(fields({ a: null }).optionalString('a')).toBeUndefined());
  test('does not read inherited members', () => expect(fields({}).has('toString')).toBe(false));
  test('reads int64 from string and number', () => {
    expect(fields({ a: '12' }).bigint('a', 100n)).toBe(12n);
    expect(fields({ a: 12 }).bigint('a', 100n)).toBe(12n);
  });
  for (const [flaw, read] of [
    ['an array where an object belongs', () => fields([])],
    ['a number above its bound', () => fields({ a: '101' }).bigint('a', 100n)],
    ['a negative number', () => fields({ a: -1 }).bigint('a', 100n)],
    ['a fraction', () => fields({ a: 1.5 }).bigint('a', 100n)],
    ['base64 with junk', () => fields({ a: 'A$==' }).bytes('a')],
    ['too many elements', () => fields({ a: [1, 2, 3] }).array('a', 2)],
    ['a time without a zone', () => fields({ a: '2024-01-01T00:00:00' }).optionalTime('a')],
    ['a member that nobody read', () => fields({ a: 1 }).end()],
  ] as const) {
    test(`refuses ${flaw}`, () => expect(codeOf(read)).toBe('FIELD_INVALID'));
  }
  test('reads bytes', () => expect(fields({ a: 'QQ==' }).bytes('a')).toEqual(serializeUtf8('A')));
});
