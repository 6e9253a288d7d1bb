import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { StorageError } from '../core/errors.ts';
import { libc } from './libc.ts';

/** Who is at the other end of a Unix socket, as the kernel says. */
export interface PeerProcess {
  readonly pid: number;
  readonly uid: number;
}

/** Who is at the other end; undefined where the platform cannot tell. */
export type PeerOf = (fd: number) => PeerProcess | undefined;

/** socket.h of Linux: the same numbers on every architecture that the runtime supports. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/**
 * The kernel's word on the peer (unix(7), SO_PEERCRED): the process that connected, or on the client's side the one that
 * listens. Linux alone; elsewhere undefined, and the directory's permissions are what keeps others out.
 */
export const peerOf: PeerOf = (fd) => {
  if (process.platform !== 'linux') return undefined;
  const { ptr } = require('bun:ffi') as typeof import('bun:ffi');
  const credentials = new Int32Array(3);
  const length = new Uint32Array([credentials.byteLength]);
  const failed = libc().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ptr(credentials), ptr(length));
  // Without an answer nobody is trusted: -1 is no user.
  const [pid = 0, uid = -1] = failed === 0 && length[0] === credentials.byteLength ? credentials : [];
  return { pid, uid };
};

/** Throws AGENT_UNSAFE if the peer is known to be another user. */
export function requireSameUser(peer: PeerProcess | undefined, uid: number, who: string): void {
  if (peer === undefined || peer.uid === uid) return;
  throw new StorageError('AGENT_UNSAFE', `${who} belongs to another user (${peer.uid})`, {
    hint: 'an agent serves the user who started it, and nobody else',
  });
}

/** Programs that carry a socket from another computer. */
const FORWARDERS: readonly string[] = [
  'ssh',
  'sshd',
  'sshd-session',
  'sshd-auth',
  'dropbear',
  'dbclient',
  'dropbearmulti',
];

/**
 * Throws AGENT_REFUSED if the peer is a process that forwards sockets (ssh -R): then the one who asks sits at another
 * computer, and the user here sees nothing of it. A peer that cannot be named is taken for one.
 */
export function requireLocalPeer(peer: PeerProcess | undefined, programOf: ProgramOf = programOfProcess): void {
  if (peer === undefined) return;
  const names = programOf(peer.pid);
  if (names.length > 0 && !names.some((name) => FORWARDERS.includes(name))) return;
  throw new StorageError(
    'AGENT_REFUSED',
    names.length === 0
      ? `the agent cannot tell which program asks (process ${peer.pid})`
      : `the agent takes no requests from other computers: they come through ${names.join(', ')}`,
    { hint: 'if that is wanted, run the agent as: hallmark agent --allow-forwarded' },
  );
}

/** The names of a process's program; empty if nothing can be learnt. */
export type ProgramOf = (pid: number) => string[];

// The name that the process has, and the file that it runs: the second is not readable for a process that protects itself.
const programOfProcess: ProgramOf = (pid) => {
  const names: string[] = [];
  for (const read of [
    () => readFileSync(`/proc/${pid}/comm`, 'utf8').trim(),
    () => basename(readlinkSync(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, ''),
  ]) {
    try {
      names.push(read());
    } catch {
      // It has ended, or is out of sight.
    }
  }
  return names.filter((name) => name !== '');
};
