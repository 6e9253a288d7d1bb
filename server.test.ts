import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addSelfMetrics } from './cmd/self-metrics.ts';
import { generateKey, parsePrivateKey } from './core/crypto/private-key.ts';
import { serializePublicKeyPem } from './core/crypto/public-key.ts';
import { HallmarkError } from './core/errors.ts';
import { parseCheckpoint } from './core/merkle/checkpoint.ts';
import { verifyCosignatures } from './core/merkle/cosignature.ts';
import { isNoteSignedBy } from './core/merkle/note.ts';
import { vkeyOf } from './core/merkle/vkey.ts';
import { parseTrustedRoot } from './core/trust/trusted-root.ts';
import { createStack, type Stack, type StackConfig, serve } from './server.ts';
import { hashedRekordV1, hashedRekordV2, jsonOf } from './tlog/testing.ts';
import { createTestWitnesses } from './tlog/testing-witness.ts';
import type { WitnessPolicy } from './tlog/witnessed-log.ts';

// Each opens stacks, some more than one: new keys, synced files, which a busy machine takes long for.
setDefaultTimeout(60_000);

const URL_HERE = 'http://127.0.0.1:8080';
const LOOPBACK = { address: '127.0.0.1', loopback: true };
const DAY_MS = 24 * 60 * 60_000;

let root: string;
let data: string;
let now: Date;
let logged: string[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hallmark-server-'));
  data = join(root, 'data');
  now = new Date('2026-01-01T00:00:00.500Z');
  logged = [];
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const dependencies = {
  clock: () => now,
  observeProcess: addSelfMetrics,
  random: (bytes: number) => new Uint8Array(randomBytes(bytes)),
  fetch: () => Promise.reject(new Error('no network')),
  log: (level: string, event: string, fields: Record<string, unknown> = {}) =>
    logged.push(`${level} ${event} ${JSON.stringify(fields)}`),
};
const open = (config: Partial<StackConfig> = {}): Promise<Stack> =>
  createStack(
    { data, publicUrl: URL_HERE, part: 'all', issuers: undefined, exposeDevIssuer: false, ...config },
    dependencies,
  );
const get = async (stack: Stack, path: string, init?: RequestInit): Promise<Response> =>
  stack.handle(new Request(`${URL_HERE}${path}`, init), LOOPBACK);
/** What opening is refused with, and that nothing in the directory changed by it. */
async function refusal(config: Partial<StackConfig> = {}): Promise<string> {
  const before = contents();
  try {
    await (await open(config)).close();
  } catch (error) {
    expect(error).toBeInstanceOf(HallmarkError);
    expect((error as HallmarkError).hint).toBeString();
    expect(contents()).toEqual(before);
    return (error as HallmarkError).code;
  }
  return 'opened';
}

function contents(): Record<string, string> {
  const files = readdirSync(data, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(data, name)).isFile(),
  );
  // SQLite makes these two when it only reads.
  const kept = files.filter((name) => !/-(?:wal|shm)$/.test(name));
  return Object.fromEntries(kept.toSorted().map((name) => [name, readFileSync(join(data, name), 'latin1')]));
}

