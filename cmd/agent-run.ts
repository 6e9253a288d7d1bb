import { rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { generateKey } from '../core/crypto/private-key.ts';
import { StorageError } from '../core/errors.ts';
import { acquireLock, type Lock } from '../core/file-lock.ts';
import {
  makePrivateDirectory,
  requireOwnSocket,
  requirePrivateDirectory,
  socketPath,
} from '../gitsign/agent-directory.ts';
import { createIdentities } from '../gitsign/agent-identities.ts';
import { createAgent } from '../gitsign/agent-server.ts';
import type { SignGitPayload } from '../gitsign/git-signer.ts';
import { protectMemory } from '../gitsign/libc.ts';
import { agentDirectory, userId } from './agent-place.ts';
import { agentStacks } from './agent-stack.ts';
import type { Cli } from './cli.ts';
import { printable } from './report.ts';
import { VERSION } from './version.ts';

export interface RunFlags {
  readonly allowForwarded?: true;
  /** Milliseconds without a request after which it ends; undefined: never. */
  readonly idleMs?: number | undefined;
}

/** The descriptor that a service manager passes its first socket as (sd_listen_fds(3)). */
const FIRST_PASSED_FD = 3;
const LOOK_AFTER_MS = 1_000;

/** Runs the agent until it is told to stop. AGENT_RUNNING if there is one, AGENT_UNSAFE if its directory is not private. */
export async function runAgent(cli: Cli, sign: SignGitPayload, flags: RunFlags): Promise<void> {
  const uid = userId();
  const directory = agentDirectory(cli);
  if (directory === undefined) {
    throw new StorageError('AGENT_UNREACHABLE', 'there is no place for the agent: HOME is not set', {
      hint: 'export XDG_RUNTIME_DIR=/run/user/$(id -u)',
    });
  }
  const path = socketPath(directory);
  let stop = (): void => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const log = (event: string, fields: Record<string, string | number>): void => {
    const details = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
    cli.say(printable(`${cli.now().toISOString()} ${event}${details.join('')}`));
  };
  const identities = createIdentities({
    clock: cli.now,
    monotonic: () => performance.now(),
    generateKey: () => generateKey('p256'),
  });
  const agent = createAgent({
    uid,
    identities,
    resolveStack: agentStacks(cli),
    sign,
    programVersion: VERSION,
    allowForwarded: flags.allowForwarded ?? false,
    log,
    onStop: () => stop(),
  });

  protectMemory();
  const passed = isSocketPassed(cli);
  if (passed && !requirePrivateDirectory(directory, uid)) {
    throw new StorageError('AGENT_UNSAFE', `the socket that was passed is not in ${directory}`, {
      hint: 'hallmark agent install writes units that fit',
    });
  }
  const lock = passed ? undefined : takePlace(directory, path, uid);
  // The build starts with a compiler that waits, for commands that end soon. This one stays.
  Bun.unsafe.setJITPolicy(1);
  const listener = agent.listen(passed ? { fd: FIRST_PASSED_FD } : { unix: path });
  const { idleMs } = flags;
  const lookAfter = setInterval(() => {
    identities.expire();
    const { connections, last } = agent.activity();
    if (idleMs !== undefined && connections === 0 && performance.now() - last > idleMs) stop();
  }, LOOK_AFTER_MS);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => stop());
  log('listening', { socket: path, pid: process.pid });

  await stopped;
  clearInterval(lookAfter);
  identities.lock();
  // Not a moment earlier: a client that finds no socket starts another agent, which has to find the place free.
  if (lock !== undefined) rmSync(path, { force: true });
  listener.stop();
  lock?.release();
  log('stopped', { pid: process.pid });
}

function isSocketPassed(cli: Cli): boolean {
  return cli.env('LISTEN_PID') === String(process.pid) && cli.env('LISTEN_FDS') === '1';
}

// The lock tells a socket that somebody listens at from one that a killed agent left.
function takePlace(directory: string, path: string, uid: number): Lock {
  makePrivateDirectory(directory, uid);
  const lock = lockPlace(directory);
  try {
    if (requireOwnSocket(path, uid)) unlinkSync(path);
    return lock;
  } catch (error) {
    lock.release();
    throw error;
  }
}

function lockPlace(directory: string): Lock {
  try {
    return acquireLock(join(directory, 'agent.lock'));
  } catch (cause) {
    if (!(cause instanceof StorageError) || cause.code !== 'LOCK_HELD') throw cause;
    throw new StorageError('AGENT_RUNNING', `an agent is running already in ${directory}`, {
      cause,
      hint: 'hallmark agent status',
    });
  }
}
