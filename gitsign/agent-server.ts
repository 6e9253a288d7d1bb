import type { Socket } from 'bun';
import { concat } from '../core/bytes/bytes.ts';
import { HallmarkError, InputError, StorageError } from '../core/errors.ts';
import { MAX_AGENT_CONNECTIONS } from '../core/limits.ts';
import type { AgentStack, AskToken, Identities } from './agent-identities.ts';
import { requireGitPayload } from './agent-payload.ts';
import { type PeerOf, type ProgramOf, peerOf, requireLocalPeer, requireSameUser } from './agent-peer.ts';
import {
  type AgentAnswer,
  type AgentRequest,
  type Message,
  messageReader,
  parseRequest,
  parseToken,
  refusalOf,
  type SignRequest,
  serializeAnswer,
} from './agent-protocol.ts';
import type { SignGitPayload } from './git-signer.ts';

export interface AgentOptions {
  /** The user whom it serves. */
  readonly uid: number;
  readonly identities: Identities;
  /** The stack as the agent reads it itself. AGENT_STACK_UNKNOWN if it is none of the user's, or reads differently. */
  readonly resolveStack: (request: Pick<SignRequest, 'stack' | 'digest' | 'services'>) => AgentStack;
  readonly sign: SignGitPayload;
  readonly programVersion: string;
  /** Serve programs that carry requests from other computers (ssh -R) too. */
  readonly allowForwarded: boolean;
  /** One line of its own log: what happened, to which stack, by which process. Never a key, a token or a payload. */
  readonly log: (event: string, fields: Record<string, string | number>) => void;
  /** Called once the answer to `stop` is on its way. */
  readonly onStop: () => void;
  /** For tests: who the peers are. */
  readonly peerOf?: PeerOf;
  readonly programOf?: ProgramOf;
  /** Milliseconds for a client to send its request, or to read the answer. */
  readonly requestTimeoutMs?: number;
  /** Milliseconds for a client to bring a token: the longest login, with a code on another device. */
  readonly loginTimeoutMs?: number;
}

/** A running agent without its socket: `listen` gives it one. */
export interface Agent {
  /** At a path, or at a socket that is open already (systemd). */
  listen(at: { unix: string } | { fd: number }): { stop(): void };
  /** Connections open now, and when the last one came or went, by the monotonic clock in milliseconds. */
  readonly activity: () => { connections: number; last: number };
}

const REQUEST_TIMEOUT_MS = 10_000;
const LOGIN_TIMEOUT_MS = 16 * 60_000;

/** One client. Who may write to which field: only the functions of `createAgent`. */
interface Connection {
  readonly pid: number | undefined;
  readonly read: (chunk: Uint8Array) => Message[];
  /** What the next message has to be. */
  expects: 'request' | 'token' | 'nothing';
  timer: ReturnType<typeof setTimeout> | undefined;
  /** Called with the token, or without one when the client is gone. */
  brought: ((jwt: string | undefined) => void) | undefined;
  /** What the socket did not take yet. */
  unsent: Uint8Array;
  /** Whether the answer is complete, so that the connection ends with it. */
  answered: boolean;
}

type ClientSocket = Socket<Connection | undefined>;