describe('a data directory', () => {
  test('continues: same trust, same TUF root, private modes', async () => {
    const first = await open();
    const trust = await (await get(first, '/trusted_root.json')).text();
    await first.close();
    now = new Date(now.getTime() + DAY_MS);
    const again = await open();
    expect(again.rootFingerprint).toBe(first.rootFingerprint);
    expect(await (await get(again, '/trusted_root.json')).text()).toBe(trust);
    await again.close();
    expect(statSync(data).mode & 0o777).toBe(0o700);
    for (const key of readdirSync(join(data, 'keys')))
      expect(statSync(join(data, 'keys', key)).mode & 0o777).toBe(0o600);
  });

  test('validity starts on a whole second, a minute before the first start', async () => {
    const stack = await open();
    const parsed = parseTrustedRoot(new Uint8Array(await (await get(stack, '/trusted_root.json')).arrayBuffer()));
    await stack.close();
    expect(parsed.tlogs).toHaveLength(2);
    for (const log of [...parsed.tlogs, ...parsed.ctlogs]) {
      expect(log.baseUrl).toBe(URL_HERE);
      expect(log.validFor.start?.toISOString()).toBe('2025-12-31T23:59:00.000Z');
    }
  });

  test('is held by one process at a time', async () => {
    const stack = await open();
    expect(open()).rejects.toThrow(expect.objectContaining({ code: 'LOCK_HELD' }));
    await stack.close();
  });

  test('is refused under another public URL', async () => {
    await (await open()).close();
    expect(await refusal({ publicUrl: 'http://127.0.0.1:9999' })).toBe('INSTANCE_MISMATCH');
  });

  for (const file of [
    'instance.json',
    'log.db',
    'ca-chain.pem',
    'tsa-chain.pem',
    'tuf/1.root.json',
    'tuf/timestamp.json',
    ...['ca', 'ct', 'tsa', 'rekor-v1', 'rekor-v2', 'tuf-root', 'tuf-online'].map((name) => `keys/${name}.pem`),
  ]) {
    test(`that has lost ${file} is refused, and nothing is made in its place`, async () => {
      await (await open()).close();
      rmSync(join(data, file));
      expect(await refusal()).toBe('INSTANCE_INCOMPLETE');
      expect(existsSync(join(data, file))).toBe(false);
    });
  }

  for (const file of ['instance.json', 'ca-chain.pem', 'tsa-chain.pem', 'keys/ca.pem', 'tuf/timestamp.json']) {
    for (const [flaw, content] of [
      ['empty', ''],
      ['garbage', 'garbage'],
    ] as const) {
      test(`whose ${file} is ${flaw} is refused`, async () => {
        await (await open()).close();
        writeFileSync(join(data, file), content, { mode: 0o600 });
        expect(await refusal()).toBe('INSTANCE_DAMAGED');
      });
    }
  }

  for (const [flaw, content] of [
    ['empty', ''],
    ['garbage', 'garbage '.repeat(1000)],
  ] as const) {
    test(`whose log.db is ${flaw} is refused: a new log under the old key would be a fork`, async () => {
      await (await open()).close();
      for (const name of readdirSync(data)) if (/^log\.db-/.test(name)) rmSync(join(data, name));
      writeFileSync(join(data, 'log.db'), content);
      expect(await refusal()).toBe('DATABASE_CORRUPT');
    });
  }

  test('whose first start was cut short is finished by the next', async () => {
    await (await open()).close();
    const instance = JSON.parse(readFileSync(join(data, 'instance.json'), 'utf8'));
    writeFileSync(join(data, 'instance.json'), JSON.stringify({ ...instance, parts: [] }));
    rmSync(join(data, 'tuf'), { recursive: true });
    await (await open()).close();
    expect(JSON.parse(readFileSync(join(data, 'instance.json'), 'utf8')).parts).toEqual(['ca', 'log']);
  });

  test('grows by the part that is started later', async () => {
    await (await open({ part: 'log' })).close();
    expect(existsSync(join(data, 'keys/ca.pem'))).toBe(false);
    const stack = await open();
    expect((await get(stack, '/api/v2/trustBundle')).status).toBe(200);
    await stack.close();
  });
});

