// Requests of the fuzzer, made of valid ones.
import { mutate } from '../fuzz/mutate.ts';
import type { Random } from '../fuzz/random.ts';
import type { Seed } from './seeds.ts';

export interface Sent {
  readonly path: string;
  readonly init: RequestInit;
}

/** One of the seeds: as it is, or changed in body, path, headers, method. */
export function requestOf(seeds: readonly Seed[], random: Random): Sent {
  const { method, path, type, body, shape } = random.pick(seeds);
  const bodies = seeds.flatMap((other) => (other.shape === shape && other.body ? [other.body] : []));
  const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
  const asIs = random.oneIn(6);
  if (!asIs && random.oneIn(8)) Object.assign(headers, random.pick(ODD_HEADERS));
  const sentMethod =
    !asIs && random.oneIn(20) ? random.pick(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH']) : method;
  const keepsPath = asIs || !random.oneIn(path.includes('?') ? 1 : method === 'GET' ? 3 : 10);
  const sentPath = keepsPath ? path : oddPath(path, random);
  const bytes = body && (asIs ? body : mutate(shape, bodies, random));
  const init: RequestInit = { method: sentMethod, headers };
  if (bytes && !['GET', 'HEAD'].includes(sentMethod))
    init.body = random.oneIn(10) ? chunked(bytes, random) : Buffer.from(bytes);
  return { path: sentPath, init };
}

const ODD_HEADERS: readonly Record<string, string>[] = [
  { 'content-type': 'text/plain' },
  { 'content-type': 'application/json; charset=utf-16' },
  { 'content-type': `application/${'x'.repeat(4000)}` },
  { 'content-type': ';;;,,==' },
  { authorization: 'Bearer x.y.z' },
  { authorization: `Bearer ${'.'.repeat(5000)}` },
  { authorization: 'Basic ****' },
  { accept: 'application/xml' },
  { origin: 'null', 'access-control-request-method': 'POST' },
  { host: 'a@b:c' },
  { 'x-forwarded-for': '1.2.3.4, ::1, not an address' },
  { 'content-encoding': 'gzip' },
  { expect: '100-continue' },
  { range: 'bytes=0-1,5-3' },
  { 'if-none-match': '*' },
];

/** A path that a URL can hold: what a parameter says is something else, or a part of the path. */
function oddPath(path: string, random: Random): string {
  const [before = '', query = ''] = path.split('?', 2);
  if (query !== '' && !random.oneIn(4)) return `${before}?${escapedChange(query, random)}`;
  const changed = escapedChange(before, random);
  return `${changed.startsWith('/') ? '' : '/'}${changed}${query === '' ? '' : '?'}${query}`;
}

function escapedChange(text: string, random: Random): string {
  const changed = new TextDecoder('latin1').decode(mutate('text', [Buffer.from(text)], random));
  const escaped = (char: string): string => `%${char.charCodeAt(0).toString(16).padStart(2, '0').slice(-2)}`;
  return changed.replace(/[^!-~]|[#\\]/g, escaped).slice(0, 8000);
}

function chunked(bytes: Uint8Array, random: Random): ReadableStream<Uint8Array> {
  const size = 1 + random.below(bytes.length + 1);
  const breaksOff = random.oneIn(4);
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      if (breaksOff && at > 0) return controller.error(new Error('broken off'));
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}

/** For who has to repeat it. */
export const show = ({ path, init }: Sent): string =>
  `${init.method} ${path.slice(0, 300)} ${JSON.stringify(init.headers)} ${init.body instanceof Uint8Array ? Buffer.from(init.body).toString().slice(0, 1500) : ''}`;
