import { serializeHex } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { HallmarkError } from '../core/errors.ts';
import { MAX_WITNESSES } from '../core/limits.ts';
import { parseVkey } from '../core/merkle/vkey.ts';
import type { WitnessPolicy } from '../tlog/witnessed-log.ts';
import { objectOf } from './serve-limits.ts';

/** Milliseconds that may be configured, and what is taken where nothing is. */
const TIMES = {
  intervalMs: { min: 10, max: 60_000, byDefault: 1_000 },
  timeoutMs: { min: 100, max: 60_000, byDefault: 2_000 },
  answerMs: { min: 200, max: 120_000, byDefault: 10_000 },
} as const;

export const WITNESS_KEYS: readonly string[] = ['witnesses', 'threshold', 'fail', ...Object.keys(TIMES)];

/** `witness` of the configuration file: whom the log asks before it publishes. Adds a line to `problems` for each error. */
export function parseWitnessing(json: Json, path: string, problems: string[]): WitnessPolicy {
  const members = objectOf(json, path, WITNESS_KEYS, problems);
  const list = members['witnesses'];
  const fits = Array.isArray(list) && list.length >= 1 && list.length <= MAX_WITNESSES;
  if (!fits) problems.push(`${path}.witnesses: expected a list of 1 to ${MAX_WITNESSES} witnesses`);
  const witnesses = fits ? list.flatMap((entry, i) => parseWitness(entry, `${path}.witnesses[${i}]`, problems)) : [];
  // A key that is there twice would count as two witnesses.
  const keys = witnesses.map(({ vkey }) => serializeHex(vkey.publicKey.spki));
  if (new Set(keys).size < keys.length) problems.push(`${path}.witnesses: two witnesses have the same key`);

  const threshold = members['threshold'];
  const count = fits ? list.length : MAX_WITNESSES;
  if (!Number.isSafeInteger(threshold) || Number(threshold) < 1 || Number(threshold) > count) {
    problems.push(`${path}.threshold: expected how many of the witnesses have to cosign, 1 to ${count}`);
  }
  const fail = members['fail'];
  if (fail !== 'open' && fail !== 'closed') {
    problems.push(`${path}.fail: expected "closed" (publish nothing without them) or "open" (publish all the same)`);
  }
  const time = (name: keyof typeof TIMES): number => {
    const { min, max, byDefault } = TIMES[name];
    const value = members[name] ?? byDefault;
    if (Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max) return Number(value);
    problems.push(`${path}.${name}: expected milliseconds from ${min} to ${max}`);
    return byDefault;
  };
  const [intervalMs, timeoutMs, answerMs] = [time('intervalMs'), time('timeoutMs'), time('answerMs')];
  if (answerMs <= timeoutMs) problems.push(`${path}.answerMs: expected more than timeoutMs, which is ${timeoutMs}`);
  return {
    witnesses,
    threshold: Number(threshold),
    fail: fail === 'open' ? 'open' : 'closed',
    intervalMs,
    timeoutMs,
    answerMs,
  };
}

function parseWitness(json: Json, path: string, problems: string[]): WitnessPolicy['witnesses'][number][] {
  const { url, vkey } = objectOf(json, path, ['url', 'vkey'], problems);
  const parsed = typeof url === 'string' ? URL.parse(url) : null;
  const isPlain = parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.search === '' && parsed.hash === '';
  if (!isPlain || parsed.username !== '' || parsed.password !== '') {
    problems.push(`${path}.url: expected an http(s) URL, as it stands before /add-checkpoint`);
  }
  try {
    const key = parseVkey(typeof vkey === 'string' ? vkey : '');
    if (key.use === 'witness') return [{ url: String(url), vkey: key }];
    problems.push(`${path}.vkey: expected the key of a witness; this is one of a log`);
  } catch (error) {
    if (!(error instanceof HallmarkError)) throw error;
    problems.push(`${path}.vkey: ${error.message}`);
  }
  return [];
}