describe('published documents', () => {
  test('no file lists both Rekor versions, and no URL ends in a slash', async () => {
    const stack = await open();
    for (const [path, version] of [
      ['/signing_config.v0.2.json', 1],
      ['/signing_config_rekor_v2.v0.2.json', 2],
    ] as const) {
      const text = await (await get(stack, path)).text();
      const config = JSON.parse(text) as { rekorTlogUrls: { majorApiVersion: number }[]; tsaConfig: object };
      expect(config.rekorTlogUrls.map((service) => service.majorApiVersion)).toEqual([version]);
      expect(config.tsaConfig).toEqual({ selector: 'ANY' });
      expect(text).not.toMatch(/"https?:[^"]*\/"/);
    }
    await stack.close();
  });

  test('the TUF repository is signed again before its timestamp ends', async () => {
    const stack = await open();
    const expiry = async (): Promise<string> =>
      ((await (await get(stack, '/tuf/timestamp.json')).json()) as { signed: { expires: string } }).signed.expires;
    const before = await expiry();
    now = new Date(now.getTime() + 6 * DAY_MS + 1);
    stack.refresh();
    const after = await expiry();
    expect(Date.parse(after)).toBeGreaterThan(Date.parse(before));
    await stack.close();
    expect(readFileSync(join(data, 'tuf/timestamp.json'), 'utf8')).toContain(after);
  });

  for (const [what, path, status, init] of [
    ['the next root, which ends the root walk', '/tuf/2.root.json', 404, {}],
    ['a path out of the repository', '/tuf/%2e%2e/keys/ca.pem', 404, {}],
    ['a path that nobody knows', '/nothing', 404, {}],
    ['another method', '/trusted_root.json', 405, { method: 'POST' }],
    ['health', '/healthz', 200, {}],
  ] as const) {
    test(`${what}: ${status}`, async () => {
      const stack = await open();
      expect((await get(stack, path, init)).status).toBe(status);
      await stack.close();
    });
  }
});

test('a port in use is refused before anything is written', async () => {
  const taken = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('') });
  const config = {
    data,
    publicUrl: undefined,
    part: 'all',
    issuers: undefined,
    exposeDevIssuer: false,
    listen: { hostname: '127.0.0.1', port: taken.port ?? 0 },
    metrics: undefined,
  } as const;
  expect(serve(config, dependencies)).rejects.toThrow(expect.objectContaining({ code: 'PORT_IN_USE' }));
  expect(existsSync(data)).toBe(false);
  await taken.stop(true);
});

test('a listener answers, ends when told to, and a request without a host is the fault of who sent it', async () => {
  const config = { data, publicUrl: undefined, part: 'all', issuers: undefined, exposeDevIssuer: false } as const;
  const listen = { hostname: '127.0.0.1', port: 0 };
  const server = await serve({ ...config, listen, metrics: undefined }, dependencies);
  expect((await fetch(`${server.publicUrl}/healthz`)).status).toBe(200);
  const answer = await new Promise<string>((resolve) => {
    void Bun.connect({
      hostname: '127.0.0.1',
      port: Number(new URL(server.publicUrl).port),
      socket: {
        open: (socket) => void socket.write('GET /healthz HTTP/1.0\r\n\r\n'),
        data: (socket, bytes) => {
          resolve(bytes.toString());
          socket.end();
        },
      },
    });
  });
  expect(answer).toStartWith('HTTP/1.1 400');
  await server.stop();
  expect(logged.filter((line) => line.startsWith('error'))).toEqual([]);
});

test('metrics answer at an address of their own, and nothing else does there', async () => {
  const config = { data, publicUrl: undefined, part: 'all', issuers: undefined, exposeDevIssuer: false } as const;
  const anywhere = { hostname: '127.0.0.1', port: 0 };
  const server = await serve({ ...config, listen: anywhere, metrics: anywhere }, dependencies);
  const metricsUrl = server.metricsUrl ?? '';
  for (const path of ['/healthz', '/trusted_root.json', '/api/v1/log', '/odd', '/metrics'])
    await fetch(`${server.publicUrl}${path}`);
  const answer = await fetch(metricsUrl);
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const text = await answer.text();
  for (const line of [
    'hallmark_http_requests_total{route="/healthz",method="GET",status="2xx"} 1',
    'hallmark_http_requests_total{route="/trusted_root.json",method="GET",status="2xx"} 1',
    'hallmark_http_requests_total{route="/api/v1/log",method="GET",status="2xx"} 1',
    // The public port has none.
    'hallmark_http_requests_total{route="other",method="GET",status="4xx"} 2',
    'hallmark_log_entries{tree="v1"} 1',
    'hallmark_log_unindexed_entries{tree="v2"} 0',
    'hallmark_log_appends_total{tree="v1",result="appended"} 1',
    'hallmark_log_waiting_entries{tree="v1"} 0',
    'hallmark_signature_checks_under_way 0',
    'hallmark_certificates_issued_total 0',
    'hallmark_timestamps_issued_total 0',
  ]) {
    expect(text).toContain(`${line}\n`);
  }
  expect(text).toMatch(/^process_resident_memory_bytes \d{7,}$/m);
  expect(text).toMatch(/^process_open_fds [1-9]\d*$/m);
  expect(text).toMatch(/^hallmark_event_loop_delay_seconds_count \d+$/m);
  expect((await fetch(metricsUrl.replace(/metrics$/, 'healthz'))).status).toBe(404);
  expect((await fetch(metricsUrl, { method: 'POST' })).status).toBe(405);
  await server.stop();
  await expect(fetch(metricsUrl)).rejects.toThrow();
});

