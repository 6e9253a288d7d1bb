import { describe, expect, test } from 'bun:test';
import { TrustError } from '../errors.ts';
import type { Service, SigningConfig } from '../trust/signing-config.ts';
import { chooseServices } from './services.ts';

const NOW = new Date('2026-11-20T12:00:00Z');

const service = (url: string, majorApiVersion = 1): Service => ({
  url,
  majorApiVersion,
  validFor: { start: new Date('2026-01-01T00:00:00Z'), end: undefined },
  operator: 'example',
});

const CONFIG: SigningConfig = {
  caUrls: [service('https://ca.example')],
  oidcUrls: [],
  rekorTlogUrls: [service('https://log.example'), service('https://log2.example', 2)],
  tsaUrls: [service('https://tsa.example/api/v1/timestamp')],
  rekorTlogConfig: { selector: 'ANY' },
  tsaConfig: { selector: 'ANY' },
};

const choose = (changes: Partial<SigningConfig> = {}, logVersion?: 1 | 2) =>
  chooseServices({ ...CONFIG, ...changes }, NOW, (n) => new Uint8Array(n), logVersion);

test('the newest dialect that the config lists', () => {
  expect(choose()).toEqual({
    certificateAuthority: 'https://ca.example',
    timestampAuthorities: ['https://tsa.example/api/v1/timestamp'],
    logs: [{ url: 'https://log2.example', version: 2 }],
  });
});

test('the dialect that is asked for', () => {
  expect(choose({}, 1).logs).toEqual([{ url: 'https://log.example', version: 1 }]);
});

test('a config without certificate authority is enough for a kept key', () => {
  expect(choose({ caUrls: [] }).certificateAuthority).toBeUndefined();
});

describe('nothing would prove when it was signed', () => {
  const refused: Record<string, [Partial<SigningConfig>, 1 | 2 | undefined]> = {
    'a Rekor v2 log without timestamp authority': [{ tsaUrls: [] }, undefined],
    'neither log nor timestamp authority': [{ tsaUrls: [], rekorTlogUrls: [] }, undefined],
    'a dialect that the config does not list': [{ rekorTlogUrls: [service('https://log.example')] }, 2],
  };
  for (const [flaw, [changes, version]] of Object.entries(refused)) {
    test(flaw, () => expect(() => choose(changes, version)).toThrow(TrustError));
  }

  test('but a Rekor v1 log says it itself', () => {
    expect(choose({ tsaUrls: [] }, 1).timestampAuthorities).toEqual([]);
  });
});
