import { describe, expect, test } from 'bun:test';
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_AGENT_CONNECTIONS } from '../core/limits.ts';
import { errorOf, rejectionOf } from '../core/testing.ts';
import { askAgent, signWithAgent } from './agent-client.ts';
import { makePrivateDirectory, requireOwnSocket, requirePrivateDirectory, socketPath } from './agent-directory.ts';
import { peerOf, requireLocalPeer, requireSameUser } from './agent-peer.ts';
import { type AgentAnswer, serializeRequest } from './agent-protocol.ts';
import { requestOf, type TestAgent, uid } from './testing-agent.ts';
import { never, send, start } from './testing-agents.ts';

describe('who may ask', () => {
  const refused = async (agent: TestAgent): Promise<AgentAnswer | undefined> =>
    (await send(agent.path, serializeRequest({ type: 'status' }))).answers.at(-1);

  test('the kernel names the peer', () => {
    if (process.platform !== 'linux') return;
    const agent = start({
      peerOf: (fd) => {
        const peer = peerOf(fd);
        expect(peer).toEqual({ pid: process.pid, uid });
        return peer;
      },
    });
    return expect(askAgent(agent.address, { type: 'status' })).resolves.toBeDefined();
  });

  test('no other user, root included', async () => {
    const agent = start({ peerOf: () => ({ pid: process.pid, uid: uid + 1 }) });
    expect(await refused(agent)).toMatchObject({ type: 'refused', code: 'AGENT_UNSAFE' });
    expect(errorOf(() => requireSameUser({ pid: 1, uid: 0 }, 1000, 'it')).code).toBe('AGENT_UNSAFE');
    // What getsockopt leaves when it fails.
    expect(errorOf(() => requireSameUser({ pid: 0, uid: -1 }, 0, 'it')).code).toBe('AGENT_UNSAFE');
  });

  test.each(['ssh', 'sshd', 'sshd-session', 'dropbear'])('no forwarded socket: %s', async (name) => {
    const programOf = () => [name, name];
    expect(await refused(start({ programOf }))).toMatchObject({ type: 'refused', code: 'AGENT_REFUSED' });
    expect(await refused(start({ programOf, allowForwarded: true }))).toMatchObject({ type: 'status' });
  });

  test('a program that calls itself something else is told by its file', () => {
    expect(errorOf(() => requireLocalPeer({ pid: 1, uid }, () => ['git', 'ssh'])).code).toBe('AGENT_REFUSED');
  });

  test('no program that cannot be named', () => {
    expect(errorOf(() => requireLocalPeer({ pid: 1, uid }, () => [])).code).toBe('AGENT_REFUSED');
    expect(errorOf(() => requireLocalPeer({ pid: 2 ** 30, uid })).code).toBe('AGENT_REFUSED');
  });

  test('more than so many at a time', async () => {
    const agent = start();
    const idle = await Promise.all(
      Array.from({ length: MAX_AGENT_CONNECTIONS }, () => Bun.connect({ unix: agent.path, socket: { data() {} } })),
    );
    // Their connections are accepted in order, before that of the one that follows.
    expect(await refused(agent)).toMatchObject({ code: 'AGENT_REFUSED' });
    for (const socket of idle) socket.terminate();
  });
});

describe('the directory', () => {
  const place = (): string => mkdtempSync(join(tmpdir(), 'hallmark-agent-'));
  const agentEnd = (directory: string, user = uid) => errorOf(() => makePrivateDirectory(directory, user)).code;
  const clientEnd = async (directory: string, user = uid) =>
    (await rejectionOf(signWithAgent({ directory, uid: user }, requestOf(), never))).code;
  const bothRefuse = async (directory: string, user = uid): Promise<void> => {
    expect(agentEnd(directory, user)).toBe('AGENT_UNSAFE');
    expect(await clientEnd(directory, user)).toBe('AGENT_UNSAFE');
  };

  test('is made private', () => {
    const directory = join(place(), 'a', 'agent');
    makePrivateDirectory(directory, uid);
    expect(lstatSync(directory).mode & 0o777).toBe(0o700);
    expect(lstatSync(join(directory, '..')).mode & 0o777).toBe(0o700);
    expect(requirePrivateDirectory(directory, uid)).toBe(true);
  });

  test.each([0o755, 0o770, 0o710, 0o701, 0o600, 0o1700, 0o2700])('of mode %o is refused by both ends', async (mode) => {
    const directory = place();
    chmodSync(directory, mode);
    await bothRefuse(directory);
    // It is not mended: whoever could change the mode could have put a socket there.
    expect(lstatSync(directory).mode & 0o7777).toBe(mode);
  });

  test('of another owner is refused by both ends', () => bothRefuse(place(), uid + 1));

  test('that is a link is refused by both ends', async () => {
    const directory = place();
    symlinkSync(directory, `${directory}.link`);
    await bothRefuse(`${directory}.link`);
  });

  test('that is a file is refused by both ends', async () => {
    const path = join(place(), 'file');
    writeFileSync(path, '');
    await bothRefuse(path);
  });

  test('a socket that is something else is refused', async () => {
    for (const make of [
      (path: string) => writeFileSync(path, ''),
      (path: string) => mkdirSync(path),
      (path: string) => symlinkSync(start().path, path),
    ]) {
      const directory = place();
      make(socketPath(directory));
      expect(errorOf(() => requireOwnSocket(socketPath(directory), uid)).code).toBe('AGENT_UNSAFE');
      expect(await clientEnd(directory)).toBe('AGENT_UNSAFE');
    }
  });

  test('a socket of another user is refused', () => {
    const { path } = start();
    expect(requireOwnSocket(path, uid)).toBe(true);
    expect(errorOf(() => requireOwnSocket(path, uid + 1)).code).toBe('AGENT_UNSAFE');
  });

  test('a path that no socket can have is refused', () =>
    expect(clientEnd(join(place(), 'x'.repeat(100)))).resolves.toBe('AGENT_UNSAFE'));

  test('the socket is for its owner alone', () => {
    const agent = start();
    expect(lstatSync(agent.path).mode & 0o077).toBe(0);
  });
});
