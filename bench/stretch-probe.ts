// Loaded into a server before its program: measures how long its event loop is held, in CPU time of its thread, so that what else
// the machine does is no part of it. Asked by a message, it answers with the longest stretch since it was asked last.

import { dlopen, ptr } from 'bun:ffi';
import { isMainThread } from 'node:worker_threads';

// process.threadCpuUsage() moves on by whole ticks of the kernel, up to 4 ms: this clock by nanoseconds.
const CLOCK_THREAD_CPUTIME_ID = 3;
const { symbols } = dlopen('libc.so.6', { clock_gettime: { args: ['i32', 'ptr'], returns: 'i32' } });
const time = new BigInt64Array(2);
const timeAt = ptr(time);
const cpuTime = (): number => {
  symbols.clock_gettime(CLOCK_THREAD_CPUTIME_ID, timeAt);
  return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
};

if (isMainThread) {
  // Milliseconds.
  let longest = 0;
  let since = cpuTime();
  const beat = (): void => {
    const now = cpuTime();
    longest = Math.max(longest, now - since);
    since = now;
    setImmediate(beat);
  };
  setImmediate(beat);
  process.on('message', (message) => {
    if (message === 'end') process.exit(0);
    process.send?.(longest);
    longest = 0;
  });
}
