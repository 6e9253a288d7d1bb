import { describe, expect, test } from 'bun:test';
import { serializeUtf8 } from '../bytes/bytes.ts';
import { ServiceError } from '../errors.ts';
import { MAX_SERVICE_ANSWER_BYTES } from '../limits.ts';
import { rejectionOf } from '../testing.ts';
import { type FetchLike, type HttpRequest, parseJsonAnswer, request, requestOnce } from './client.ts';
import { MAX_ATTEMPTS, MAX_DELAY_MS, retryDelay } from './retry.ts';
import { FAKE_NOW, fakeHttp } from './testing.ts';

/** Answers one after the other; functions are called (to throw). */
function answers(...list: (Response | (() => Response))[]): FetchLike & { calls: string[] } {
  const calls: string[] = [];
  const fetch = async (url: string): Promise<Response> => {
    calls.push(url);
    const next = list[Math.min(calls.length, list.length) - 1] as Response | (() => Response);
    return typeof next === 'function' ? next() : next;
  };
  return Object.assign(fetch, { calls });
}

const CALL: HttpRequest = {
  service: 'the transparency log',
  method: 'POST',
  url: 'https://log.example/api/v1/log/entries',
  body: '{}',
  timeoutMs: 1000,
  accept: [201],
};

async function failure(promise: Promise<unknown>): Promise<ServiceError> {
  const error = await rejectionOf(promise);
  expect(error).toBeInstanceOf(ServiceError);
  return error as ServiceError;
}

const reset = (): Response => {
  throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
};

describe('retries', () => {
  test('500 and then success is success', async () => {
    const fetch = answers(new Response('', { status: 500 }), new Response('ok', { status: 201 }));
    const http = fakeHttp(fetch);
    expect((await request(http, CALL)).body).toEqual(serializeUtf8('ok'));
    expect(http.slept.length).toBe(1);
  });

  test('a connection reset and then success is success', async () => {
    const http = fakeHttp(answers(reset, new Response('ok', { status: 201 })));
    expect((await request(http, CALL)).status).toBe(201);
  });

  test('pauses grow', async () => {
    const http = fakeHttp(answers(() => new Response('', { status: 503 })));
    await failure(request(http, CALL));
    expect(http.slept.map(Math.round)).toEqual([250, 500, 1000]);
  });

  test('ends after the last attempt and names service, URL, status and remedy', async () => {
    const fetch = answers(() => new Response('{"message":"reached max pushback"}', { status: 503 }));
    const error = await failure(request(fakeHttp(fetch), CALL));
    expect(fetch.calls.length).toBe(MAX_ATTEMPTS);
    expect(error.status).toBe(503);
    expect(error.message).toBe(
      'the transparency log at https://log.example/api/v1/log/entries answered 503: reached max pushback (4 attempts)',
    );
    expect(error.hint).toContain('later');
  });

  test('400 is not tried again', async () => {
    const fetch = answers(new Response('{"code":400,"message":"bad \\u001b[31mhash"}', { status: 400 }));
    const error = await failure(request(fakeHttp(fetch), CALL));
    expect(fetch.calls.length).toBe(1);
    expect(error.code).toBe('SERVICE_REFUSED');
    expect(error.message).toEndWith('answered 400: bad [31mhash');
  });

  test('Retry-After is honoured', async () => {
    const http = fakeHttp(
      answers(
        new Response('', { status: 429, headers: { 'retry-after': '2' } }),
        new Response('', { status: 503, headers: { 'retry-after': 'Fri, 20 Nov 2026 12:00:03 GMT' } }),
        new Response('', { status: 201 }),
      ),
    );
    await request(http, CALL);
    expect(http.slept).toEqual([2000, 3000]);
  });

  test('Retry-After of a day is cut', () => {
    expect(retryDelay(1, '86400', FAKE_NOW, () => 0)).toBe(MAX_DELAY_MS);
    expect(retryDelay(1, 'soon', FAKE_NOW, () => 0)).toBe(125);
    expect(retryDelay(60, null, FAKE_NOW, () => 0.999)).toBeLessThanOrEqual(MAX_DELAY_MS);
  });

  test('an unreachable service says why', async () => {
    const refused = (): Response => {
      throw new TypeError('fetch failed', { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) });
    };
    const error = await failure(request(fakeHttp(answers(refused)), CALL));
    expect(error.code).toBe('SERVICE_UNREACHABLE');
    expect(error.status).toBeUndefined();
    expect(error.message).toContain('ECONNREFUSED');
  });

  test('a service that never answers is given up in time', async () => {
    const fetch: FetchLike = (_url, init) =>
      new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(new Error('aborted'))));
    const error = await failure(request(fakeHttp(fetch), { ...CALL, timeoutMs: 5 }));
    expect(error.message).toContain('no answer within 0.005 s');
  });
});

