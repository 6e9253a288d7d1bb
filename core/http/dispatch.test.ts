import { beforeEach, describe, expect, test } from 'bun:test';
import { MAX_LARGE_BODIES_BYTES, MAX_LOG_REQUEST_BYTES } from '../limits.ts';
import { createMetrics, type Metrics } from '../metrics.ts';
import { createDispatch } from './dispatch.ts';
import { type Handle, jsonResponse, type Peer, readBody } from './front-end.ts';

const STRANGER: Peer = { address: '192.0.2.7', loopback: false };
const HERE: Peer = { address: '127.0.0.1', loopback: true };

let metrics: Metrics;
let now: number;
let faults: unknown[];
/** Deadlines that run, to be ended by the test. */
let deadlines: { milliseconds: number; action: () => void }[];
beforeEach(() => {
  metrics = createMetrics();
  now = 1_000_000;
  faults = [];
  deadlines = [];
});

const front: Handle = (request, url, peer) => {
  const known = ['/api/entry', '/hang', '/fault', '/read'].find((path) => path === url.pathname);
  if (known === undefined) return undefined;
  peer.matched?.(known);
  if (known === '/hang') return new Promise(() => {});
  if (known === '/read')
    return readBody(request, MAX_LOG_REQUEST_BYTES).then((body) => jsonResponse(200, { bytes: body?.length ?? null }));
  if (known === '/fault') throw new Error('a fault of this side');
  return jsonResponse(200, { client: peer.client ?? null });
};

function open(perMinute = 0, clientHeader?: string) {
  return createDispatch({
    fronts: [front],
    metrics,
    clock: () => new Date(now),
    monotonic: () => now,
    timer: (milliseconds, action) => {
      const deadline = { milliseconds, action };
      deadlines.push(deadline);
      return {
        cancel: () => {
          deadlines = deadlines.filter((each) => each !== deadline);
        },
      };
    },
    clientRate: { perMinute, burst: 2 },
    clientHeader,
    onFault: (error) => faults.push(error),
  });
}

const get = (path: string, init?: RequestInit): Request => new Request(`http://log.example${path}`, init);
const post = (path: string, bytes: number | undefined, headers: Record<string, string> = {}): Request =>
  get(path, {
    method: 'POST',
    headers: {
      ...headers,
      ...(bytes === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': `${bytes}` }),
    },
  });

describe('metrics', () => {
  test('count what a route answers by the name in its table', async () => {
    const dispatch = open();
    await dispatch(get('/api/entry?x=1'), STRANGER);
    await dispatch(get('/fault', { method: 'POST' }), STRANGER);
    expect(faults).toHaveLength(1);
    const text = metrics.render();
    expect(text).toContain('hallmark_http_requests_total{route="/api/entry",method="GET",status="2xx"} 1\n');
    expect(text).toContain('hallmark_http_requests_total{route="/fault",method="POST",status="5xx"} 1\n');
    expect(text).toContain('hallmark_http_request_seconds_count{route="/api/entry"} 1\n');
    expect(text).toContain('hallmark_http_requests_in_flight 0\n');
  });

  test('thousands of odd paths and methods add one series for each kind of answer', async () => {
    const dispatch = open();
    const lines = (): number => metrics.render().split('\n').length;
    await dispatch(get('/odd'), STRANGER);
    await dispatch(get('/odd', { method: 'PUT' }), STRANGER);
    await dispatch(get('/api/entry', { method: 'PUT' }), STRANGER);
    const before = lines();
    const methods = ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'PURGE', 'MKCOL', 'LOCK'];
    for (let i = 0; i < 3000; i++) {
      const method = methods[i % methods.length] as string;
      await dispatch(get(`/odd/${i}?${i}`), STRANGER);
      await dispatch(get(`/odd/${i}`, { method }), STRANGER);
      await dispatch(get(`/api/entry?${i}`, { method }), STRANGER);
    }
    expect(lines()).toBe(before);
    expect(metrics.render()).toContain('{route="other",method="other",status="4xx"} 3001\n');
  });
});

