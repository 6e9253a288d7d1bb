import { expect, test } from 'bun:test';
import { predicateTypeUri } from './predicate-types.ts';

test('a short name means its URI, and a URI itself', () => {
  expect(predicateTypeUri('slsaprovenance1')).toBe('https://slsa.dev/provenance/v1');
  expect(predicateTypeUri('https://example.com/x/v1')).toBe('https://example.com/x/v1');
  expect(predicateTypeUri('urn:example:x')).toBe('urn:example:x');
});

test.each(['', 'slsa', 'toString', '__proto__', ':x', 'a b:c', 'https://example.com/a b'])(
  'neither a name nor a URI: %j',
  (text) => {
    expect(() => predicateTypeUri(text)).toThrow(expect.objectContaining({ code: 'PREDICATE_INVALID' }));
  },
);