describe('a single attempt', () => {
  const once = { ...CALL, wrongUrlHint: 'ask the operator' };

  test('503 is not tried again', async () => {
    const fetch = answers(new Response('', { status: 503 }), new Response('ok', { status: 201 }));
    expect((await failure(requestOnce(fetch, once))).code).toBe('SERVICE_REFUSED');
    expect(fetch.calls.length).toBe(1);
  });

  test('a connection reset is not tried again', async () => {
    const fetch = answers(reset, new Response('ok', { status: 201 }));
    expect((await failure(requestOnce(fetch, once))).code).toBe('SERVICE_UNREACHABLE');
    expect(fetch.calls.length).toBe(1);
  });

  test('says what to do about the URL in the words of the caller', async () => {
    for (const [fetch, url] of [
      [answers(new Response('', { status: 404 })), once.url],
      [answers(redirectTo(307, 'https://evil.example/')), once.url],
      [answers(new Response('', { status: 201 })), 'file:///etc/passwd'],
    ] as const)
      expect((await failure(requestOnce(fetch, { ...once, url }))).hint).toBe('ask the operator');
  });
});

const redirectTo = (status: number, location: string): Response => new Response('', { status, headers: { location } });

describe('redirects', () => {
  test('to another host is refused, before anything is sent there', async () => {
    const fetch = answers(redirectTo(307, 'https://evil.example/'));
    const error = await failure(request(fakeHttp(fetch), CALL));
    expect(error.message).toContain('another host, https://evil.example');
    expect(fetch.calls).toEqual([CALL.url]);
  });

  test('to plain http on the same host is refused', async () => {
    const fetch = answers(redirectTo(308, 'http://log.example/x'));
    expect((await failure(request(fakeHttp(fetch), CALL))).message).toContain('another host');
  });

  test('within the origin is followed', async () => {
    const fetch = answers(redirectTo(307, '/elsewhere'), new Response('', { status: 201 }));
    await request(fakeHttp(fetch), CALL);
    expect(fetch.calls[1]).toBe('https://log.example/elsewhere');
  });

  test('that turns a POST into a GET is refused', async () => {
    const error = await failure(request(fakeHttp(answers(redirectTo(302, '/elsewhere'))), CALL));
    expect(error.message).toContain('into a GET');
  });

  test('without end are refused', async () => {
    const error = await failure(request(fakeHttp(answers(() => redirectTo(308, '/again'))), CALL));
    expect(error.message).toContain('more than 3 redirects');
  });
});

describe('redirects that the caller does not want', () => {
  test('within the origin is refused', async () => {
    const fetch = answers(redirectTo(307, '/elsewhere'), new Response('', { status: 201 }));
    const error = await failure(request(fakeHttp(fetch), { ...CALL, maxRedirects: 0 }));
    expect(error.message).toContain('more than 0 redirects');
    expect(fetch.calls.length).toBe(1);
  });
});

describe('answers', () => {
  test('one larger than the caller allows is cut off', async () => {
    const call = { ...CALL, maxBytes: 3 };
    const five = () => new Response(new Blob(['12345']).stream(), { status: 201 });
    expect((await failure(request(fakeHttp(answers(five)), call))).message).toEndWith('more than 3 bytes');
    const announced = () => new Response('12345', { status: 201, headers: { 'content-length': '5' } });
    expect((await failure(request(fakeHttp(answers(announced)), call))).message).toEndWith('more than 3 bytes');
    expect((await request(fakeHttp(answers(new Response('123', { status: 201 }))), call)).body.length).toBe(3);
  });

  test('the page of an error may be larger than what was asked for', async () => {
    const page = new Response('a long story', { status: 503 });
    const http = fakeHttp(answers(page, new Response('ok', { status: 201 })));
    expect((await request(http, { ...CALL, maxBytes: 3 })).body).toEqual(serializeUtf8('ok'));
  });

  test('one announced as too large is not read', async () => {
    const huge = new Response('x', {
      status: 201,
      headers: { 'content-length': String(MAX_SERVICE_ANSWER_BYTES + 1) },
    });
    expect((await failure(request(fakeHttp(answers(huge)), CALL))).code).toBe('SERVICE_ANSWER_INVALID');
  });

  test('one without an end is cut off', async () => {
    let pulled = 0;
    const endless = new ReadableStream({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(1024 * 1024));
      },
    });
    const error = await failure(request(fakeHttp(answers(new Response(endless, { status: 201 }))), CALL));
    expect(error.message).toContain('more than');
    expect(pulled).toBeLessThan(MAX_SERVICE_ANSWER_BYTES / (1024 * 1024) + 5);
  });

  test('one that is not JSON is the fault of the service', async () => {
    const answer = await request(fakeHttp(answers(new Response('<html>', { status: 201 }))), CALL);
    expect(() => parseJsonAnswer(CALL, answer)).toThrow(ServiceError);
  });
});

test('a URL that is no web address is refused without a request', async () => {
  const fetch = answers(new Response('', { status: 201 }));
  expect((await failure(request(fakeHttp(fetch), { ...CALL, url: 'file:///etc/passwd' }))).code).toBe(
    'SERVICE_UNREACHABLE',
  );
  expect(fetch.calls.length).toBe(0);
});
