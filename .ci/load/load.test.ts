// Mixed load on the compiled binary, with phases of overload: no error but 503, memory and file handles flat, and every
// answer true afterwards. LOAD_SECONDS=1800 is the long form; two minutes is the short one.
import { afterAll, expect, test } from 'bun:test';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBrokenPromises, readKeys } from '../crash/checker.ts';
import { ask, read } from '../crash/http.ts';
import { startServer } from '../crash/server.ts';
import { noPromises } from '../crash/signing.ts';
import { type Client, createClient, newSigner, type Signer } from './client.ts';

const SECONDS = Number(process.env['LOAD_SECONDS'] ?? 120);
/** Phases of overload, spread over the run, so that the number of entries stays bounded in the long form too. */
const OVERLOADS = Math.max(2, Math.min(8, Math.floor(SECONDS / 30)));
const OVERLOAD_MS = 4_000;
/** Sent in a phase of overload: entries, entries whose verification costs forty times as much, and largest bodies, slowly. */
const BURST = 3_000;
const COSTLY = 600;
const LARGE_BODIES = 1_000;
/** What is sent of each large body: together more than the server has memory for. */
const SENT_OF_LARGE_BODY = Buffer.alloc(256 * 1024, ' ');
/** Pause of each client between its requests, ms: the load of the calm phases is what a busy instance sees. */
const PAUSE_MS = 25;
/** What memory may grow by from the first calm phase to the last: indexes of what was logged, and the runtime's own play. */
const MEMORY_PLAY_BYTES = 120_000_000;
const MEMORY_BYTES_PER_ENTRY = 500;
const HANDLES_PLAY = 20;
/** What memory may reach at any moment: MAX_LARGE_BODIES_BYTES and what parsing them takes, on top of the calm phases. */
const PEAK_MEMORY_BYTES = 600_000_000;

const directory = mkdtempSync(join(tmpdir(), 'hallmark-load-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Sample {
  readonly at: number;
  readonly memory: number;
  readonly handles: number;
}

test(
  `${SECONDS} seconds with ${OVERLOADS} phases of overload`,
  async () => {
    const flags = ['--metrics', '127.0.0.1:0'];
    const server = await startServer(join(directory, 'data'), '127.0.0.1:0', { flags });
    const keys = await readKeys(server.url);
    const made = noPromises();
    const client = createClient(server.url, made);
    const discovery = await read<Record<string, string>>(`${server.devIssuer}/.well-known/openid-configuration`);
    const tokenEndpoint = discovery['hallmark_development_token_endpoint'] ?? '';

    let ended = false;
    const clients = startClients(client, tokenEndpoint, () => ended);
    const calm: Sample[][] = [];
    let refusedBodies = 0;
    let refusedCostly = 0;
    const started = performance.now();
    for (let phase = 0; phase < OVERLOADS; phase++) {
      const until = started + ((phase + 1) * SECONDS * 1000) / OVERLOADS - OVERLOAD_MS;
      calm.push(await sampleUntil(server.pid, until));
      const refused = await overload(server.url, client);
      refusedBodies += refused.bodies;
      refusedCostly += refused.costly;
    }
    ended = true;
    await Promise.all(clients);
    // Longer than a connection that nobody uses is kept.
    calm.push(await sampleUntil(server.pid, performance.now() + 15_000));

    const metrics = await (await fetch(server.metricsUrl ?? '')).text();
    console.log(`${refusedBodies} large bodies and ${refusedCostly} costly entries refused`);
    console.log(
      `answers that took the server more than a second: ${slowAnswers(metrics)} (the rest is the load's own)`,
    );
    console.log(`peak of the memory: ${(peakMemory(server.pid) / 1e6).toFixed(0)} MB`);
    report(client, calm, (performance.now() - started) / 1000);
    expect(client.totals.unexpected).toEqual([]);
    expect(metrics).toContain('hallmark_http_body_bytes 0\n');
    expect(metrics).toMatch(/^hallmark_log_waiting_entries\{tree="v1"\} 0$/m);
    // Otherwise it was no overload.
    expect(refusedBodies).toBeGreaterThan(0);
    expect(refusedCostly).toBeGreaterThan(0);
    expect(peakMemory(server.pid)).toBeLessThan(PEAK_MEMORY_BYTES);
    expectFlat(calm, made.acknowledged.v1.size + made.acknowledged.v2.size);
    expect(await findBrokenPromises(server.url, keys, made)).toEqual([]);
    expect(await server.stop()).toBe(0);
  },
  (SECONDS * 3 + 300) * 1000,
);

/** Clients that go on, with pauses, until they are told to end. */
function startClients(client: Client, tokenEndpoint: string, ended: () => boolean): Promise<void>[] {
  const loop = async (once: () => Promise<void>): Promise<void> => {
    while (!ended()) {
      await once();
      await Bun.sleep(PAUSE_MS * (0.5 + Math.random()));
    }
  };
  const keyed = (post: (signer: Signer) => Promise<void>) => {
    const signer = newSigner();
    return loop(() => post(signer));
  };
  const signing = (i: number) =>
    loop(async () => {
      const signer = await client.issue(tokenEndpoint, `client-${i}@example.com`);
      if (signer) await Promise.all([client.postV1(signer), client.postV2(signer)]);
    });
  return [
    ...Array.from({ length: 3 }, () => keyed(client.postV1)),
    ...Array.from({ length: 3 }, () => keyed(client.postV2)),
    ...Array.from({ length: 3 }, (_, i) => signing(i)),
    ...Array.from({ length: 2 }, () => loop(client.postTimestamp)),
    ...Array.from({ length: 5 }, () => loop(client.readSomething)),
  ];
}

/** More work at once than the cores do in a second, and bodies that would fill the memory. How many of each were refused. */
async function overload(url: string, client: Client): Promise<{ bodies: number; costly: number }> {
  const signer = newSigner();
  const bodies = Array.from({ length: LARGE_BODIES }, () => sendSlowly(url, OVERLOAD_MS));
  const entries = Array.from({ length: BURST }, (_, i) =>
    i % 2 === 0 ? client.postV1(signer) : client.postV2(signer),
  );
  const costly = await sendCostly(url, client);
  await Promise.all(entries);
  const answers = await Promise.all(bodies);
  const refused = answers.filter((line) => line === 'HTTP/1.1 503 Service Unavailable').length;
  // What had room and then broke off gets no answer.
  const odd = answers.filter((line) => line !== '' && line !== 'HTTP/1.1 503 Service Unavailable');
  client.totals.unexpected.push(...odd);
  return { bodies: refused, costly };
}

/** One entry by the costliest key, again and again: a duplicate is verified before it is known as one. */
async function sendCostly(url: string, { totals }: Client): Promise<number> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp521r1' });
  const artifact = Buffer.from(`costly ${Math.random()}`);
  const request = {
    hashedRekordRequestV002: {
      digest: createHash('sha512').update(artifact).digest('base64'),
      signature: {
        content: sign('sha512', artifact, privateKey).toString('base64'),
        verifier: {
          publicKey: { rawBytes: publicKey.export({ type: 'spki', format: 'der' }).toString('base64') },
          keyDetails: 'PKIX_ECDSA_P521_SHA_512',
        },
      },
    },
  };
  const answers = await Promise.all(
    Array.from({ length: COSTLY }, () => ask(`${url}/api/v2/log/entries`, request).catch(String)),
  );
  let refused = 0;
  for (const answer of answers) {
    if (typeof answer === 'string') totals.unexpected.push(answer);
    else if (answer.status === 503 && answer.headers['retry-after'] !== undefined) refused++;
    else if (answer.status !== 201) totals.unexpected.push(`costly: ${answer.status} ${answer.body}`);
  }
  return refused;
}

