// How long requests hold the event loop of a log: for each kind of attack, the longest stretch between two turns of the loop.
//   bench/stretch.ts [--only TEXT]       kinds of attack whose name holds the text
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { serializeBase64, serializeUtf8 } from '../core/bytes/bytes.ts';
import { serializePem } from '../core/crypto/pem.ts';
import { generateKey, type PrivateKey, sign } from '../core/crypto/private-key.ts';
import { preAuthEncoding } from '../core/dsse/envelope.ts';
import { certificateSigner, type Dialect, request, type Signer } from './log-entries.ts';
import { printReport, type Row } from './report.ts';
import { environment } from './run.ts';
import { freePort } from './server.ts';

const { values: flags } = parseArgs({
  options: { json: { type: 'boolean' }, only: { type: 'string', multiple: true } },
});

const CLIENTS = 256;
const ROUNDS = 2;
const START_MS = 60_000;

interface Attack {
  readonly name: string;
  readonly path: string;
  readonly method?: 'GET';
  /** At the same time. */
  readonly clients?: number;
  readonly body?: (i: number) => string;
}

const entries = (dialect: Dialect): string => `/api/${dialect}/log/entries`;
const signerOf = (key: PrivateKey): Signer => ({ key, der: key.publicKey.spki, isCertificate: false });

function signatures(dialect: Dialect, name: string, signer: (i: number) => Signer, clients = CLIENTS): Attack {
  return {
    name: `${dialect}, ${name}`,
    path: entries(dialect),
    clients,
    body: (i) => request(dialect, signer(i)),
  };
}

function oneKey(key: PrivateKey): () => Signer {
  const signer = signerOf(key);
  return () => signer;
}

/** A DSSE request to v1: the envelope as text in a field, signed by each of the keys. */
function dsseV1(payload: Uint8Array, payloadType: string, keys: readonly PrivateKey[]): string {
  const signed = preAuthEncoding(payloadType, payload);
  const envelope = JSON.stringify({
    payload: serializeBase64(payload),
    payloadType,
    signatures: keys.map((key) => ({ sig: serializeBase64(sign(key, signed)) })),
  });
  const verifiers = keys.map((key) => serializeBase64(serializeUtf8(serializePem('PUBLIC KEY', key.publicKey.spki))));
  return JSON.stringify({
    apiVersion: '0.0.1',
    kind: 'dsse',
    spec: { proposedContent: { envelope, verifiers } },
  });
}

/** A DSSE request to v2. */
function dsseV2(payload: Uint8Array, payloadType: string, key: PrivateKey): string {
  const verifier = {
    publicKey: { rawBytes: serializeBase64(key.publicKey.spki) },
    keyDetails: 'PKIX_ECDSA_P256_SHA_256',
  };
  const signature = { sig: serializeBase64(sign(key, preAuthEncoding(payloadType, payload))) };
  const envelope = { payload: serializeBase64(payload), payloadType, signatures: [signature] };
  return JSON.stringify({ dsseRequestV002: { envelope, verifiers: [verifier] } });
}

const IN_TOTO = 'application/vnd.in-toto+json';
/** A statement whose subject has that many digests. */
function statement(digests: number): Uint8Array {
  const digest = Object.fromEntries(
    Array.from({ length: digests }, (_, i) => [`a${i}`, randomBytes(4).toString('hex')]),
  );
  return serializeUtf8(JSON.stringify({ subject: [{ name: 'x', digest }], predicate: {} }));
}

const p256 = generateKey('p256');
const tenKeys = Array.from({ length: 10 }, () => generateKey('p384'));
const MEGABYTE = 1024 * 1024;
const dialects: readonly Dialect[] = ['v2', 'v1'];

