import type { Json } from '../bytes/json.ts';
import { InputError } from '../errors.ts';

/** Who sent a request, as the listener saw it: never taken from a header. */
export interface Peer {
  readonly address: string;
  readonly loopback: boolean;
  /** Who is limited in what they do; undefined: without limit. */
  readonly client?: string | undefined;
  /** Told by a front end which of its routes answers, as its table writes it: what metrics are called by. */
  readonly matched?: (route: string) => void;
}

/** A front end: undefined means that the path is not one of its own. */
export type Handle = (request: Request, url: URL, peer: Peer) => Promise<Response> | Response | undefined;

/** The body, or undefined if it is larger than `max` bytes. INPUT_UNREADABLE if the client breaks off. */
export async function readBody(request: Request, max: number): Promise<Uint8Array | undefined> {
  try {
    return await readWhole(request, max);
  } catch (cause) {
    throw new InputError('INPUT_UNREADABLE', 'the request ended early', { cause });
  }
}

async function readWhole(request: Request, max: number): Promise<Uint8Array | undefined> {
  const announced = request.headers.get('content-length');
  if (announced !== null) {
    if (Number(announced) > max) return undefined;
    const body = new Uint8Array(await request.arrayBuffer());
    return body.length > max ? undefined : body;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > max) return undefined;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks, length));
}

/** The media type of the body in lower case and without parameters, '' if none is named (RFC 9110 §8.3). */
export function mediaType(request: Request): string {
  const [type = ''] = (request.headers.get('content-type') ?? '').split(';', 1);
  return type.trim().toLowerCase();
}

export function jsonResponse(status: number, body: Json, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } });
}

/** 405 that names what the path answers (RFC 9110 §15.5.6). */
export function methodNotAllowed(allow: string): Response {
  return jsonResponse(405, { code: 12, message: 'Method Not Allowed', details: [] }, { allow });
}
