// Fuzzes every route of the compiled server: bun .ci/endpoints/fuzz.ts [--seconds 15] [--seed N] [--clients 16]
// Valid requests, changed by what is known of their formats; odd methods, headers and paths; and what is no HTTP at all.
// Faults: a 5xx but 503, no answer, a line of an error in the server's log, a crash, memory beyond the bound, a route that was
// not reached. The long run before a release is --seconds 300.
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { randomOf } from '../fuzz/random.ts';
import { sendNonsense } from './nonsense.ts';
import { requestOf, show } from './requests.ts';
import { routesOfSource } from './routes.ts';
import { type Seed, seedsOf, witnessSeeds } from './seeds.ts';
import { startServer } from './server.ts';

/** Most memory that a server may take under all this, bytes. */
const MAX_RSS = 800 * 1024 * 1024;
const MAX_ANSWER_MS = 20_000;
/** What a server may say to a client who sends nonsense. */
const ALLOWED = new Set([
  200, 201, 204, 301, 302, 303, 304, 400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 422, 429, 431, 503,
]);

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '15' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    clients: { type: 'string', default: '16' },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
console.log(`figures: seed ${seed}, ${seconds} s`);

const faults: string[] = [];
const stack = await startServer(['serve', '--metrics', '127.0.0.1:0']);
const witness = await startServer(['serve', 'witness', '--name', 'witness.example/w', '--watch', await stack.vkey()]);
const documents = await stack.documents();
const known = routesOfSource();
const targets = {
  stack: {
    ...(await seedsOf(stack.url, stack.token)),
    ...Object.fromEntries(documents.map((path) => [path, [{ method: 'GET', path, shape: 'text' } satisfies Seed]])),
  },
  witness: await witnessSeeds(stack.url),
};
for (const part of ['stack', 'witness'] as const) {
  for (const route of known[part]) {
    // A file of the TUF repository that only its caching tells apart.
    if (!Object.hasOwn(targets[part], route) && route !== '/tuf/timestamp.json')
      faults.push(`${part}: no request is known for the route ${route}: add one to .ci/endpoints/seeds.ts`);
  }
}

const choices = (['stack', 'witness'] as const).flatMap((part) =>
  Object.entries(targets[part]).map(([route, seeds]) => ({ server: part === 'stack' ? stack : witness, route, seeds })),
);
const statuses = new Map<number, number>();
let iteration = 0;
let slowest = 0;
const until = performance.now() + seconds * 1000;
await Promise.all(
  Array.from({ length: Number(values.clients) }, async () => {
    while (performance.now() < until && faults.length < 10) await once(iteration++);
  }),
);

async function once(at: number): Promise<void> {
  const random = randomOf(seed, at);
  // In turn, so that the shortest run reaches all.
  const { server, route, seeds } = choices[at % choices.length] as (typeof choices)[number];
  if (random.oneIn(25)) return sendNonsense(server.url, random);
  const request = requestOf(seeds, random);
  const started = performance.now();
  try {
    const answer = await fetch(`${server.url}${request.path}`, {
      ...request.init,
      redirect: 'manual',
      signal: AbortSignal.timeout(MAX_ANSWER_MS),
    });
    await answer.arrayBuffer();
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    if (!ALLOWED.has(answer.status))
      faults.push(`${route}: ${answer.status} at iteration ${at} of seed ${seed}: ${show(request)}`);
  } catch (error) {
    // A body that breaks off, or a request that the client itself finds impossible, has no answer; one that waits in vain does.
    if (error instanceof DOMException && error.name === 'TimeoutError')
      faults.push(`${route}: no answer at iteration ${at} of seed ${seed}: ${show(request)}`);
  }
  slowest = Math.max(slowest, performance.now() - started);
}

// After all that it answers as ever, says that every route was reached, and ends in good order.
for (const server of [stack, witness]) {
  const healthy = await fetch(`${server.url}/healthz`).catch((error: unknown) => error);
  if (!(healthy instanceof Response) || healthy.status !== 200)
    faults.push(`the server does not answer any more: ${healthy}`);
}
const reached = await stack.routesReached();
const missed = [...known.stack, ...documents].filter((route) => !reached.has(route) && route !== '/tuf/timestamp.json');
if (missed.length > 0) faults.push(`routes that were not reached: ${missed.join(', ')}`);
for (const [name, server] of Object.entries({ stack, witness })) {
  const rss = peakMemory(server.pid);
  console.log(`figures: ${name}: ${Math.round(rss / 2 ** 20)} MiB at most`);
  if (rss > MAX_RSS) faults.push(`${name}: ${Math.round(rss / 2 ** 20)} MiB of memory`);
  const { code, errors } = await server.stop();
  if (code !== 0) faults.push(`${name} ended with ${code}`);
  for (const line of errors.slice(0, 5)) faults.push(`${name} logged: ${line.slice(0, 1500)}`);
}
const counted = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`);
console.log(
  `figures: ${iteration} requests, ${choices.length} routes, ${Math.round(slowest)} ms at most: ${counted.join(', ')}`,
);
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);

/** Bytes, as the kernel counted. */
function peakMemory(pid: number): number {
  if (!existsSync(`/proc/${pid}/status`)) return 0; // it is gone, which is told elsewhere
  const [, kibibytes = '0'] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}