describe('the rate of a client', () => {
  test('beyond it the answer is 429 with Retry-After, until a token is there', async () => {
    const dispatch = open(60);
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++) statuses.push((await dispatch(get('/api/entry'), STRANGER)).status);
    expect(statuses).toEqual([200, 200, 429]);
    const refused = await dispatch(post('/api/entry', 10), STRANGER);
    expect([refused.status, refused.headers.get('retry-after'), refused.headers.get('connection')]).toEqual([
      429,
      '1',
      'close',
    ]);
    expect(metrics.render()).toContain('hallmark_http_refused_total{why="rate"} 2\n');
    expect((await dispatch(get('/api/entry'), { address: '192.0.2.8', loopback: false })).status).toBe(200);
    now += 1000;
    expect((await dispatch(get('/api/entry'), STRANGER)).status).toBe(200);
  });

  test('this machine has none', async () => {
    const dispatch = open(60);
    for (let i = 0; i < 100; i++) expect((await dispatch(get('/api/entry'), HERE)).status).toBe(200);
  });

  test('behind a proxy it is that of whom the proxy names', async () => {
    const dispatch = open(60, 'x-real-ip');
    const ask = (client: string) => dispatch(get('/api/entry', { headers: { 'x-real-ip': client } }), HERE);
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++) statuses.push((await ask('192.0.2.1')).status);
    expect(statuses).toEqual([200, 200, 429]);
    expect(await (await ask('192.0.2.2')).json()).toEqual({ client: '192.0.2.2' });
  });
});

describe('bodies', () => {
  const MEBIBYTE = 1024 * 1024;
  /** A request whose body has come up to so many bytes, and goes no further. */
  const partly = (bytes: number): Request =>
    get('/read', {
      method: 'POST',
      headers: { 'transfer-encoding': 'chunked' },
      body: new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(bytes)) }),
    });
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await Bun.sleep(0);
  };

  test('what has come of a thousand large ones fits in memory, and small ones still go through', async () => {
    const dispatch = open();
    const answers: Response[] = [];
    for (let i = 0; i < 1000; i++) void dispatch(partly(MEBIBYTE), HERE).then((answer) => answers.push(answer));
    await settle();
    const fit = MAX_LARGE_BODIES_BYTES / MEBIBYTE;
    expect(answers.length).toBeGreaterThanOrEqual(1000 - fit);
    expect(answers.length).toBeLessThan(1000);
    expect(answers.every(({ status, headers }) => status === 503 && headers.get('connection') === 'close')).toBe(true);
    expect(answers[0]?.headers.get('retry-after')).toBe('1');
    expect(metrics.render()).toContain(`hallmark_http_body_bytes ${(1000 - answers.length) * MEBIBYTE}\n`);
    expect((await dispatch(post('/api/entry', 4000), HERE)).status).toBe(200);
  });

  test.each([
    ['in chunks', undefined],
    ['of an announced size', MAX_LOG_REQUEST_BYTES],
  ])('fifty idle ones %s do not keep a large one out', async (_, bytes) => {
    const dispatch = open();
    for (let i = 0; i < 50; i++) void dispatch(post('/hang', bytes), STRANGER);
    const large = get('/read', {
      method: 'POST',
      headers: { 'transfer-encoding': 'chunked' },
      body: new Uint8Array(20 * MEBIBYTE),
    });
    expect((await dispatch(large, STRANGER)).status).toBe(200);
  });

  test('one that does not come in time is 408, and its memory is free again', async () => {
    const dispatch = open();
    const slow = dispatch(post('/hang', MAX_LOG_REQUEST_BYTES), HERE);
    await Bun.sleep(0);
    expect(deadlines.map(({ milliseconds }) => milliseconds)).toEqual([20_000]);
    deadlines[0]?.action();
    expect((await slow).status).toBe(408);
    expect(deadlines).toEqual([]);
    expect(metrics.render()).toContain('hallmark_http_body_bytes 0\n');
  });

  test('one that comes gets the time that what came takes, and no more', async () => {
    const dispatch = open();
    const slow = dispatch(partly(MEBIBYTE), HERE);
    await settle();
    deadlines[0]?.action();
    expect(deadlines.map(({ milliseconds }) => milliseconds)).toEqual([20_000, 4_000]);
    deadlines[1]?.action();
    expect((await slow).status).toBe(408);
  });

  test('one that breaks off is the fault of who sent it', async () => {
    const body = new ReadableStream({
      pull: (controller) => controller.error(new DOMException('The connection was closed.', 'AbortError')),
    });
    const answer = await open()(get('/read', { method: 'POST', body }), HERE);
    expect([answer.status, await answer.json()]).toEqual([400, { code: 400, message: 'the request ended early' }]);
    expect(faults).toEqual([]);
  });

  test('an answer ends the deadline', async () => {
    await open()(post('/api/entry', 10), HERE);
    expect(deadlines).toEqual([]);
  });
});
