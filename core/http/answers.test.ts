import { beforeEach, describe, expect, test } from 'bun:test';
import { LARGE_ANSWER_BYTES } from '../limits.ts';
import { type Budget, createBudget } from './admission.ts';
import { answerInPieces, withinBudget } from './answers.ts';
import { jsonResponse, type Peer } from './front-end.ts';

const PIECE = 1000;
let budget: Budget;
let peer: Peer;
let made: number;
let ended: boolean;
beforeEach(() => {
  budget = createBudget(4 * PIECE);
  peer = { address: '192.0.2.7', loopback: false, reserveAnswer: (bytes) => budget.reserve(bytes, undefined) };
  made = 0;
  ended = false;
});

async function* pieces(...sizes: number[]): AsyncGenerator<Uint8Array, void> {
  try {
    for (const size of sizes) {
      made++;
      yield new Uint8Array(size).fill(made);
    }
  } finally {
    ended = true;
  }
}

describe('an answer in pieces', () => {
  test('is whole, and its memory is free once it is read', async () => {
    const answer = await answerInPieces(peer, pieces(PIECE, 10, PIECE), { etag: 'x' });
    expect(answer.headers.get('etag')).toBe('x');
    const bytes = new Uint8Array(await answer.arrayBuffer());
    expect([bytes.length, bytes[0], bytes[PIECE], bytes.at(-1)]).toEqual([2 * PIECE + 10, 1, 2, 3]);
    expect([budget.reserved(), ended]).toEqual([0, true]);
  });

  test('that nobody reads is one piece in memory', async () => {
    await answerInPieces(peer, pieces(PIECE, PIECE, PIECE), {});
    await Bun.sleep(0);
    expect([made, budget.reserved()]).toEqual([1, PIECE]);
  });

  test('is refused where too many wait for their readers, until one is gone', async () => {
    const open = () => answerInPieces(peer, pieces(PIECE, PIECE), {});
    const waiting: Response[] = [];
    for (let i = 0; i < 4; i++) waiting.push(await open());
    await expect(open()).rejects.toMatchObject({ code: 'OVERLOADED' });
    await waiting[0]?.body?.cancel();
    expect([budget.reserved(), ended]).toEqual([3 * PIECE, true]);
    await open();
  });

  test('breaks off at a piece for which there is no room', async () => {
    const answer = await answerInPieces(peer, pieces(PIECE, 5 * PIECE), {});
    await expect(answer.arrayBuffer()).rejects.toMatchObject({ code: 'OVERLOADED' });
    expect([budget.reserved(), ended]).toEqual([0, true]);
  });
});

describe('a large JSON answer', () => {
  const large = (): Response => jsonResponse(200, 'x'.repeat(2 * LARGE_ANSWER_BYTES), { etag: 'y' });

  test('counts until it is read', async () => {
    budget = createBudget(3 * LARGE_ANSWER_BYTES);
    const answer = await withinBudget(peer, large());
    expect([answer.status, answer.headers.get('etag')]).toEqual([200, 'y']);
    await expect(withinBudget(peer, large())).rejects.toMatchObject({ code: 'OVERLOADED' });
    expect(await answer.json()).toHaveLength(2 * LARGE_ANSWER_BYTES);
    expect(budget.reserved()).toBe(0);
  });

  test('is free again when its client goes', async () => {
    budget = createBudget(3 * LARGE_ANSWER_BYTES);
    await (await withinBudget(peer, large())).body?.cancel();
    expect(budget.reserved()).toBe(0);
  });

  test('a small one does not count', async () => {
    budget = createBudget(0);
    expect((await withinBudget(peer, jsonResponse(200, 'x'))).status).toBe(200);
  });
});
