// What an append costs the indexes of the log at 10 thousand and at 10 million entries, and what a look-up and a search take
// then: node_modules/.bin/bun bench/index.ts [ENTRIES]
//
// Entries are synthetic: a keyless signature each, with a certificate of its own; identities, repositories and commits as a
// large instance has them, one issuer for nearly all. Everything runs on one thread, so the CPU time is all there is.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { serializeHashedRekordV001 } from '../core/bundle/entry.ts';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { serializePem } from '../core/crypto/pem.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { distinguishedName, serializeTbsCertificate, signCertificate } from '../core/x509/build.ts';
import { alternativeNamesExtension, extendedKeyUsageExtension, keyUsageExtension } from '../core/x509/extensions.ts';
import { serializeFulcioClaims } from '../core/x509/fulcio.ts';
import { createDuplicateIndex } from '../tlog/duplicate-index.ts';
import { sealDuplicates } from '../tlog/index/duplicate-segment.ts';
import { fingerprintOf } from '../tlog/index/rows.ts';
import type { IndexedEntry } from '../tlog/search/search-builder.ts';
import { entryTerms, termKey } from '../tlog/search/terms.ts';
import { TreeIndex } from '../tlog/search/tree-index.ts';

const { positionals } = parseArgs({ allowPositionals: true });
const ENTRIES = Number(positionals[0] ?? 10_000_000);
const SMALL = 10_000;
/** Entries over which the cost at the full size is averaged: every level of merging happens in it. */
const WINDOW = Math.min(2 ** 20, Math.floor(ENTRIES / 2));
const BATCH = 128;
const folder = mkdtempSync(join(tmpdir(), 'hallmark-bench-index-'));

const cpuMicros = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
const written = (): number =>
  Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? Number.NaN);
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
const sizeOf = (directory: string): number =>
  !existsSync(directory)
    ? 0
    : readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
const say = (text: string): void => console.log(text);

function percentiles(times: number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number).toFixed(2);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

/** Hash of a number: 32 bytes that are the same in every run. */
const hashOf = (kind: string, number: number): Uint8Array => termKey('digest', `${kind} ${number}`);

const START = Date.parse('2026-01-01T00:00:00Z') / 1000;
const ISSUER = 'https://token.actions.githubusercontent.com';
const identityOf = (i: number): string =>
  i % 5 === 0
    ? `user${i}@example.com`
    : `https://github.com/org${i % 977}/repo${i % 20_011}/.github/workflows/release.yml@refs/heads/main`;

/** What entry `i` is found by; its unique terms are hashes of its number. */
function syntheticEntry(i: number): IndexedEntry {
  const identity = identityOf(i);
  const keys = [
    hashOf('artifact', i),
    hashOf('key', i),
    hashOf('pem', i),
    hashOf('serial', i),
    hashOf('commit', i % 1_000_003),
    hashOf('repository', i % 20_011),
    termKey('subject', identity),
    POPULAR.domain[i % 5 === 0 ? 1 : 0] as Uint8Array,
    POPULAR.issuer[i % 10 === 0 ? 1 : 0] as Uint8Array,
  ].map(fingerprintOf);
  return { keys, names: [serializeUtf8(identity)], seconds: START + Math.floor(i / 2) };
}
const POPULAR = {
  domain: [termKey('domain', 'github.com'), termKey('domain', 'example.com')],
  issuer: [termKey('issuer', ISSUER), termKey('issuer', 'https://accounts.example.com')],
};

/** What reading the terms out of a body costs, which does not depend on the size of the log. */
function measureExtraction(): number {
  const key = generateKey('p256');
  const bodies = Array.from({ length: 200 }, (_, i) => {
    const tbs = serializeTbsCertificate({
      serialNumber: Uint8Array.of(1, i >> 8, i & 255, 7),
      issuerKey: key.publicKey,
      issuerName: distinguishedName({ organization: 'bench' }),
      subjectName: new Uint8Array([0x30, 0]),
      notBefore: new Date(START * 1000),
      notAfter: new Date((START + 600) * 1000),
      spki: key.publicKey.spki,
      extensions: [
        keyUsageExtension('digitalSignature'),
        extendedKeyUsageExtension('codeSigning'),
        alternativeNamesExtension({ kind: 'uri', value: identityOf(1 + i * 5) }),
        ...serializeFulcioClaims({
          issuer: ISSUER,
          issuerV2: ISSUER,
          sourceRepositoryUri: `https://github.com/org/repo${i}`,
          sourceRepositoryDigest: '5e'.repeat(20),
        }),
      ],
    });
    return serializeHashedRekordV001({
      hash: 'sha256',
      digest: hashOf('artifact', i),
      signature: hashOf('signature', i),
      publicKeyPem: serializePem('CERTIFICATE', signCertificate(tbs, key)),
    });
  });
  const rounds = 100;
  for (const body of bodies) entryTerms({ body, extra: undefined });
  const started = cpuMicros();
  for (let round = 0; round < rounds; round++) for (const body of bodies) entryTerms({ body, extra: undefined });
  return (cpuMicros() - started) / rounds / bodies.length;
}

