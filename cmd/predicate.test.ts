import { describe, expect, test } from 'bun:test';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { HallmarkError } from '../core/errors.ts';
import { makeStatement } from './predicate.ts';

const make = (type: string, predicate: string): string =>
  makeStatement({
    subject: { name: 'file', digests: { sha256: Uint8Array.of(1, 2) } },
    type,
    predicateType: 'https://example.com/p',
    predicate: serializeUtf8(predicate),
    now: new Date('2026-11-20T12:00:00.123Z'),
  });

test('the predicate goes in as it is written', () => {
  expect(make('vuln', ' {"big": 12345678901234567890} \n')).toBe(
    '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"file","digest":{"sha256":"0102"}}],' +
      '"predicateType":"https://example.com/p","predicate":{"big": 12345678901234567890}}',
  );
});

test('custom holds any text, spdx the text itself', () => {
  expect(JSON.parse(make('custom', 'any "text"')).predicate).toEqual({
    Data: 'any "text"',
    Timestamp: '2026-11-20T12:00:00Z',
  });
  expect(JSON.parse(make('spdx', 'SPDXVersion: x')).predicate).toBe('SPDXVersion: x');
});

describe('not a predicate', () => {
  for (const [flaw, text] of Object.entries({
    'a list': '[]',
    null: 'null',
    'no JSON': '{',
    'a member twice': '{"a":1,"a":2}',
    'more than one value': '{}{}',
  })) {
    test(flaw, () => {
      let code = '';
      try {
        make('vuln', text);
      } catch (error) {
        code = error instanceof HallmarkError ? error.code : String(error);
      }
      expect(code).toBe('PREDICATE_INVALID');
    });
  }
});