export function createAgent(options: AgentOptions): Agent {
  const { identities, log, requestTimeoutMs = REQUEST_TIMEOUT_MS, loginTimeoutMs = LOGIN_TIMEOUT_MS } = options;
  const open = new Set<ClientSocket>();
  let last = performance.now();

  function accept(socket: ClientSocket): void {
    last = performance.now();
    open.add(socket);
    const peer = (options.peerOf ?? peerOf)(fileDescriptor(socket));
    socket.data = {
      pid: peer?.pid,
      read: messageReader(),
      expects: 'request',
      timer: undefined,
      brought: undefined,
      unsent: new Uint8Array(),
      answered: false,
    };
    try {
      requireSameUser(peer, options.uid, 'the program that asks the agent');
      if (!options.allowForwarded) requireLocalPeer(peer, options.programOf);
      if (open.size > MAX_AGENT_CONNECTIONS) {
        throw new StorageError('AGENT_REFUSED', `${MAX_AGENT_CONNECTIONS} programs are asking this agent already`, {
          hint: 'try again',
        });
      }
      expire(socket, requestTimeoutMs, 'the request did not come in time');
    } catch (error) {
      refuse(socket, error);
    }
  }

  function receive(socket: ClientSocket, chunk: Uint8Array): void {
    const connection = socket.data;
    if (connection === undefined || connection.answered) return;
    try {
      // Copied: the runtime may use its buffer again.
      for (const message of connection.read(chunk.slice())) takeMessage(socket, connection, message);
    } catch (error) {
      refuse(socket, error);
    }
  }

  function takeMessage(socket: ClientSocket, connection: Connection, message: Message): void {
    const { expects } = connection;
    if (expects === 'nothing') throw new InputError('AGENT_MESSAGE_INVALID', 'message of an agent: one too many');
    connection.expects = 'nothing';
    clearTimeout(connection.timer);
    if (expects === 'token') connection.brought?.(parseToken(message).jwt);
    else void answer(socket, connection, parseRequest(message));
  }

  async function answer(socket: ClientSocket, connection: Connection, request: AgentRequest): Promise<void> {
    try {
      const result = await serve(socket, connection, request);
      if (request.type === 'sign') log('signed', { stack: stackText(request), pid: connection.pid ?? 0 });
      else log(request.type, { pid: connection.pid ?? 0 });
      finish(socket, result);
      if (request.type === 'stop') options.onStop();
    } catch (error) {
      refuse(socket, error);
    }
  }

  async function serve(socket: ClientSocket, connection: Connection, request: AgentRequest): Promise<AgentAnswer> {
    if (request.type === 'lock') identities.lock();
    if (request.type === 'unlock') identities.unlock();
    if (request.type !== 'sign') {
      const { programVersion } = options;
      return {
        type: 'status',
        pid: process.pid,
        programVersion,
        locked: identities.locked,
        identities: identities.list(),
      };
    }
    requireGitPayload(request.payload);
    const stack = options.resolveStack(request);
    const ask: AskToken = () => askToken(socket, connection);
    const signature = await identities.use(stack, request.source, ask, (signer) =>
      options.sign(request.payload, request.options, signer, stack.context),
    );
    return { type: 'signed', ...signature };
  }

  function askToken(socket: ClientSocket, connection: Connection): Promise<string | undefined> {
    if (!open.has(socket) || connection.answered) return Promise.resolve(undefined);
    log('login', { pid: connection.pid ?? 0 });
    return new Promise((resolve) => {
      connection.brought = (jwt) => {
        connection.brought = undefined;
        resolve(jwt);
      };
      connection.expects = 'token';
      expire(socket, loginTimeoutMs, 'nobody logged in in time');
      send(socket, serializeAnswer({ type: 'login' }));
    });
  }

  function refuse(socket: ClientSocket, error: unknown): void {
    const connection = socket.data;
    if (connection === undefined || connection.answered) return;
    const refusal = refusalOf(error);
    log('refused', {
      code: refusal.code,
      pid: connection.pid ?? 0,
      ...(!(error instanceof HallmarkError) && bug(error)),
    });
    finish(socket, refusal);
  }

  function finish(socket: ClientSocket, result: AgentAnswer): void {
    const connection = socket.data;
    if (connection === undefined || connection.answered) return;
    connection.answered = true;
    connection.expects = 'nothing';
    connection.brought?.(undefined);
    clearTimeout(connection.timer);
    // A client that does not read or does not close loses the connection, whatever is left of the answer.
    connection.timer = setTimeout(() => socket.terminate(), requestTimeoutMs);
    send(socket, serializeAnswer(result));
  }

  function send(socket: ClientSocket, bytes: Uint8Array): void {
    const connection = socket.data;
    if (connection === undefined || !open.has(socket)) return;
    connection.unsent = concat(connection.unsent, bytes);
    flush(socket);
  }

  function flush(socket: ClientSocket): void {
    const connection = socket.data;
    if (connection === undefined) return;
    if (connection.unsent.length > 0) {
      const written = socket.write(connection.unsent);
      // -1: the connection is gone, `close` follows.
      if (written > 0) connection.unsent = connection.unsent.subarray(written);
    }
    // Only this half: to close while something is unread would be a reset, in which the answer may be lost. The client closes.
    if (connection.answered && connection.unsent.length === 0) socket.shutdown();
  }

  function expire(socket: ClientSocket, ms: number, problem: string): void {
    const connection = socket.data;
    if (connection === undefined) return;
    clearTimeout(connection.timer);
    connection.timer = setTimeout(() => {
      refuse(socket, new StorageError('AGENT_REFUSED', problem, { hint: 'run the command again' }));
    }, ms);
  }

  function forget(socket: ClientSocket): void {
    last = performance.now();
    open.delete(socket);
    const connection = socket.data;
    if (connection === undefined) return;
    clearTimeout(connection.timer);
    connection.answered = true;
    connection.brought?.(undefined);
  }

  return {
    listen(at) {
      const socket = { open: accept, data: receive, drain: flush, close: forget, error: forget };
      // A socket that anybody may connect to for the moment until its mode is set would do, inside a private directory; but
      // there is no need for it.
      const umask = process.umask(0o177);
      try {
        const server = Bun.listen<Connection | undefined>({ ...at, socket, data: undefined } as never);
        return {
          stop() {
            server.stop(true);
          },
        };
      } finally {
        process.umask(umask);
      }
    },
    activity: () => ({ connections: open.size, last }),
  };
}

// Not in the runtime's type declarations.
const fileDescriptor = (socket: ClientSocket): number => (socket as unknown as { fd: number }).fd;

const stackText = ({ stack }: SignRequest): string => (stack.kind === 'trust' ? stack.name : stack.kind);

// What a bug says of itself, for the agent's own log alone. Its stack names functions, no values.
function bug(error: unknown): { problem: string } {
  return { problem: error instanceof Error ? (error.stack ?? error.message).slice(0, 2000) : 'unknown' };
}
