import type { Json } from '../bytes/json.ts';
import { InputError, StorageError } from '../errors.ts';
import { LARGE_ANSWER_BYTES, LARGE_BODY_BYTES } from '../limits.ts';
import type { Reservation } from './admission.ts';

/** Who sent a request, as the listener saw it: never taken from a header. */
export interface Peer {
  readonly address: string;
  readonly loopback: boolean;
  /** Who is limited in what they do; undefined: without limit. */
  readonly client?: string | undefined;
  /** Told by a front end which of its routes answers, as its table writes it: what metrics are called by. */
  readonly matched?: (route: string) => void;
  /** Reserves memory for a large answer until its client has read it; undefined if there is no room. */
  readonly reserveAnswer?: (bytes: number) => Reservation | undefined;
}

/** Told how many bytes of a request's body have come; false breaks the reading off. */
const arrivals = new WeakMap<Request, (bytes: number) => boolean>();

/** Has `readBody` tell `arrived` of the bytes of this request. */
export function watchBody(request: Request, arrived: (bytes: number) => boolean): void {
  arrivals.set(request, arrived);
}

/** A front end: undefined means that the path is not one of its own. */
export type Handle = (request: Request, url: URL, peer: Peer) => Promise<Response> | Response | undefined;

/** The body, or undefined if it is larger than `max` bytes. INPUT_UNREADABLE if the client breaks off, OVERLOADED if there is no room. */
export async function readBody(request: Request, max: number): Promise<Uint8Array | undefined> {
  try {
    return await readWhole(request, max);
  } catch (cause) {
    if (cause instanceof StorageError) throw cause;
    throw new InputError('INPUT_UNREADABLE', 'the request ended early', { cause });
  }
}

async function readWhole(request: Request, max: number): Promise<Uint8Array | undefined> {
  const announced = request.headers.get('content-length');
  if (announced !== null) {
    if (Number(announced) > max) return undefined;
  }
  // At once, which is faster: this much is reserved for every body.
  if (announced !== null && Number(announced) <= LARGE_BODY_BYTES) {
    const body = new Uint8Array(await request.arrayBuffer());
    return body.length > max ? undefined : body;
  }
  const arrived = arrivals.get(request);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > max) return undefined;
    if (arrived?.(length) === false) {
      throw new StorageError('OVERLOADED', 'too many requests at the moment', { hint: 'try again in a second' });
    }
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks, length));
}

/** The media type of the body in lower case and without parameters, '' if none is named (RFC 9110 §8.3). */
export function mediaType(request: Request): string {
  const [type = ''] = (request.headers.get('content-type') ?? '').split(';', 1);
  return type.trim().toLowerCase();
}

/** A large one says its length, by which it counts as memory. */
export function jsonResponse(status: number, body: Json, headers: Readonly<Record<string, string>> = {}): Response {
  const text = JSON.stringify(body);
  const isLarge = text.length >= LARGE_ANSWER_BYTES;
  return new Response(text, {
    status,
    headers: {
      'content-type': 'application/json',
      ...(isLarge && { 'content-length': `${Buffer.byteLength(text)}` }),
      ...headers,
    },
  });
}

/** 405 that names what the path answers (RFC 9110 §15.5.6). */
export function methodNotAllowed(allow: string): Response {
  return jsonResponse(405, { code: 12, message: 'Method Not Allowed', details: [] }, { allow });
}
