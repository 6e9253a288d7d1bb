// Fuzzes one parser until its time is up or a fault is found, and prints one line of JSON:
//   bun .ci/fuzz/fuzz-one.ts NAME SEED SECONDS PROGRESS-FILE    as fuzz.ts runs it
//   bun .ci/fuzz/fuzz-one.ts NAME SEED =ITERATION               one iteration again
//   bun .ci/fuzz/fuzz-one.ts NAME @FILE                         one input again
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HallmarkError } from '../../core/errors.ts';
import { mutate } from './mutate.ts';
import { PARSERS, type Parser } from './parsers.ts';
import { randomOf } from './random.ts';

export interface FuzzReport {
  readonly parser: string;
  readonly seed: number;
  readonly iterations: number;
  readonly accepted: number;
  /** The longest that one input took, ms of processor time. */
  readonly slowestMs: number;
  readonly fault?: string;
}

/** Processor time of one input, whatever it is: the largest are half a megabyte. */
const MAX_MS = 500;
/** Inputs made between two collections of garbage, bytes: a loop that never waits leaves it lying otherwise. */
const COLLECT_AFTER = 8 * 1024 * 1024;

const [name = '', seedText = '', last = '', progressFile] = process.argv.slice(2);
const parser = PARSERS[name];
if (parser === undefined) throw new Error(`no parser ${name}: ${Object.keys(PARSERS).join(', ')}`);

if (seedText.startsWith('@')) {
  const outcome = run(parser, readFileSync(seedText.slice(1)));
  console.log(outcome.fault ?? (outcome.accepted ? 'accepted' : 'refused'));
} else {
  console.log(JSON.stringify(fuzz(parser, Number(seedText))));
}

function fuzz({ shape, seeds: makeSeeds }: Parser, seed: number): FuzzReport {
  if (parser === undefined) throw new Error('internal: no parser');
  const seeds = makeSeeds();
  if (seeds.length === 0) throw new Error(`no seeds for ${name}: the test data is missing`);
  for (const input of seeds) {
    const { fault } = run(parser, input);
    if (fault !== undefined) return failed(seed, -1, input, fault);
  }
  const progress = progressFile === undefined ? new Uint32Array(1) : new Uint32Array(Bun.mmap(progressFile).buffer);
  const only = last.startsWith('=') ? Number(last.slice(1)) : undefined;
  const end = performance.now() + Number(last) * 1000;
  let [iteration, accepted, slowestMs, made] = [0, 0, 0, 0];
  for (; only === undefined ? performance.now() < end : iteration < 1; iteration++) {
    progress[0] = iteration;
    const random = randomOf(seed, only ?? iteration);
    const input = mutate(shape, seeds, random);
    made += input.length;
    if (made > COLLECT_AFTER) {
      Bun.gc(true);
      made = 0;
    }
    const outcome = run(parser, input);
    if (outcome.fault !== undefined) return failed(seed, iteration, input, outcome.fault);
    if (outcome.accepted) accepted++;
    slowestMs = Math.max(slowestMs, outcome.ms);
  }
  return { parser: name, seed, iterations: iteration, accepted, slowestMs: Math.round(slowestMs) };
}

interface Outcome {
  readonly accepted: boolean;
  readonly ms: number;
  readonly fault?: string;
}

function run(of: Parser, input: Uint8Array): Outcome {
  const first = runOnce(of, input);
  // Collecting garbage or compiling counts too, so what was slow is asked again.
  if (first.ms <= MAX_MS || first.fault !== undefined) return first;
  const second = runOnce(of, input);
  return second.ms <= MAX_MS
    ? second
    : { ...second, fault: `took ${Math.round(second.ms)} ms for ${input.length} bytes` };
}

function runOnce(of: Parser, input: Uint8Array): Outcome {
  const started = process.cpuUsage();
  const ms = (): number => {
    const { user, system } = process.cpuUsage(started);
    return (user + system) / 1000;
  };
  try {
    of.parse(input);
    return { accepted: true, ms: ms() };
  } catch (error) {
    if (error instanceof HallmarkError) return { accepted: false, ms: ms() };
    return {
      accepted: false,
      ms: ms(),
      fault: error instanceof Error ? (error.stack ?? String(error)) : String(error),
    };
  }
}

function failed(seed: number, iteration: number, input: Uint8Array, problem: string): FuzzReport {
  const file = join(tmpdir(), `hallmark-fuzz-${name}-${Bun.hash(input).toString(16)}`);
  writeFileSync(file, input);
  const fault = `${problem}\nat iteration ${iteration} of seed ${seed}; again: bun .ci/fuzz/fuzz-one.ts ${name} @${file}`;
  return { parser: name, seed, iterations: iteration, accepted: 0, slowestMs: 0, fault };
}
