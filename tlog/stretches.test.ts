import { describe, expect, test } from 'bun:test';
import { createStretches } from './stretches.ts';

/** A clock that work moves on, and a count of the event loop's turns. */
function loop() {
  let time = 0;
  let turns = 0;
  let stopped = false;
  const count = (): void => {
    turns++;
    if (!stopped) setImmediate(count);
  };
  setImmediate(count);
  return {
    now: () => time,
    work: (milliseconds: number) => async (): Promise<number> => {
      time += milliseconds;
      return turns;
    },
    stop: () => {
      stopped = true;
    },
  };
}

describe('stretches', () => {
  test('of little work run at once', async () => {
    const { now, work, stop } = loop();
    const run = createStretches(now);
    expect(await Promise.all([run(work(0.5)), run(work(0.5)), run(work(0.5))])).toEqual([0, 0, 0]);
    stop();
  });

  test('of much work leave the event loop its turns, in order, and come to their end', async () => {
    const { now, work, stop } = loop();
    const run = createStretches(now);
    const turns = await Promise.all(Array.from({ length: 20 }, () => run(work(1))));
    stop();
    expect(turns).toEqual(turns.toSorted((a, b) => a - b));
    // Two of one millisecond fill a stretch.
    expect(new Set(turns).size).toBeGreaterThanOrEqual(9);
  });

  test('one piece that is longer than a stretch runs alone', async () => {
    const { now, work, stop } = loop();
    const run = createStretches(now);
    const turns = await Promise.all([run(work(50)), run(work(50)), run(work(50))]);
    stop();
    expect(new Set(turns).size).toBe(3);
  });

  test('count what a piece goes on with when it had nothing to wait for', async () => {
    const { now, work, stop } = loop();
    const run = createStretches(now);
    void run(work(5));
    const turns = await Promise.all(
      Array.from({ length: 10 }, () =>
        run(async () => {
          await null;
          return work(5)();
        }),
      ),
    );
    stop();
    expect(new Set(turns).size).toBe(10);
  });

  test('after an idle while begin anew', async () => {
    const { now, work, stop } = loop();
    const run = createStretches(now);
    await Promise.all([run(work(50)), run(work(1))]);
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    let done = false;
    void run(async () => {
      done = true;
    });
    expect(done).toBe(true);
    stop();
  });

  test('what fails fails alone', async () => {
    const { now, work, stop } = loop();
    const run = createStretches(now);
    await expect(
      run(() => {
        throw new Error('broken at once');
      }),
    ).rejects.toThrow('broken at once');
    const results = await Promise.allSettled([
      run(work(9)),
      run(async () => {
        throw new Error('broken');
      }),
      run(() => {
        throw new Error('broken before its promise');
      }),
      run(work(1)),
    ]);
    stop();
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
  });
});