/** CPU time and written bytes of each entry between two marks, and in all. */
class Meter {
  #cpu = 0;
  #bytes = 0;
  #entries = 0;
  constructor() {
    this.reset();
  }
  reset(): void {
    this.#cpu = cpuMicros();
    this.#bytes = written();
    this.#entries = 0;
  }
  count(entries: number): void {
    this.#entries += entries;
  }
  report(): { micros: number; bytes: number } {
    return { micros: (cpuMicros() - this.#cpu) / this.#entries, bytes: (written() - this.#bytes) / this.#entries };
  }
}

async function benchSearch(extraction: number): Promise<void> {
  const directory = join(folder, 'search');
  const options = { directory, tree: 'v1', onFault: (fault: string) => say(`fault: ${fault}`) };
  let index = new TreeIndex(options);
  index.open();
  const meter = new Meter();
  let small = { micros: 0, bytes: 0 };
  // Making the entries is no part of the cost.
  let making = 0;
  for (let size = 0; size < ENTRIES; ) {
    const goal = Math.min(size + 1024, ENTRIES);
    const made = cpuMicros();
    const entries = Array.from({ length: goal - size }, (_, i) => syntheticEntry(size + i));
    making += cpuMicros() - made;
    for (let at = size; at < goal; ) {
      const { start, end } = index.wanted(goal, BATCH) as { start: number; end: number };
      index.add(start, entries.slice(start - size, end - size), index.isSlotEnd(end) ? 'root' : undefined);
      at = end;
      meter.count(end - start);
    }
    size = goal;
    // As the thread would: merging goes on between messages.
    await new Promise((resolve) => setImmediate(resolve));
    await index.settled();
    if (size >= SMALL && small.micros === 0) {
      small = meter.report();
      small.micros -= making / size;
    }
    if (size <= ENTRIES - WINDOW && ENTRIES - WINDOW - size < 1024) {
      meter.reset();
      making = 0;
    }
  }
  const large = meter.report();
  large.micros -= making / WINDOW;
  say(`search index, CPU per entry: reading its terms ${extraction.toFixed(1)} us, at any size`);
  say(
    `  and taking them in: first ${SMALL}: ${small.micros.toFixed(1)} us; last ${WINDOW} of ${ENTRIES}: ${large.micros.toFixed(1)} us`,
  );
  say(`  together ${((extraction + large.micros) / (extraction + small.micros)).toFixed(2)} times as much`);
  say(
    `  written per entry: ${small.bytes.toFixed(0)} bytes; ${large.bytes.toFixed(0)} bytes; kept: ${(sizeOf(directory) / ENTRIES).toFixed(0)} bytes`,
  );

  await index.close();
  Bun.gc(true);
  const started = performance.now();
  index = new TreeIndex(options);
  const ends = index.open();
  index.keep(new Map(ends.map((end) => [end, 'root'])));
  say(
    `  opened in ${(performance.now() - started).toFixed(0)} ms, ${ends.length} files; memory ${megabytes(process.memoryUsage().rss)}`,
  );

  const random = (): number => Math.floor(Math.random() * ENTRIES);
  const group = (...keys: Uint8Array[]) => [keys.map(fingerprintOf)];
  const none = { prefix: undefined, since: undefined, until: undefined };
  const queries: Record<string, () => Parameters<TreeIndex['search']>[0]> = {
    'a digest': () => ({ ...none, groups: group(hashOf('artifact', random())) }),
    'a digest that is not there': () => ({ ...none, groups: group(hashOf('absent', random())) }),
    'an identity': () => ({ ...none, groups: group(termKey('subject', identityOf(random()))) }),
    'the issuer of nearly all': () => ({ ...none, groups: group(POPULAR.issuer[0] as Uint8Array) }),
    'a repository and the issuer': () => ({
      ...none,
      groups: [...group(hashOf('repository', random() % 20_011)), ...group(POPULAR.issuer[0] as Uint8Array)],
    }),
    'issuer and domain that exclude each other': () => ({
      ...none,
      groups: [...group(POPULAR.issuer[1] as Uint8Array), ...group(POPULAR.domain[0] as Uint8Array)],
    }),
    'the beginning of one identity': () => ({
      ...none,
      groups: [],
      prefix: serializeUtf8(identityOf(random()).slice(0, 40)),
    }),
    'the beginning of most identities': () => ({ ...none, groups: [], prefix: serializeUtf8('https://github.com/') }),
    'an hour': () => {
      const since = START + Math.floor(random() / 2);
      return { groups: [], prefix: undefined, since, until: since + 3600 };
    },
  };
  for (const [name, query] of Object.entries(queries)) {
    const times: number[] = [];
    for (let i = 0; i < 300; i++) {
      const asked = query();
      // A popular term is paged from anywhere.
      const before = name.includes('all') || name.includes('most') ? random() + 1 : ENTRIES;
      const begun = performance.now();
      index.search(asked, before, 20, { seeks: 4_000 });
      times.push(performance.now() - begun);
    }
    say(`  search by ${name}: ${percentiles(times)}`);
  }
  say(`  memory after searching ${megabytes(process.memoryUsage().rss)}`);
  await index.close();
}

async function benchDuplicates(): Promise<void> {
  const directory = join(folder, 'duplicates');
  const open = () =>
    createDuplicateIndex({
      name: 'v1',
      read: async (start, end) =>
        Buffer.concat(Array.from({ length: Number(end - start) }, (_, i) => hashOf('leaf', Number(start) + i))),
      rootAt: async () => new Uint8Array(32),
      files: { directory, seal: async (job) => sealDuplicates(job), onFault: (error) => say(`fault: ${error}`) },
    });
  let index = open();
  await index.catchUp(0n);
  const meter = new Meter();
  let making = 0;
  let small = { micros: 0, bytes: 0 };
  for (let size = 0; size < ENTRIES; size += BATCH) {
    const made = cpuMicros();
    const hashes = Array.from({ length: BATCH }, (_, i) => hashOf('leaf', size + i));
    making += cpuMicros() - made;
    const found = await index.find(hashes);
    if (found.some((at) => at !== undefined)) throw new Error('a duplicate was found that is none');
    index.add(BigInt(size), hashes);
    meter.count(BATCH);
    if (small.micros === 0 && size >= SMALL) {
      small = meter.report();
      small.micros -= making / size;
    }
    if (Math.abs(size - (ENTRIES - WINDOW)) < BATCH / 2) {
      meter.reset();
      making = 0;
    }
    if (size % (BATCH * 64) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const large = meter.report();
  large.micros -= making / WINDOW;
  say(
    `duplicate index, CPU per entry (look-up, taking in, sealing): first ${SMALL}: ${small.micros.toFixed(1)} us; last ${WINDOW} of ${ENTRIES}: ${large.micros.toFixed(1)} us`,
  );
  say(
    `  written per entry: ${small.bytes.toFixed(0)} bytes; ${large.bytes.toFixed(0)} bytes; kept: ${(sizeOf(directory) / ENTRIES).toFixed(0)} bytes`,
  );
  await index.close();
  Bun.gc(true);
  const started = performance.now();
  index = open();
  await index.catchUp(BigInt(ENTRIES));
  say(
    `  opened in ${(performance.now() - started).toFixed(0)} ms, making the newest hashes included; memory ${megabytes(process.memoryUsage().rss)}`,
  );
  for (const [name, hash] of [
    ['is there', () => hashOf('leaf', Math.floor(Math.random() * ENTRIES))],
    ['is not there', () => hashOf('absent', Math.floor(Math.random() * ENTRIES))],
  ] as const) {
    const times: number[] = [];
    for (let i = 0; i < 20_000; i++) {
      const wanted = hash();
      const begun = performance.now();
      await index.find([wanted]);
      times.push(performance.now() - begun);
    }
    say(`  look-up of what ${name}: ${percentiles(times)}`);
  }
  await index.close();
}

try {
  await benchSearch(measureExtraction());
  await benchDuplicates();
} finally {
  rmSync(folder, { recursive: true });
}