const attacks: readonly Attack[] = [
  signatures('v2', 'the first Ed25519ph', oneKey(generateKey('ed25519')), 1),
  signatures('v2', 'Ed25519ph', oneKey(generateKey('ed25519'))),
  ...dialects.flatMap((dialect) => [
    signatures(dialect, 'P-256', oneKey(p256)),
    signatures(dialect, 'P-256, certificates', certificateSigner),
    signatures(dialect, 'P-384', oneKey(generateKey('p384'))),
    signatures(dialect, 'P-521', oneKey(generateKey('p521'))),
    signatures(dialect, 'RSA 2048', oneKey(generateKey('rsa', 2048))),
    signatures(dialect, 'RSA 4096', oneKey(generateKey('rsa', 4096))),
  ]),
  {
    name: 'v1, envelopes with ten signatures',
    path: entries('v1'),
    body: () => dsseV1(randomBytes(1000), 'text/plain', tenKeys),
  },
  {
    name: 'v1, envelopes of 15 KB',
    path: entries('v1'),
    body: () => dsseV1(randomBytes(15_000), 'text/plain', [p256]),
  },
  {
    name: 'v1, envelopes of 15 MB',
    path: entries('v1'),
    clients: 3,
    body: () => dsseV1(randomBytes(15 * MEGABYTE), 'text/plain', [p256]),
  },
  {
    name: 'v2, envelopes of 15 MB',
    path: entries('v2'),
    clients: 3,
    body: () => dsseV2(randomBytes(15 * MEGABYTE), 'text/plain', p256),
  },
  {
    name: 'v2, a statement of 500,000 digests',
    path: entries('v2'),
    clients: 2,
    body: () => dsseV2(statement(500_000), IN_TOTO, p256),
  },
  {
    name: 'v2, statements of 700 digests',
    path: entries('v2'),
    body: () => dsseV2(statement(700), IN_TOTO, p256),
  },
  { name: 'v1, JSON of 32 KB that is deep', path: entries('v1'), body: () => '[{"a":'.repeat(5_400) },
  { name: 'v1, JSON of 32 KB that is long', path: entries('v1'), body: () => `[${'0,'.repeat(16_000)}0]` },
  { name: 'v1, a JSON string of 32 KB', path: entries('v1'), body: () => `{"kind":"${'\\u00e9'.repeat(5_400)}"}` },
  { name: 'v1, entries by index', path: '/api/v1/log/entries?logIndex=7', method: 'GET' },
  {
    name: 'v1, ten entries by index',
    path: '/api/v1/log/entries/retrieve',
    body: () => JSON.stringify({ logIndexes: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }),
  },
  { name: 'search', path: '/api/search?identity=user0000000007@example.com', method: 'GET' },
  { name: 'search, a hundred', path: '/api/search?domain=example.com&limit=100', method: 'GET', clients: 32 },
  { name: 'v2, entry bundles', path: '/tile/entries/000', method: 'GET' },
];

const directory = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'hallmark-bench-stretch-'));
const port = freePort();
const url = `http://127.0.0.1:${port}`;
let answered = Promise.withResolvers<number>();
const server = Bun.spawn(
  [
    process.execPath,
    '--preload',
    join(import.meta.dir, 'stretch-probe.ts'),
    join(import.meta.dir, '../cmd/main.ts'),
    ...['serve', 'log', '--listen', `127.0.0.1:${port}`, '--data', join(directory, 'data'), '--log-format', 'json'],
  ],
  {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: Bun.file(join(directory, 'stderr')),
    env: environment(directory),
    ipc: (message) => answered.resolve(message as number),
  },
);

function longest(): Promise<number> {
  answered = Promise.withResolvers();
  server.send('longest');
  return answered.promise;
}

async function untilReady(): Promise<void> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    const status = await fetch(`${url}/healthz`).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return;
    if (server.exitCode !== null || performance.now() > deadline) {
      throw new Error(`the server did not start:\n${readFileSync(join(directory, 'stderr'), 'utf8').slice(-2000)}`);
    }
    await Bun.sleep(20);
  }
}

async function measure({ name, path, method, clients = CLIENTS, body }: Attack): Promise<Row> {
  const rounds = clients === 1 ? 1 : ROUNDS;
  const bodies = Array.from({ length: clients * rounds }, (_, i) => body?.(i));
  let next = 0;
  const counts = new Map<number, number>();
  await Bun.sleep(300);
  await longest();
  const client = async (): Promise<void> => {
    while (next < bodies.length) {
      const text = bodies[next++];
      const answer = await fetch(url + path, { method: method ?? 'POST', ...(text !== undefined && { body: text }) });
      await answer.arrayBuffer();
      counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const cpu = await longest();
  const answers = [...counts].map(([status, count]) => `${count} × ${status}`).join(', ');
  return { attack: name, clients, 'longest ms': cpu, answers };
}

await untilReady();
const rows: Row[] = [];
for (const attack of attacks) {
  if (flags.only?.some((text) => attack.name.includes(text)) === false) continue;
  rows.push(await measure(attack));
}
server.send('end');
await server.exited;
rmSync(directory, { recursive: true, force: true });
printReport(flags.json ?? false, 'stretch', 1, rows, [
  'CPU time of the thread between two turns of the event loop, collection of garbage included',
]);
