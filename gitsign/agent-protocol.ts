import { concat, serializeUtf8 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { type Json, parseJson } from '../core/bytes/json.ts';
import { ERRORS, type ErrorCode, HallmarkError, InputError } from '../core/errors.ts';
import { MAX_AGENT_HEADER_BYTES, MAX_AGENT_IDENTITIES, MAX_AGENT_PAYLOAD_BYTES, MAX_LOG_SIZE } from '../core/limits.ts';
import type { GitSignature, GitSigningOptions } from './git-signer.ts';

/*
 * One connection carries one request. Both directions send messages:
 *   uint32 length of the header | uint32 length of the body | header, JSON | body, bytes      (big-endian)
 *
 *   client                      agent
 *   sign + payload          ->
 *                           <-  login                  nobody is logged in: this client is to do it
 *   token                   ->
 *                           <-  signed + CMS | refused
 *   status|lock|unlock|stop ->
 *                           <-  status | refused
 * No message carries a key, and none is signed as it comes: the payload is parsed as a git object.
 */

/** Changes with every incompatible change of a message; the two ends are mostly one program. */
const PROTOCOL_VERSION = 2;

/** Which of the user's own stacks is to sign: one of the trust store, or what the global git configuration says. */
export type StackName = { readonly kind: 'trust'; readonly name: string } | { readonly kind: 'global' };

/**
 * Who vouches for the signer: a login at the stack's issuer, the holder of a token that the client already has, or a
 * service of the machine (a CI system) by its name.
 */
export type IdentitySource =
  | { readonly kind: 'login' }
  | { readonly kind: 'token'; readonly issuer: string; readonly tokenSubject: string }
  | { readonly kind: 'provider'; readonly name: string };

/** Which transparency log of a stack signs for the entry, and whether a timestamp authority is asked too. */
export interface ServiceChoice {
  readonly rekorVersion: 1 | 2;
  readonly timestamp: boolean;
}

export interface SignRequest {
  readonly type: 'sign';
  readonly stack: StackName;
  /** Of the stack as the client sees it (`stackDigest`), lower-case hexadecimal: both ends have to mean the same. */
  readonly digest: string;
  readonly source: IdentitySource;
  /** Which of the stack's own services to use. */
  readonly services: ServiceChoice;
  readonly options: GitSigningOptions;
  readonly payload: Uint8Array;
}

export type AgentRequest = SignRequest | { readonly type: 'status' | 'lock' | 'unlock' | 'stop' };

/** The only further message of a client: the identity token that it was asked for. */
export interface TokenMessage {
  readonly type: 'token';
  readonly jwt: string;
}

/** What the agent says of one identity that it holds a certificate for. */
export interface HeldIdentity {
  readonly stack: string;
  readonly certificateAuthority: string;
  readonly identity: string;
  readonly issuer: string;
  readonly notAfter: Date;
  readonly signatures: number;
}

export interface AgentStatus {
  readonly type: 'status';
  readonly pid: number;
  readonly programVersion: string;
  readonly locked: boolean;
  readonly identities: readonly HeldIdentity[];
}

/** An error as it crosses the socket. */
export interface Refusal {
  readonly type: 'refused';
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
}

export type AgentAnswer =
  | { readonly type: 'login' }
  | ({ readonly type: 'signed' } & GitSignature)
  | AgentStatus
  | Refusal;

/** A framed message, its header not yet read. */
export interface Message {
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/**
 * Puts messages together from what a socket delivers, in whatever pieces. Throws AGENT_MESSAGE_INVALID as soon as a length
 * is known to be over its bound: nothing is kept for it.
 */
export function messageReader(): (chunk: Uint8Array) => Message[] {
  let chunks: Uint8Array[] = [];
  let length = 0;
  let wanted = PREFIX_BYTES;
  return (chunk) => {
    const messages: Message[] = [];
    chunks.push(chunk);
    length += chunk.length;
    while (length >= wanted) {
      const bytes = concat(...chunks);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const headerBytes = bounded(view.getUint32(0), MAX_AGENT_HEADER_BYTES, 'header');
      const end = PREFIX_BYTES + headerBytes + bounded(view.getUint32(4), MAX_AGENT_PAYLOAD_BYTES, 'body');
      if (length < end) {
        [chunks, wanted] = [[bytes], end];
        break;
      }
      const header = bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + headerBytes);
      messages.push({ header, body: bytes.subarray(PREFIX_BYTES + headerBytes, end) });
      [chunks, length, wanted] = [[bytes.subarray(end)], length - end, PREFIX_BYTES];
    }
    return messages;
  };
}

const PREFIX_BYTES = 8;

function bounded(length: number, max: number, what: string): number {
  if (length <= max) return length;
  throw new InputError(CODE, `message of an agent: the ${what} has more than ${max} bytes`);
}

function frame(header: Record<string, Json>, body: Uint8Array = new Uint8Array()): Uint8Array {
  const text = serializeUtf8(JSON.stringify({ version: PROTOCOL_VERSION, ...header }));
  const prefix = new DataView(new ArrayBuffer(PREFIX_BYTES));
  prefix.setUint32(0, bounded(text.length, MAX_AGENT_HEADER_BYTES, 'header'));
  prefix.setUint32(4, bounded(body.length, MAX_AGENT_PAYLOAD_BYTES, 'body'));
  return concat(new Uint8Array(prefix.buffer), text, body);
}

export function serializeRequest(request: AgentRequest): Uint8Array {
  if (request.type !== 'sign') return frame({ type: request.type });
  const { type, stack, digest, source, services, options, payload } = request;
  return frame(
    { type, stack: { ...stack }, digest, source: { ...source }, services: { ...services }, options: { ...options } },
    payload,
  );
}

export const serializeToken = (jwt: string): Uint8Array => frame({ type: 'token', jwt });

export function serializeAnswer(answer: AgentAnswer): Uint8Array {
  switch (answer.type) {
    case 'login':
      return frame({ type: 'login' });
    case 'signed': {
      const { type, cms, certificate, identity, issuer, logEntries } = answer;
      const logged = logEntries.map(({ url, logIndex }) => ({ url, logIndex: String(logIndex) }));
      return frame({ type, cmsBytes: cms.length, identity, issuer, logEntries: logged }, concat(cms, certificate));
    }
    case 'status': {
      const { type, pid, programVersion, locked, identities } = answer;
      const held = identities.map(({ notAfter, ...rest }) => ({ ...rest, notAfter: notAfter.toISOString() }));
      return frame({ type, pid, programVersion, locked, identities: held });
    }
    case 'refused': {
      const { type, code, message, hint } = answer;
      return frame({ type, code, message, ...(hint !== undefined && { hint }) });
    }
  }
}

/** The first message of a client. AGENT_MESSAGE_INVALID. */
export function parseRequest(message: Message): AgentRequest {
  return parse(message, (fields, type) => {
    switch (type) {
      case 'status':
      case 'lock':
      case 'unlock':
      case 'stop':
        return { type };
      case 'sign':
        return {
          type,
          stack: parseStack(fields.object('stack')),
          digest: parseDigest(fields),
          source: parseSource(fields.object('source')),
          services: parseServices(fields.object('services')),
          options: parseOptions(fields.object('options')),
          payload: message.body,
        };
      default:
        return undefined;
    }
  });
}

/** The token that a client was asked for. AGENT_MESSAGE_INVALID. */
export function parseToken(message: Message): TokenMessage {
  return parse(message, (fields, type) => (type === 'token' ? { type, jwt: fields.string('jwt') } : undefined));
}

/** What the agent answers. AGENT_MESSAGE_INVALID. */
export function parseAnswer(message: Message): AgentAnswer {
  return parse(message, (fields, type) => {
    switch (type) {
      case 'login':
        return { type };
      case 'signed':
        return { type, ...parseSignature(fields, message.body) };
      case 'status':
        return {
          type,
          pid: integer(fields, 'pid', 1, 2 ** 31),
          programVersion: fields.string('programVersion'),
          locked: fields.optionalBoolean('locked') ?? false,
          identities: fields.objects('identities', MAX_AGENT_IDENTITIES).map(parseIdentity),
        };
      case 'refused': {
        const code = fields.string('code');
        if (!Object.hasOwn(ERRORS, code)) throw fields.fail('code', 'unknown');
        return {
          type,
          code: code as ErrorCode,
          message: fields.string('message'),
          hint: fields.optionalString('hint'),
        };
      }
      default:
        return undefined;
    }
  });
}

/** An error as a message: what it says, never its cause or stack. Anything without a code is a bug and says only that. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof HallmarkError) {
    const { code, message, hint } = error;
    return { type: 'refused', code, message: message.slice(0, MAX_TEXT), hint: hint?.slice(0, MAX_TEXT) };
  }
  return {
    type: 'refused',
    code: 'AGENT_REFUSED',
    message: 'the agent failed: internal error',
    hint: 'see its own output',
  };
}

/** Characters of an error's message or hint that cross the socket. */
const MAX_TEXT = 4096;
/** Members and elements of a header: MAX_AGENT_IDENTITIES of six, and some. */
const MAX_MEMBERS = 1000;
const CODE = 'AGENT_MESSAGE_INVALID';

function parse<T>({ header, body }: Message, read: (fields: Fields, type: string) => T | undefined): T {
  try {
    const fields = new Fields(parseJson(header, MAX_MEMBERS), '', CODE);
    const version = integer(fields, 'version', 0, 2 ** 31);
    if (version !== PROTOCOL_VERSION) throw fields.fail('version', `${version}, not ${PROTOCOL_VERSION}`);
    const type = fields.string('type');
    const value = read(fields, type);
    if (value === undefined) throw fields.fail('type', 'not expected here');
    fields.end();
    if (body.length > 0 && type !== 'sign' && type !== 'signed') throw fields.fail('type', 'takes no body');
    return value;
  } catch (cause) {
    if (!(cause instanceof InputError)) throw cause;
    throw new InputError(CODE, `message of an agent: ${cause.message}`, {
      cause,
      hint: 'another version of the program may be running: hallmark agent stop',
    });
  }
}

function integer(fields: Fields, key: string, min: number, max: number): number {
  const value = fields.optionalInteger(key, min, max);
  if (value === undefined) throw fields.fail(key, 'missing');
  return value;
}

function parseStack(fields: Fields): StackName {
  const kind = fields.string('kind');
  const stack: StackName | undefined =
    kind === 'global' ? { kind } : kind === 'trust' ? { kind, name: fields.string('name') } : undefined;
  if (stack === undefined) throw fields.fail('kind', 'unknown');
  fields.end();
  return stack;
}

function parseDigest(fields: Fields): string {
  const digest = fields.string('digest');
  if (!/^[0-9a-f]{64}$/.test(digest)) throw fields.fail('digest', 'expected SHA-256 in hexadecimal');
  return digest;
}

function parseSource(fields: Fields): IdentitySource {
  const kind = fields.string('kind');
  const source: IdentitySource | undefined =
    kind === 'login'
      ? { kind }
      : kind === 'token'
        ? { kind, issuer: fields.string('issuer'), tokenSubject: fields.string('tokenSubject') }
        : kind === 'provider'
          ? { kind, name: fields.string('name') }
          : undefined;
  if (source === undefined) throw fields.fail('kind', 'unknown');
  fields.end();
  return source;
}

function parseServices(fields: Fields): ServiceChoice {
  const services: ServiceChoice = {
    rekorVersion: integer(fields, 'rekorVersion', 1, 2) === 1 ? 1 : 2,
    timestamp: fields.optionalBoolean('timestamp') ?? false,
  };
  fields.end();
  return services;
}

function parseOptions(fields: Fields): GitSigningOptions {
  const rekorMode = fields.string('rekorMode');
  if (rekorMode !== 'offline' && rekorMode !== 'online') throw fields.fail('rekorMode', 'offline or online');
  const matchCommitter = fields.optionalBoolean('matchCommitter');
  if (matchCommitter === undefined) throw fields.fail('matchCommitter', 'missing');
  fields.end();
  return { rekorMode, matchCommitter };
}

function parseSignature(fields: Fields, body: Uint8Array): GitSignature {
  const cmsBytes = integer(fields, 'cmsBytes', 1, body.length);
  return {
    cms: body.subarray(0, cmsBytes),
    certificate: body.subarray(cmsBytes),
    identity: fields.string('identity'),
    issuer: fields.string('issuer'),
    logEntries: fields.objects('logEntries', 32).map((entry) => {
      const parsed = { url: entry.string('url'), logIndex: entry.bigint('logIndex', MAX_LOG_SIZE) };
      entry.end();
      return parsed;
    }),
  };
}

function parseIdentity(fields: Fields): HeldIdentity {
  const notAfter = fields.optionalTime('notAfter');
  if (notAfter === undefined) throw fields.fail('notAfter', 'missing');
  const identity = {
    stack: fields.string('stack'),
    certificateAuthority: fields.string('certificateAuthority'),
    identity: fields.string('identity'),
    issuer: fields.string('issuer'),
    notAfter,
    signatures: integer(fields, 'signatures', 0, 2 ** 31),
  };
  fields.end();
  return identity;
}
