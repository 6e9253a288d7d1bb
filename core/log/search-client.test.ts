import { describe, expect, test } from 'bun:test';
import type { Json } from '../bytes/json.ts';
import { fakeHttp } from '../http/testing.ts';
import { rejectionOf } from '../testing.ts';
import { searchLog } from './search-client.ts';

const ENTRY = {
  log: 'v1',
  logIndex: 7,
  leafHash: 'ab'.repeat(32),
  entryId: 'cd'.repeat(40),
  integratedTime: '2026-01-02T03:04:05Z',
  kind: 'hashedrekord',
  version: '0.0.1',
  digests: [{ of: 'artifact', algorithm: 'sha256', value: 'ef'.repeat(32) }],
  signers: [
    { key: '01'.repeat(32), serial: '5', identities: [{ kind: 'email', value: 'a@example.com' }], issuer: 'i' },
  ],
};
const ANSWER = { entries: [ENTRY], nextCursor: 'v1.7', index: { behind: 3, logs: [] } };

const ask = async (answer: Json, status = 200) => {
  const urls: string[] = [];
  const http = fakeHttp(async (url) => {
    urls.push(url);
    return Response.json(answer, { status });
  });
  return { found: await searchLog(http, 'http://log.example/', { digest: 'sha256:aa', limit: '2' }), urls };
};

describe('searchLog', () => {
  test('asks with what it is given and reads the answer', async () => {
    const { found, urls } = await ask(ANSWER);
    expect(urls).toEqual(['http://log.example/api/search?digest=sha256%3Aaa&limit=2']);
    expect(found).toEqual({
      entries: [
        {
          ...ENTRY,
          integratedTime: new Date('2026-01-02T03:04:05Z'),
          signers: [{ ...ENTRY.signers[0]!, repository: undefined, commit: undefined } as never],
        },
      ],
      nextCursor: 'v1.7',
      behind: 3,
    });
  });

  test.each([
    ['no index', { ...ANSWER, index: null }],
    ['more entries than were asked for', { ...ANSWER, entries: Array(101).fill(ENTRY) }],
    ['an index that is no number', { ...ANSWER, entries: [{ ...ENTRY, logIndex: '7' }] }],
    ['a negative index', { ...ANSWER, entries: [{ ...ENTRY, logIndex: -1 }] }],
    ['an ID that is a shell command', { ...ANSWER, entries: [{ ...ENTRY, entryId: '$(reboot)' }] }],
    ['no time', { ...ANSWER, entries: [{ ...ENTRY, integratedTime: null }] }],
    [
      'a digest that is none',
      { ...ANSWER, entries: [{ ...ENTRY, digests: [{ of: 'a', algorithm: 'b', value: 'x' }] }] },
    ],
    ['a list', []],
  ] as [string, Json][])('refuses an answer with %s', async (_, answer) => {
    expect((await rejectionOf(ask(answer))).code).toBe('SERVICE_ANSWER_INVALID');
  });

  test('says what the server does not understand, and where there is no search', async () => {
    const refused = await rejectionOf(ask({ code: 400, message: 'digest: expected sha256:HEX' }, 400));
    expect([refused.code, refused.message]).toEqual([
      'SERVICE_REFUSED',
      expect.stringContaining('expected sha256:HEX'),
    ]);
    expect((await rejectionOf(ask({ code: 404, message: 'x' }, 404))).hint).toContain('only hallmark serve');
  });
});