describe('with witnesses', () => {
  const NAMES = ['w1.example', 'w2.example'];

  /** A stack whose v2 log asks two witnesses, and what asks it. */
  async function openWitnessed(
    policy: Partial<WitnessPolicy> = {},
    known?: Awaited<ReturnType<typeof createTestWitnesses>>,
  ) {
    const first = await open();
    const { tlogs } = parseTrustedRoot(new Uint8Array(await (await get(first, '/trusted_root.json')).arrayBuffer()));
    await first.close();
    const v2 = tlogs.find(({ publicKey }) => publicKey.kind === 'ed25519');
    const vkey = vkeyOf('127.0.0.1', 'log', v2!.publicKey);
    const witnesses = known ?? (await createTestWitnesses(NAMES, vkey, () => now));
    const witness: WitnessPolicy = {
      witnesses: witnesses.addresses,
      threshold: 2,
      fail: 'closed',
      intervalMs: 10,
      timeoutMs: 2_000,
      answerMs: 10_000,
      ...policy,
    };
    const stack = await createStack(
      { data, publicUrl: URL_HERE, part: 'log', issuers: undefined, exposeDevIssuer: false, witness },
      { ...dependencies, fetch: witnesses.fetch },
    );
    const key = generateKey('p256');
    const post = (path: string, body: unknown) => get(stack, path, { method: 'POST', body: JSON.stringify(body) });
    return {
      stack,
      witnesses,
      vkey,
      vkeys: witness.witnesses.map((address) => address.vkey),
      postV1: (text: string) => post('/api/v1/log/entries', hashedRekordV1(text, key)),
      postV2: (text: string) => post('/api/v2/log/entries', hashedRekordV2(text, key)),
    };
  }

  test('v2 answers carry cosignatures, and so does its checkpoint; v1 has its one signature', async () => {
    const { stack, vkeys, vkey, postV1, postV2 } = await openWitnessed();
    const answer = await postV2('a');
    expect(answer.status).toBe(201);
    const { inclusionProof } = await jsonOf<{ inclusionProof: { checkpoint: { envelope: string } } }>(answer);
    const published = await (await get(stack, '/api/v2/checkpoint')).text();
    for (const envelope of [inclusionProof.checkpoint.envelope, published]) {
      const { note } = parseCheckpoint(envelope);
      expect(note.signatures).toHaveLength(3);
      expect(isNoteSignedBy(note, vkey)).toBe(true);
      expect(verifyCosignatures(note, vkeys)).toHaveLength(2);
    }
    const v1 = Object.values(
      await jsonOf<Record<string, { verification: { inclusionProof: { checkpoint: string } } }>>(await postV1('a')),
    );
    expect(parseCheckpoint(v1[0]!.verification.inclusionProof.checkpoint).note.signatures).toHaveLength(1);
    await stack.close();
  });
  test('fail closed: v2 answers 503 with Retry-After and its checkpoint stays; v1 goes on', async () => {
    const { stack, witnesses, postV1, postV2 } = await openWitnessed({ answerMs: 100 });
    expect((await postV2('a')).status).toBe(201);
    const before = await (await get(stack, '/checkpoint')).text();
    witnesses.faults.set('w1.example', () => new Response('', { status: 500 }));
    const answer = await postV2('b');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(await answer.text()).toContain('the entry is logged, but too few witnesses have cosigned it yet');
    expect(await (await get(stack, '/checkpoint')).text()).toBe(before);
    expect((await get(stack, '/api/v2/tile/entries/000.p/2')).status).toBe(404);
    expect((await postV1('b')).status).toBe(201);
    expect(logged.join('\n')).toContain(
      'error no checkpoint is published: too few witnesses {"have":1,"want":2,"missing":["',
    );
    expect(stack.metrics.render()).toContain('hallmark_log_unpublished_entries{tree="v2"} 1');
    await stack.close();
  });
  test('fail closed from the start: the checkpoint is 503 until there are enough', async () => {
    const witnesses = await createTestWitnesses(
      NAMES,
      vkeyOf('other', 'log', generateKey('ed25519').publicKey),
      () => now,
    );
    const { stack } = await openWitnessed({}, witnesses);
    expect((await get(stack, '/checkpoint')).status).toBe(503);
    expect(logged.join('\n')).not.toContain('transparency log failed');
    await stack.close();
  });
  test('a new shard needs a host of its own: under the old one witnesses would see a log that begins anew', async () => {
    const { stack, postV2 } = await openWitnessed();
    expect((await postV2('a')).status).toBe(201);
    const rotate = async (url?: string): Promise<Response> => {
      const body = JSON.stringify({ log: 'v2', ...(url === undefined ? {} : { url }) });
      const request = new Request('http://hallmark/log/rotate', { method: 'POST', body });
      return (await stack.admin(request, new URL(request.url), LOOPBACK)) as Response;
    };
    for (const url of [undefined, URL_HERE, 'http://127.0.0.1:9999']) {
      const answer = await rotate(url);
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([500, 'CONFIG_INVALID']);
    }
    expect((await postV2('b')).status).toBe(201);
    expect((await rotate('https://log2.example')).status).toBe(200);
    expect((await postV2('c')).status).toBe(405);
    await stack.close();
  });
  test('fail open: it is published and the log says so', async () => {
    const { stack, witnesses, postV2 } = await openWitnessed({ fail: 'open' });
    witnesses.faults.set('w1.example', () => new Response('', { status: 500 }));
    expect((await postV2('a')).status).toBe(201);
    expect(logged.join('\n')).toContain('error a checkpoint was published without enough witnesses');
    await stack.close();
  });
  test('what was published with witnesses does not come back after a time without', async () => {
    const { stack, witnesses, postV2 } = await openWitnessed();
    expect((await postV2('a')).status).toBe(201);
    await stack.close();
    expect(existsSync(join(data, 'published-v2.note'))).toBe(true);
    await (await open()).close();
    expect(existsSync(join(data, 'published-v2.note'))).toBe(false);
    for (const name of NAMES) witnesses.faults.set(name, () => new Response('', { status: 500 }));
    const again = await openWitnessed({}, witnesses);
    expect((await get(again.stack, '/checkpoint')).status).toBe(503);
    await again.stack.close();
  });
});
describe('a rotated log', () => {
  const rotate = async (stack: Stack, log: string, path = '/log/rotate'): Promise<Response> => {
    const request = new Request(`http://hallmark${path}`, { method: 'POST', body: JSON.stringify({ log }) });
    const answer = await stack.admin(request, new URL(request.url), LOOPBACK);
    if (!answer) throw new Error('no answer');
    return answer;
  };
  const trustOf = async (stack: Stack) =>
    parseTrustedRoot(new Uint8Array(await (await get(stack, '/trusted_root.json')).arrayBuffer()));
  const rekorUrls = async (stack: Stack, path: string) =>
    ((await (await get(stack, path)).json()) as { rekorTlogUrls: { url: string; validFor: object }[] }).rekorTlogUrls;

  test('is published through TUF: the old key with its end, the new one with its start, and where to sign', async () => {
    let stack = await open();
    const before = await trustOf(stack);
    const version = async () =>
      ((await (await get(stack, '/tuf/timestamp.json')).json()) as { signed: { version: number } }).signed.version;
    const first = await version();
    now = new Date('2026-02-01T10:00:00.700Z');
    for (const log of ['v1', 'v2']) expect((await rotate(stack, log)).status).toBe(200);
    expect(await version()).toBe(first + 2);

    const after = await trustOf(stack);
    const logs = after.tlogs.map(({ baseUrl, validFor }) => [
      baseUrl,
      validFor.start?.toISOString(),
      validFor.end?.toISOString(),
    ]);
    expect(logs).toEqual([
      [URL_HERE, '2025-12-31T23:59:00.000Z', '2026-02-01T10:01:00.000Z'],
      [URL_HERE, '2026-02-01T09:59:00.000Z', undefined],
      [URL_HERE, '2025-12-31T23:59:00.000Z', '2026-02-01T10:01:00.000Z'],
      [`${URL_HERE}/shard/2`, '2026-02-01T09:59:00.000Z', undefined],
    ]);
    expect([0, 2].map((i) => after.tlogs[i]?.logId)).toEqual(before.tlogs.map(({ logId }) => logId));
    expect((await rekorUrls(stack, '/signing_config.v0.2.json')).map(({ url }) => url)).toEqual([URL_HERE]);
    expect(await rekorUrls(stack, '/signing_config_rekor_v2.v0.2.json')).toEqual([
      expect.objectContaining({ url: `${URL_HERE}/shard/2`, validFor: { start: '2026-02-01T09:59:00Z' } }),
    ]);
    const rekorKey = await (await get(stack, '/rekor.pub')).text();
    expect(rekorKey).toBe(readPublicKeyOf('rekor-v1-2'));
    // What is served is what TUF carries, and what the next start serves.
    const targets = (await (await get(stack, '/tuf/3.targets.json')).json()) as {
      signed: { targets: Record<string, { custom?: { sigstore: { status: string } } }> };
    };
    expect(targets.signed.targets['rekor-1.pub']?.custom?.sigstore.status).toBe('Expired');
    expect(targets.signed.targets['rekor.pub']?.custom?.sigstore.status).toBe('Active');
    const documents = await (await get(stack, '/client_trust_config_rekor_v2.json')).text();
    await stack.close();
    stack = await open();
    expect(await (await get(stack, '/client_trust_config_rekor_v2.json')).text()).toBe(documents);
    expect(await version()).toBe(first + 2);
    await stack.close();
  });

  for (const [what, lose, code] of [
    ['whose newest key is lost', () => rmSync(join(data, 'keys/rekor-v1-2.pem')), 'INSTANCE_INCOMPLETE'],
    ['whose database is older than its rotation', () => writeFileSync(join(data, 'log.db'), saved), 'LOG_FORKED'],
  ] as const) {
    test(`${what} is not begun anew`, async () => {
      await (await open()).close();
      saved = readFileSync(join(data, 'log.db'));
      const stack = await open();
      await rotate(stack, 'v1');
      await stack.close();
      lose();
      expect(await refusal()).toBe(code);
    });
  }
  let saved: Buffer;

  test('an order that cannot be carried out says why, and changes nothing', async () => {
    const stack = await open({ part: 'ca' });
    const answer = await rotate(stack, 'v1');
    expect(answer.status).toBe(500);
    expect(await answer.json()).toEqual({ code: 'CONFIG_INVALID', message: 'this log does not run here', hint: '' });
    expect((await rotate(stack, 'ct')).status).toBe(500);
    expect(JSON.parse(readFileSync(join(data, 'instance.json'), 'utf8')).shards).toBeUndefined();
    await stack.close();
  });

  test('frozen as a whole it is still frozen after a start', async () => {
    let stack = await open();
    expect((await rotate(stack, 'v2', '/log/freeze')).status).toBe(200);
    const post = () => get(stack, '/api/v2/log/entries', { method: 'POST', body: '{}' });
    expect((await post()).status).toBe(405);
    await stack.close();
    stack = await open();
    expect((await post()).status).toBe(405);
    await stack.close();
  });
});

const readPublicKeyOf = (name: string): string =>
  serializePublicKeyPem(parsePrivateKey(readFileSync(join(data, `keys/${name}.pem`), 'utf8'), undefined).publicKey);
