import { describe, expect, test } from 'bun:test';
import { parseUtf8, serializeUtf8 } from '../bytes/bytes.ts';
import { HallmarkError } from '../errors.ts';
import { MAX_STATEMENT_SUBJECTS } from '../limits.ts';
import { parseStatement, type Statement } from './statement.ts';
import { serializeStatement } from './testing.ts';

const statementWith = (changes: object): Uint8Array =>
  serializeUtf8(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'a.txt', digest: { sha256: 'aa' } }],
      predicateType: 'https://slsa.dev/provenance/v1',
      predicate: { buildDefinition: {} },
      ...changes,
    }),
  );

function refusalOf(payload: Uint8Array): string {
  try {
    parseStatement(payload);
  } catch (error) {
    if (error instanceof HallmarkError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('parseStatement', () => {
  const statement: Statement = {
    type: 'https://in-toto.io/Statement/v1',
    subjects: [{ name: 'a.txt', digest: { sha256: 'aa', gitCommit: 'bb' } }, { digest: { sha512: 'cc' } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: { a: [1, null, 'x'] },
  };
  test('is the inverse of serializeStatement', () => {
    expect(parseStatement(serializeStatement(statement))).toEqual(statement);
    const v01 = { ...statement, type: 'https://in-toto.io/Statement/v0.1', predicate: null } as const;
    expect(parseStatement(serializeStatement(v01))).toEqual(v01);
  });
  test('writes the members in the order of the specification', () =>
    expect(
      parseUtf8(serializeStatement({ ...statement, subjects: [{ digest: { sha256: 'aa' } }], predicate: {} })),
    ).toBe(
      '{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"aa"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}',
    ));
  test('ignores unknown fields, as the specification asks', () =>
    expect(refusalOf(statementWith({ more: 1, subject: [{ uri: 'x', digest: { sha1: 'a' } }] }))).toBe('accepted'));
  test('takes __proto__ for an algorithm like any other', () => {
    const [subject] = parseStatement(
      serializeUtf8(
        '{"_type":"https://in-toto.io/Statement/v1","predicateType":"p","subject":[{"digest":{"__proto__":"x"}}]}',
      ),
    ).subjects;
    expect(Object.keys(subject!.digest)).toEqual(['__proto__']);
    expect(Object.hasOwn(subject!.digest, 'toString')).toBe(false);
  });
  for (const [flaw, changes, message] of [
    ['no type', { _type: null }, '_type: missing'],
    ['another type', { _type: 'https://in-toto.io/Statement/v2' }, '_type: not one of'],
    ['a type with a slash more', { _type: 'https://in-toto.io/Statement/v1/' }, '_type: not one of'],
    ['no subjects', { subject: null }, 'subject: missing'],
    ['an empty list of subjects', { subject: [] }, 'subject: missing'],
    ['a subject that is a list', { subject: [[]] }, 'subject[0]: expected an object'],
    ['a subject without digest', { subject: [{ name: 'a' }] }, 'subject[0].digest: expected an object'],
    ['a subject with an empty digest', { subject: [{ digest: {} }] }, 'subject[0].digest: empty'],
    [
      'a digest that is a number',
      { subject: [{ digest: { sha256: 1 } }] },
      'subject[0].digest.sha256: expected a string',
    ],
    ['a digest that is null', { subject: [{ digest: { sha256: null } }] }, 'subject[0].digest.sha256: missing'],
    ['a name that is a number', { subject: [{ name: 1, digest: { a: 'b' } }] }, 'subject[0].name: expected a string'],
    ['no predicate type', { predicateType: null }, 'predicateType: missing'],
    ['an empty predicate type', { predicateType: '' }, 'predicateType: empty'],
    [
      'too many subjects',
      { subject: Array(MAX_STATEMENT_SUBJECTS + 1).fill({ digest: { a: 'b' } }) },
      'subject: more than',
    ],
  ] as const) {
    test(`refuses ${flaw}`, () =>
      expect(refusalOf(statementWith(changes))).toStartWith(`STATEMENT_INVALID ${message}`));
  }
  test('refuses a key twice', () =>
    expect(refusalOf(serializeUtf8('{"_type":"a","_type":"b"}'))).toStartWith('JSON_DUPLICATE_KEY'));
  test('refuses invalid UTF-8', () => expect(refusalOf(Uint8Array.of(0x7b, 0xff))).toStartWith('ENCODING_INVALID'));
});