/** Announces a largest body, sends a little of it for a while and breaks off. The status line of the answer, or ''. */
function sendSlowly(url: string, ms: number): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let answer = '';
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer.split('\r\n')[0] ?? ''));
    socket.write(
      `POST /api/v1/log/entries HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: ${20 * 1024 * 1024}\r\n\r\n`,
    );
    socket.write(SENT_OF_LARGE_BODY);
    setTimeout(() => socket.destroy(), ms);
  });
}

async function sampleUntil(pid: number, until: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  do {
    await Bun.sleep(Math.min(1000, Math.max(0, until - performance.now())));
    samples.push({
      at: performance.now(),
      memory: statusBytes(pid, 'VmRSS'),
      handles: readdirSync(`/proc/${pid}/fd`).length,
    });
  } while (performance.now() < until);
  return samples;
}

/** As the server's own clock saw them: what a client waits for a free connection is not in it. */
function slowAnswers(metrics: string): number {
  const counts = (le: string): number =>
    [...metrics.matchAll(/^hallmark_http_request_seconds_bucket\{route="[^"]*",le="([^"]+)"\} (\d+)$/gm)]
      .filter(([, bound]) => bound === le)
      .reduce((sum, [, , count]) => sum + Number(count), 0);
  return counts('+Inf') - counts('1');
}

function statusBytes(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  const [, kilobytes] =
    new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

const peakMemory = (pid: number): number => statusBytes(pid, 'VmHWM');

const least = (samples: readonly Sample[] | undefined, of: 'memory' | 'handles'): number =>
  Math.min(...(samples ?? []).map((sample) => sample[of]));

/** Of each calm phase its lowest point counts: what is held for good. */
function expectFlat(calm: readonly Sample[][], entries: number): void {
  const grown = (of: 'memory' | 'handles'): number => least(calm.at(-1), of) - least(calm[0], of);
  expect(grown('memory')).toBeLessThan(MEMORY_PLAY_BYTES + entries * MEMORY_BYTES_PER_ENTRY);
  expect(grown('handles')).toBeLessThan(HANDLES_PLAY);
}

function report({ made, totals }: Client, calm: readonly Sample[][], seconds: number): void {
  const entries = made.v1.length + made.v2.length + made.acknowledged.v1.size + made.acknowledged.v2.size;
  console.log(`${entries} entries acknowledged in ${seconds.toFixed(0)} s`);
  for (const [route, { answers, refused, slowestMs }] of totals.byRoute) {
    console.log(`${route.padEnd(18)} ${answers} answers, ${refused} refused, slowest ${slowestMs.toFixed(0)} ms`);
  }
  const megabytes = calm.map((samples) => (least(samples, 'memory') / 1e6).toFixed(0));
  const handles = calm.map((samples) => least(samples, 'handles'));
  console.log(`memory in the calm phases, MB: ${megabytes.join(' ')}; file handles: ${handles.join(' ')}`);
}
