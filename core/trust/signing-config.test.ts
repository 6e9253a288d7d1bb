import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { serializeUtf8 } from '../bytes/bytes.ts';
import type { Json } from '../bytes/json.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { InputError, TrustError } from '../errors.ts';
import { parseClientTrustConfig, serializeClientTrustConfig } from './client-trust-config.ts';
import { PUBLIC_GOOD } from './public-good.ts';
import {
  parseSigningConfig,
  type Service,
  type ServiceSelector,
  type SigningConfig,
  selectServices,
  serializeSigningConfig,
} from './signing-config.ts';
import { parseTrustedRoot } from './trusted-root.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests reach into the document to break it
type Document = any;
const document = (): Document => JSON.parse(PUBLIC_GOOD.signingConfig);
const parse = (json: Json): SigningConfig => parseSigningConfig(serializeUtf8(JSON.stringify(json)));

describe('parseSigningConfig', () => {
  test('parse and serialize are inverse', () => {
    for (const text of [PUBLIC_GOOD.signingConfig, PUBLIC_GOOD.signingConfigRekorV2]) {
      const config = parseSigningConfig(serializeUtf8(text));
      expect(parseSigningConfig(serializeUtf8(serializeSigningConfig(config)))).toEqual(config);
    }
  });

  test('staging', () => {
    const path = sharedPath('trust/staging.signing_config.v0.2.json');
    if (path === undefined) return console.log('skipped: no test data');
    expect(parseSigningConfig(readFileSync(path)).rekorTlogUrls.map((s) => s.majorApiVersion)).toEqual([2, 1]);
  });

  test('without services no selector is needed, and one is written', () => {
    const empty = parse({ mediaType: document().mediaType });
    expect(JSON.parse(serializeSigningConfig(empty))).toMatchObject({
      tsaUrls: [],
      rekorTlogConfig: { selector: 'ANY' },
      tsaConfig: { selector: 'ANY' },
    });
  });

  test('EXACT keeps its count', () => {
    const json = { ...document(), tsaConfig: { selector: 'EXACT', count: 2 } };
    expect(JSON.parse(serializeSigningConfig(parse(json))).tsaConfig).toEqual({ selector: 'EXACT', count: 2 });
  });

  test.each([
    ['media type of v0.1', (json: Document) => (json.mediaType = json.mediaType.replace('0.2', '0.1'))],
    ['no media type', (json: Document) => delete json.mediaType],
    ['URL of another scheme', (json: Document) => (json.caUrls[0].url = 'file:///etc/passwd')],
    ['URL that is none', (json: Document) => (json.caUrls[0].url = 'fulcio')],
    ['service without version', (json: Document) => delete json.caUrls[0].majorApiVersion],
    ['version 0', (json: Document) => (json.caUrls[0].majorApiVersion = 0)],
    ['version as text', (json: Document) => (json.caUrls[0].majorApiVersion = '1')],
    ['services without selector', (json: Document) => delete json.rekorTlogConfig],
    ['unknown selector', (json: Document) => (json.rekorTlogConfig.selector = 'SOME')],
    ['EXACT without count', (json: Document) => (json.tsaConfig = { selector: 'EXACT' })],
    ['EXACT 0', (json: Document) => (json.tsaConfig = { selector: 'EXACT', count: 0 })],
  ])('%s', (_, change) => {
    const json = document();
    change(json);
    expect(() => parse(json)).toThrow(expect.objectContaining({ code: 'SIGNING_CONFIG_INVALID' }));
  });
});

