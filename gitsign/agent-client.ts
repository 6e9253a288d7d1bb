import type { Socket } from 'bun';
import { type ErrorCode, type ErrorDetails, HallmarkError, InputError, StorageError } from '../core/errors.ts';
import { requireOwnSocket, requirePrivateDirectory, socketPath } from './agent-directory.ts';
import { peerOf, requireSameUser } from './agent-peer.ts';
import {
  type AgentAnswer,
  type AgentRequest,
  type AgentStatus,
  messageReader,
  parseAnswer,
  type SignRequest,
  serializeRequest,
  serializeToken,
} from './agent-protocol.ts';
import type { GitSignature } from './git-signer.ts';

/** Where the user's agent is, and how one gets there. */
export interface AgentAddress {
  readonly directory: string;
  /** The user; nobody else's agent is talked to. */
  readonly uid: number;
  /**
   * Starts an agent in the background, for who finds none, and resolves with the exit code of one that ends; undefined: do
   * without.
   */
  readonly start?: (() => Promise<number>) | undefined;
}

/** How long an agent may take to begin to listen, ms. It takes 50 to 100 on a quiet machine. */
const START_TIMEOUT_MS = 5_000;
const START_POLL_MS = 5;
/** How long an answer may take, ms: another client's login (2 minutes), then the services. */
const ANSWER_TIMEOUT_MS = 180_000;
/** Logins for one signature. */
const MAX_LOGINS = 2;

/** What the agent said is wrong, under the code that it has there. */
class RelayedError extends HallmarkError {
  constructor(code: ErrorCode, message: string, details: ErrorDetails) {
    super(code, message, details);
  }
}

/**
 * Has the agent sign. `token` logs in, or fetches what is there, if the agent asks for it. Undefined if there is no agent,
 * or none that knows this stack: sign without it. An agent that dies meanwhile is replaced once. Its own errors come with
 * their codes; AGENT_UNSAFE if the directory or the process is not this user's own, AGENT_UNREACHABLE if none starts or answers.
 */
export async function signWithAgent(
  address: AgentAddress,
  request: SignRequest,
  token: () => Promise<string>,
): Promise<GitSignature | undefined> {
  for (let attempt = 1; attempt <= 2; attempt++) {
    const answer = await exchange(address, request, token);
    if (answer === 'none') return undefined;
    if (answer === 'gone') continue;
    if (answer.type === 'signed') return answer;
    if (answer.type !== 'refused') throw unexpected();
    if (answer.code === 'AGENT_STACK_UNKNOWN') return undefined;
    throw relayed(answer);
  }
  return undefined;
}

/** Asks a running agent about itself, or tells it something. Undefined if none is running. */
export async function askAgent(
  address: AgentAddress,
  request: Exclude<AgentRequest, SignRequest>,
): Promise<AgentStatus | undefined> {
  const answer = await exchange({ ...address, start: undefined }, request, () => Promise.reject(unexpected()));
  if (answer === 'none' || answer === 'gone') return undefined;
  if (answer.type === 'refused') throw relayed(answer);
  if (answer.type !== 'status') throw unexpected();
  return answer;
}

const relayed = ({
  code,
  message,
  hint,
}: {
  code: ErrorCode;
  message: string;
  hint: string | undefined;
}): RelayedError => new RelayedError(code, message, hint === undefined ? {} : { hint });

const unexpected = (): InputError =>
  new InputError('AGENT_MESSAGE_INVALID', 'the agent answers something else than what it was asked', {
    hint: 'another version of the program may be running: hallmark agent stop',
  });

// The last answer, or why there is none: no agent, or one that closed the connection before it answered.
async function exchange(
  address: AgentAddress,
  request: AgentRequest,
  token: () => Promise<string>,
): Promise<AgentAnswer | 'none' | 'gone'> {
  const connection = await connect(address);
  if (connection === undefined) return 'none';
  try {
    connection.send(serializeRequest(request));
    // A second time where the services say that the certificate ended already, whatever the clock here says.
    for (let logins = 0; logins <= MAX_LOGINS; logins++) {
      const answer = await connection.answer();
      if (answer?.type !== 'login') return answer ?? 'gone';
      connection.send(serializeToken(await token()));
    }
    throw unexpected();
  } finally {
    connection.close();
  }
}

interface AgentConnection {
  send(bytes: Uint8Array): void;
  /** The next message; undefined if the agent closed the connection. */
  answer(): Promise<AgentAnswer | undefined>;
  close(): void;
}

async function connect({ directory, uid, start }: AgentAddress): Promise<AgentConnection | undefined> {
  const found = await tryConnect(directory, uid);
  if (found !== undefined || start === undefined) return found;
  let failed = false;
  // One that ends well has found another that was faster.
  start().then(
    (code) => {
      failed = code !== 0;
    },
    () => {
      failed = true;
    },
  );
  for (const end = performance.now() + START_TIMEOUT_MS; performance.now() < end && !failed; ) {
    await Bun.sleep(START_POLL_MS);
    const started = await tryConnect(directory, uid);
    if (started !== undefined) return started;
  }
  throw new StorageError('AGENT_UNREACHABLE', 'no agent is running, and none could be started', {
    hint: 'see why: hallmark agent',
  });
}

async function tryConnect(directory: string, uid: number): Promise<AgentConnection | undefined> {
  const path = socketPath(directory);
  if (!requirePrivateDirectory(directory, uid) || !requireOwnSocket(path, uid)) return undefined;

  const read = messageReader();
  const answers: AgentAnswer[] = [];
  let ended = false;
  let failure: unknown;
  let unsent: Uint8Array = new Uint8Array();
  let wake = (): void => {};
  const end = (): void => {
    ended = true;
    wake();
  };
  const flush = (socket: Socket): void => {
    const written = unsent.length > 0 ? socket.write(unsent) : 0;
    if (written > 0) unsent = unsent.subarray(written);
  };
  const socket = await Bun.connect({
    unix: path,
    socket: {
      data(_, chunk) {
        try {
          // Copied: the runtime may use its buffer again.
          answers.push(...read(chunk.slice()).map(parseAnswer));
        } catch (error) {
          failure = error;
        }
        wake();
      },
      drain: flush,
      close: end,
      end,
      error: end,
      connectError: () => {},
    },
  }).catch(() => undefined);
  if (socket === undefined) return undefined;
  try {
    // The one who listens, should somebody have put another socket in its place meanwhile.
    requireSameUser(peerOf((socket as unknown as { fd: number }).fd), uid, `the agent at ${path}`);
  } catch (error) {
    socket.terminate();
    throw error;
  }
  return {
    send(bytes) {
      unsent = bytes;
      flush(socket);
    },
    async answer() {
      const timer = setTimeout(() => {
        failure = new StorageError(
          'AGENT_UNREACHABLE',
          `the agent did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`,
          {
            hint: 'hallmark agent stop',
          },
        );
        wake();
      }, ANSWER_TIMEOUT_MS);
      try {
        while (answers.length === 0 && !ended && failure === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      } finally {
        clearTimeout(timer);
      }
      const answer = answers.shift();
      if (answer === undefined && failure !== undefined) throw failure;
      return answer;
    },
    close: () => void socket.terminate(),
  };
}
