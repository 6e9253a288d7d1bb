// The limits that are promised, of the compiled binary, processes and all: a large artifact takes no more memory than a
// small one, and what is too much is refused at once.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeBundle } from '../../core/bundle/bundle.ts';
import { sharedPath } from '../../core/bytes/shared-data.ts';
import { generateKey, sign, streamSigner } from '../../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../../core/crypto/public-key.ts';
import { keySigned } from '../../core/verify/testing-cases.ts';
import type { Run } from './measure.ts';

const binary = process.env['HALLMARK_BINARY'] ?? join(import.meta.dir, '../../dist/hallmark');
const MIB = 1024 * 1024;
/** What refusing may take, as the median of RUNS; twice again, where the machine is busy with something else. */
const MAX_MS = 100;
const MAX_RSS = 100_000_000;
const RUNS = 7;

const folder = mkdtempSync(join(tmpdir(), 'hallmark-limits-'));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

function hallmark(runs: number, ...args: string[]): Run[] {
  const script = new URL('./measure.ts', import.meta.url).pathname;
  const run = Bun.spawnSync([process.execPath, script, String(runs), folder, binary, ...args], { stderr: 'inherit' });
  return JSON.parse(run.stdout.toString()) as Run[];
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const key = generateKey('p256');

/** A file of so many zeros that takes no room on the disk. */
function zeros(name: string, size: number): string {
  const fd = openSync(at(name), 'w');
  ftruncateSync(fd, size);
  closeSync(fd);
  return at(name);
}

/** The same with a bundle beside it. */
function signedZeros(name: string, size: number): string {
  zeros(name, size);
  const signer = streamSigner(key);
  const chunk = new Uint8Array(MIB);
  for (let left = size; left > 0; left -= MIB) signer.update(chunk.subarray(0, Math.min(left, MIB)));
  const { bundle } = keySigned(key, new Uint8Array(), signer.finish().signature);
  writeFileSync(at(`${name}.sigstore.json`), serializeBundle(bundle));
  return at(name);
}

beforeAll(() => writeFileSync(at('key.pub'), serializePublicKeyPem(key.publicKey)));

test('an artifact of 512 MiB that is signed with pure Ed25519 is read in pieces', () => {
  const pure = generateKey('ed25519');
  const size = 512 * MIB;
  const path = zeros('pure', size);
  const { bundle } = keySigned(pure, new Uint8Array(), sign(pure, new Uint8Array(size)));
  writeFileSync(`${path}.sigstore.json`, serializeBundle(bundle));
  writeFileSync(at('pure.pub'), serializePublicKeyPem(pure.publicKey));
  const [run] = hallmark(1, 'verify', path, '--key', 'pure.pub');
  if (run === undefined) throw new Error('internal: nothing was run');
  console.log(`figures: 512 MiB, pure Ed25519: ${Math.round(run.rss / MIB)} MiB in ${Math.round(run.ms)} ms`);
  expect(run.code).toBe(0);
  expect(run.rss).toBeLessThan(MAX_RSS);
}, 120_000);

test('an artifact of 1 GiB is verified in constant memory', () => {
  const [small] = hallmark(1, 'verify', signedZeros('small', 1000), '--key', 'key.pub');
  const [large] = hallmark(1, 'verify', signedZeros('large', 1024 * MIB), '--key', 'key.pub');
  if (small === undefined || large === undefined) throw new Error('internal: nothing was run');
  expect([small.code, large.code]).toEqual([0, 0]);
  console.log(
    `figures: 1 GiB: ${Math.round(large.rss / MIB)} MiB in ${Math.round(large.ms)} ms; 1 kB: ${Math.round(small.rss / MIB)} MiB`,
  );
  expect(large.rss - small.rss).toBeLessThan(32 * MIB);
  expect(large.rss).toBeLessThan(MAX_RSS);
}, 60_000);

const sample = sharedPath('corpus/conformance/rekor2-dsse-happy-path/bundle.sigstore.json');

describe.if(sample !== undefined)('refused at once', () => {
  type Json = Record<string, unknown>;
  const bundle = (): { verificationMaterial: Json; dsseEnvelope: Json } & Json =>
    JSON.parse(readFileSync(sample ?? '', 'utf8'));
  const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);
  const only = (list: unknown): unknown => (list as unknown[])[0];

  const inputs: [name: string, code: string, make: () => string][] = [
    ['a bundle of 100 MB', 'INPUT_TOO_LARGE', () => JSON.stringify({ ...bundle(), padding: 'A'.repeat(100_000_000) })],
    [
      '10,000 log entries',
      'INPUT_TOO_LARGE',
      () => {
        const { verificationMaterial: material, ...rest } = bundle();
        const entry = { ...(only(material['tlogEntries']) as Json), canonicalizedBody: 'AAAA' };
        return JSON.stringify({ ...rest, verificationMaterial: { ...material, tlogEntries: times(10_000, entry) } });
      },
    ],
    [
      '10,000 signatures',
      'INPUT_TOO_LARGE',
      () => {
        const { dsseEnvelope: envelope, ...rest } = bundle();
        const signatures = times(10_000, only(envelope['signatures']));
        return JSON.stringify({ ...rest, dsseEnvelope: { ...envelope, signatures } });
      },
    ],
    [
      '10,000 timestamps',
      'INPUT_TOO_LARGE',
      () => {
        const { verificationMaterial: material, ...rest } = bundle();
        const data = { rfc3161Timestamps: times(10_000, { signedTimestamp: 'AAAA' }) };
        return JSON.stringify({ ...rest, verificationMaterial: { ...material, timestampVerificationData: data } });
      },
    ],
    [
      '33 log entries',
      'BUNDLE_INVALID',
      () => {
        const { verificationMaterial: material, ...rest } = bundle();
        const tlogEntries = times(33, only(material['tlogEntries']));
        return JSON.stringify({ ...rest, verificationMaterial: { ...material, tlogEntries } });
      },
    ],
    ['JSON of 10,000 levels', 'JSON_TOO_DEEP', () => `{"mediaType":${'['.repeat(10_000)}${']'.repeat(10_000)}}`],
    ['objects of 10,000 levels', 'JSON_TOO_DEEP', () => `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`],
  ];

  test.each(inputs)(
    '%s',
    (name, code, make) => {
      writeFileSync(at('artifact'), '');
      writeFileSync(at('bundle.json'), make());
      const runs = hallmark(
        RUNS,
        'verify',
        'artifact',
        '--bundle',
        'bundle.json',
        '--key',
        'key.pub',
        '--output',
        'json',
      );
      const [ms, rss] = [median(runs.map((run) => run.ms)), median(runs.map((run) => run.rss))];
      const megabytes = readFileSync(at('bundle.json')).length / 1e6;
      console.log(`figures: ${name} (${megabytes.toFixed(1)} MB): ${Math.round(ms)} ms, ${Math.round(rss / 1e6)} MB`);
      expect(runs.map((run) => run.code)).toEqual(times(RUNS, 3));
      expect(JSON.parse(runs[0]?.out ?? '')).toMatchObject({ ok: false, error: { code } });
      expect(ms).toBeLessThan(MAX_MS);
      expect(rss).toBeLessThan(MAX_RSS);
    },
    { timeout: 60_000, retry: 2 },
  );
});