describe('selectServices', () => {
  const now = new Date('2026-06-01T00:00:00Z');
  const zero = (bytes: number): Uint8Array => new Uint8Array(bytes);
  const service = (url: string, operator: string, version: number, start: string, end?: string): Service => ({
    url,
    operator,
    majorApiVersion: version,
    validFor: { start: new Date(start), end: end === undefined ? undefined : new Date(end) },
  });
  const config = (services: Service[], selector: ServiceSelector = { selector: 'ALL' }): SigningConfig => ({
    caUrls: services,
    oidcUrls: [],
    rekorTlogUrls: services,
    tsaUrls: services,
    rekorTlogConfig: selector,
    tsaConfig: { selector: 'ANY' },
  });
  const urls = (services: Service[]): string[] => services.map(({ url }) => url);
  const select = (services: Service[], selector?: ServiceSelector, versions = [1, 2]): string[] =>
    urls(selectServices(config(services, selector), 'rekor', versions, now, zero));

  const old = service('http://old', 'a', 1, '2024-01-01');
  const newer = service('http://newer', 'a', 1, '2025-01-01');
  const other = service('http://other', 'b', 1, '2023-01-01');
  const v2 = service('http://v2', 'c', 2, '2025-01-01');

  test('the newest of each operator', () =>
    expect(select([old, newer, other])).toEqual(['http://newer', 'http://other']));
  test('the highest version and no other', () => expect(select([old, other, v2])).toEqual(['http://v2']));
  test('the highest of the supported versions', () =>
    expect(select([other, v2], undefined, [1])).toEqual(['http://other']));
  test('not yet valid', () => expect(select([old, service('http://x', 'a', 1, '2026-06-02')])).toEqual(['http://old']));
  test('no longer valid', () => {
    expect(select([old, service('http://x', 'a', 1, '2025-01-01', '2026-05-31')])).toEqual(['http://old']);
  });
  test('a version that is no longer valid does not hide a lower one', () => {
    expect(select([old, service('http://x', 'a', 2, '2025-01-01', '2026-05-31')])).toEqual(['http://old']);
  });
  test('ANY is one', () => expect(select([newer, other], { selector: 'ANY' })).toEqual(['http://newer']));
  test('ANY is any', () => {
    const seen = new Set<string>();
    for (let n = 0; n < 8; n++) {
      const random = (): Uint8Array => new Uint8Array([0, 0, 0, n]);
      for (const url of urls(selectServices(config([newer, other], { selector: 'ANY' }), 'rekor', [1], now, random)))
        seen.add(url);
    }
    expect(seen).toEqual(new Set(['http://newer', 'http://other']));
  });
  test('EXACT is that many, each once', () => {
    const third = service('http://third', 'd', 1, '2022-01-01');
    const chosen = select([newer, other, third], { selector: 'EXACT', count: 2 });
    expect(new Set(chosen).size).toBe(2);
  });
  test('certificate authority: one, the newest', () => {
    expect(urls(selectServices(config([other, old, newer]), 'ca', [1], now, zero))).toEqual(['http://newer']);
  });
  test('none listed: none', () => expect(select([])).toEqual([]));

  test.each([
    ['fewer than EXACT asks for', [newer, old], { selector: 'EXACT', count: 2 } as const, [1]],
    ['no version is supported', [v2], undefined, [1]],
    ['all expired', [service('http://x', 'a', 1, '2020-01-01', '2021-01-01')], undefined, [1]],
  ])('%s: NO_SERVICE_CONFIGURED', (_, services, selector, versions) => {
    const run = (): unknown => select(services, selector, versions);
    expect(run).toThrow(TrustError);
    expect(run).toThrow(expect.objectContaining({ code: 'NO_SERVICE_CONFIGURED' }));
  });
});

describe('client trust config', () => {
  const trustedRoot = parseTrustedRoot(serializeUtf8(PUBLIC_GOOD.trustedRoot));
  const signingConfig = parse(document());
  const text = serializeClientTrustConfig({ trustedRoot, signingConfig });

  test('parse and serialize are inverse', () => {
    const parsed = parseClientTrustConfig(serializeUtf8(text));
    expect(serializeClientTrustConfig(parsed)).toBe(text);
    expect(JSON.parse(text).mediaType).toBe('application/vnd.dev.sigstore.clienttrustconfig.v0.1+json');
  });

  test.each([
    ['another media type', { mediaType: 'x' }, 'TRUSTED_ROOT_INVALID'],
    ['no trusted root', { trustedRoot: null }, 'TRUSTED_ROOT_INVALID'],
    ['no signing config', { signingConfig: null }, 'SIGNING_CONFIG_INVALID'],
  ])('%s', (_, change, code) => {
    const bytes = serializeUtf8(JSON.stringify({ ...JSON.parse(text), ...change }));
    expect(() => parseClientTrustConfig(bytes)).toThrow(InputError);
    expect(() => parseClientTrustConfig(bytes)).toThrow(expect.objectContaining({ code }));
  });

  test('an error names the part that it is in', () => {
    const json = JSON.parse(text);
    json.signingConfig.caUrls[0].url = 'x';
    expect(() => parseClientTrustConfig(serializeUtf8(JSON.stringify(json)))).toThrow('signingConfig.caUrls[0].url');
  });
});
