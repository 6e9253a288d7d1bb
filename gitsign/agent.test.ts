import { afterEach, describe, expect, test } from 'bun:test';
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concat, serializeUtf8 } from '../core/bytes/bytes.ts';
import { isValidSignature } from '../core/crypto/verify.ts';
import { VerificationError } from '../core/errors.ts';
import {
  MAX_AGENT_CONNECTIONS,
  MAX_AGENT_HEADER_BYTES,
  MAX_AGENT_IDENTITIES,
  MAX_AGENT_PAYLOAD_BYTES,
} from '../core/limits.ts';
import { errorOf, rejectionOf } from '../core/testing.ts';
import { parseCertificate } from '../core/x509/certificate.ts';
import { askAgent, signWithAgent } from './agent-client.ts';
import { makePrivateDirectory, requireOwnSocket, requirePrivateDirectory, socketPath } from './agent-directory.ts';
import type { AgentStack } from './agent-identities.ts';
import { requireGitPayload } from './agent-payload.ts';
import { peerOf, requireLocalPeer, requireSameUser } from './agent-peer.ts';
import {
  type AgentAnswer,
  messageReader,
  parseAnswer,
  parseRequest,
  serializeAnswer,
  serializeRequest,
  serializeToken,
} from './agent-protocol.ts';
import { COMMIT, ISSUER, requestOf, startTestAgent, type TestAgent, tokenOf, uid } from './testing-agent.ts';

let agents: TestAgent[] = [];
const start = (...options: Parameters<typeof startTestAgent>): TestAgent => {
  const agent = startTestAgent(...options);
  agents.push(agent);
  return agent;
};
afterEach(() => {
  for (const agent of agents) agent.end();
  agents = [];
});

const never = async (): Promise<string> => {
  throw new Error('nobody is to log in here');
};
/** Logs in, and counts. */
function login(claims: Record<string, unknown> = {}) {
  const counted = { times: 0 };
  const token = async (): Promise<string> => {
    counted.times++;
    return tokenOf(claims);
  };
  return { counted, token };
}

/** Sends bytes as they are; everything that comes back until the agent closes. */
async function send(path: string, ...chunks: Uint8Array[]): Promise<{ bytes: Uint8Array; answers: AgentAnswer[] }> {
  const received: Uint8Array[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    unix: path,
    socket: { data: (_, chunk) => void received.push(chunk.slice()), close: () => resolve(), error: () => resolve() },
  });
  for (const chunk of chunks) socket.write(chunk);
  await promise;
  const bytes = concat(...received);
  return { bytes, answers: messageReader()(bytes).map(parseAnswer) };
}

const codeOf = ({ answers }: { answers: AgentAnswer[] }): string | undefined => {
  const last = answers.at(-1);
  return last?.type === 'refused' ? last.code : last?.type;
};

describe('signing', () => {
  test('one login for many signatures, made with a key that stays', async () => {
    const agent = start();
    const { counted, token } = login();
    for (let i = 0; i < 5; i++) {
      const signature = await signWithAgent(agent.address, requestOf(), token);
      if (signature === undefined) throw new Error('no agent');
      const { publicKey } = parseCertificate(signature.certificate);
      expect(isValidSignature(publicKey, 'sha256', COMMIT, signature.cms)).toBe(true);
    }
    expect(counted.times).toBe(1);
    expect(agent.certified()).toBe(1);
    expect(agent.keys).toHaveLength(1);
  });

  test('those that ask at the same time share the login of one of them', async () => {
    const agent = start();
    const { counted, token } = login();
    const signed = await Promise.all(
      Array.from({ length: 20 }, () => signWithAgent(agent.address, requestOf(), token)),
    );
    expect(signed.every((signature) => signature !== undefined)).toBe(true);
    expect(counted.times).toBe(1);
    expect(agent.certified()).toBe(1);
  });

  test('when the one who logs in leaves, the next is asked', async () => {
    const agent = start();
    const { counted, token } = login();
    const asked = Promise.withResolvers<void>();
    const cancelled = signWithAgent(agent.address, requestOf(), async () => {
      asked.resolve();
      await Bun.sleep(0);
      throw new Error('closed the browser');
    });
    await asked.promise;
    const other = signWithAgent(agent.address, requestOf(), token);
    expect(cancelled).rejects.toThrow('closed the browser');
    expect(await other).toBeDefined();
    expect(counted.times).toBe(1);
  });

  test('a login that nobody finishes is an error, and the next signature begins anew', async () => {
    const agent = start();
    await signWithAgent(agent.address, requestOf(), async () => {
      throw new Error('no');
    }).catch(() => {});
    const { token } = login();
    expect(await signWithAgent(agent.address, requestOf(), token)).toBeDefined();
  });

  test('a certificate about to end is renewed with a new key', async () => {
    const agent = start();
    const { counted, token } = login();
    await signWithAgent(agent.address, requestOf(), token);
    agent.sigstore.clock.now = new Date(agent.sigstore.clock.now.getTime() + 8 * 60_000);
    await signWithAgent(agent.address, requestOf(), token);
    expect(counted.times).toBe(1);
    agent.sigstore.clock.now = new Date(agent.sigstore.clock.now.getTime() + 90_000);
    await signWithAgent(agent.address, requestOf(), token);
    expect(counted.times).toBe(2);
    expect(agent.keys).toHaveLength(2);
  });

  test('no key outlives the use of its certificate', async () => {
    const agent = start();
    await signWithAgent(agent.address, requestOf(), login().token);
    agent.identities.expire();
    expect(agent.identities.list()).toHaveLength(1);
    agent.time.monotonic += 9.5 * 60_000;
    agent.identities.expire();
    // Put back, the clock would make it usable again if it were still there.
    agent.time.monotonic -= 9.5 * 60_000;
    expect(agent.identities.list()).toHaveLength(0);
  });

  test('more stacks than are kept push out the one not used for the longest time', async () => {
    const agent: TestAgent = start({
      stacks: (name) => (name.kind === 'trust' ? { ...agent.stack, name: name.name } : undefined),
    });
    const sign = (i: number, token: () => Promise<string>) =>
      signWithAgent(agent.address, requestOf({ stack: { kind: 'trust', name: `lab-${i}` } }), token);
    const { counted, token } = login();
    for (let i = 0; i < MAX_AGENT_IDENTITIES; i++) await sign(i, token);
    await sign(0, never);
    await sign(MAX_AGENT_IDENTITIES, token);
    await sign(0, never);
    await sign(1, token);
    expect(counted.times).toBe(MAX_AGENT_IDENTITIES + 2);
    expect(agent.identities.list()).toHaveLength(MAX_AGENT_IDENTITIES);
  });

  test('a clock that is set back does not lengthen a certificate', async () => {
    const agent = start();
    const { counted, token } = login();
    await signWithAgent(agent.address, requestOf(), token);
    agent.sigstore.clock.now = new Date(agent.sigstore.clock.now.getTime() - 3_600_000);
    agent.time.monotonic += 9.5 * 60_000;
    await signWithAgent(agent.address, requestOf(), token);
    expect(counted.times).toBe(2);
  });

  test('a certificate that the services take for ended is replaced, once', async () => {
    let failures = 1;
    const agent = start({
      sign: async () => {
        if (failures-- > 0) throw new VerificationError('TIMESTAMP_OUTSIDE_VALIDITY', 'time', 'signed too late');
        return { cms: COMMIT, certificate: COMMIT, identity: '', issuer: '', logEntries: [] };
      },
    });
    const { counted, token } = login();
    expect(await signWithAgent(agent.address, requestOf(), token)).toBeDefined();
    expect([counted.times, agent.keys.length]).toEqual([2, 2]);
    failures = 2;
    const error = await rejectionOf(signWithAgent(agent.address, requestOf(), token));
    expect(error.code).toBe('TIMESTAMP_OUTSIDE_VALIDITY');
    expect(counted.times).toBe(3);
  });

  test('the token that a client brings is for its holder alone', async () => {
    const agent = start();
    const first = login({ sub: 'one' });
    const second = login({ sub: 'two' });
    const source = (tokenSubject: string) => ({ source: { kind: 'token', issuer: ISSUER, tokenSubject } }) as const;
    await signWithAgent(agent.address, requestOf(source('one')), first.token);
    await signWithAgent(agent.address, requestOf(source('two')), second.token);
    await signWithAgent(agent.address, requestOf(source('one')), first.token);
    await signWithAgent(agent.address, requestOf(), login().token);
    expect([first.counted.times, second.counted.times, agent.keys.length]).toEqual([1, 1, 3]);
  });

  test.each([
    ['of another subject', { sub: 'other' }],
    ['of another issuer', { iss: 'https://other.example' }],
    ['for another client', { aud: 'other' }],
    ['that has expired', { exp: 1_000_000_000 }],
  ])('a token %s is refused', async (_, claims) => {
    const agent = start();
    const source = { kind: 'token', issuer: ISSUER, tokenSubject: 'subject' } as const;
    const error = await rejectionOf(signWithAgent(agent.address, requestOf({ source }), login(claims).token));
    expect(error.code).toStartWith('IDENTITY_TOKEN_');
    expect(agent.certified()).toBe(0);
  });

  test('what the authority refuses reaches the client with its code', async () => {
    const flaws = { instead: { '/api/v2/signingCert': () => Response.json({ message: 'no' }, { status: 403 }) } };
    const agent = start({ flaws });
    const error = await rejectionOf(signWithAgent(agent.address, requestOf(), login().token));
    expect([error.code, error.kind]).toEqual(['SERVICE_REFUSED', 'service']);
  });

  test('without an agent there is none', async () => {
    const directory = join(mkdtempSync(join(tmpdir(), 'hallmark-agent-')), 'agent');
    expect(await signWithAgent({ directory, uid }, requestOf(), never)).toBeUndefined();
    expect(await askAgent({ directory, uid }, { type: 'status' })).toBeUndefined();
    // What a killed agent leaves is none either.
    makePrivateDirectory(directory, uid);
    const stale = Bun.listen({ unix: `${directory}/other.sock`, socket: { data() {} } });
    renameSync(`${directory}/other.sock`, socketPath(directory));
    stale.stop(true);
    expect(lstatSync(socketPath(directory)).isSocket()).toBe(true);
    expect(await signWithAgent({ directory, uid }, requestOf(), never)).toBeUndefined();
    rmSync(directory, { recursive: true });
  });

  test.each([
    ['ends at once', () => Promise.resolve(6)],
    ['cannot be started', () => Promise.reject(new Error('no such program'))],
  ])('one that %s is not waited for', async (_, starting) => {
    const directory = join(mkdtempSync(join(tmpdir(), 'hallmark-agent-')), 'agent');
    let started = 0;
    const start = (): Promise<number> => {
      started++;
      return starting();
    };
    const error = await rejectionOf(signWithAgent({ directory, uid, start }, requestOf(), never));
    expect(error.code).toBe('AGENT_UNREACHABLE');
    expect(started).toBe(1);
  });

  test('one that is started is waited for, also if another was faster', async () => {
    const directory = join(mkdtempSync(join(tmpdir(), 'hallmark-agent-')), 'agent');
    let agent: TestAgent | undefined;
    const start = async (): Promise<number> => {
      setTimeout(() => {
        agent = startTestAgent({}, directory);
        agents.push(agent);
      }, 20);
      return 0;
    };
    expect(await signWithAgent({ directory, uid, start }, requestOf(), login().token)).toBeDefined();
  });

  test('an agent that dies while somebody logs in is missed, not waited for', async () => {
    const agent = start();
    const signed = await signWithAgent(agent.address, requestOf(), async () => {
      agent.end();
      return tokenOf();
    });
    expect(signed).toBeUndefined();
  });
});

describe('lock, unlock, status, stop', () => {
  test('a locked agent has no keys and signs nothing', async () => {
    const agent = start();
    const { counted, token } = login();
    await signWithAgent(agent.address, requestOf(), token);
    const held = await askAgent(agent.address, { type: 'status' });
    expect(held).toMatchObject({
      locked: false,
      programVersion: '1.2.3',
      identities: [{ stack: 'lab', identity: 'person@example.com', issuer: ISSUER, signatures: 1 }],
    });
    expect(await askAgent(agent.address, { type: 'lock' })).toMatchObject({ locked: true, identities: [] });
    expect((await rejectionOf(signWithAgent(agent.address, requestOf(), token))).code).toBe('AGENT_LOCKED');
    expect(await askAgent(agent.address, { type: 'unlock' })).toMatchObject({ locked: false, identities: [] });
    await signWithAgent(agent.address, requestOf(), token);
    expect(counted.times).toBe(2);
  });

  test('a login under way brings no key after a lock', async () => {
    const agent = start();
    const signing = signWithAgent(agent.address, requestOf(), async () => {
      await askAgent(agent.address, { type: 'lock' });
      await askAgent(agent.address, { type: 'unlock' });
      return tokenOf();
    });
    expect((await rejectionOf(signing)).code).toBe('AGENT_LOCKED');
    expect((await askAgent(agent.address, { type: 'status' }))?.identities).toEqual([]);
  });

  test('stop', async () => {
    const agent = start();
    await askAgent(agent.address, { type: 'stop' });
    expect(agent.stopped).toBe(true);
  });
});

describe('what it signs', () => {
  const tag = `object 4b825dc642cb6eb9a060e54bf8d69288fbee4904
type commit
tag v1
tagger T Agger <tagger@example.com> 1700000000 -0230

message
`;
  const push = `certificate version 0.1
pusher T Agger <tagger@example.com> 1700000000 -0230
pushee /srv/repository.git
nonce 1700000000-abc

${'0'.repeat(40)} 4b825dc642cb6eb9a060e54bf8d69288fbee4904 refs/heads/main
`;
  const commit = Buffer.from(COMMIT).toString();
  const sha256 = commit.replace(/[0-9a-f]{40}/, 'a'.repeat(64));
  const merge = commit.replace('author', `parent ${'1'.repeat(40)}\nparent ${'2'.repeat(40)}\nauthor`);
  const extra = commit.replace(
    '\n\n',
    `\nencoding ISO-8859-1\nmergetag object ${'1'.repeat(40)}\n type commit\n \n a\n\n`,
  );
  test.each([
    ['commit', commit],
    ['merge', merge],
    ['commit with further headers', extra],
    ['commit with carriage returns', commit.replace('a message', 'a message\r')],
    ['commit without a message', `${commit.split('\n\n')[0]}\n\n`],
    ['commit of a SHA-256 repository', sha256],
    ['tag', tag],
    ['push certificate', push],
  ])('%s', async (_, text) => {
    const agent = start();
    const request = requestOf({ payload: serializeUtf8(text) });
    expect(await signWithAgent(agent.address, request, login().token)).toBeDefined();
  });

  // A pattern that tried again from each place of a line would take minutes here.
  test.each(['<', '> 1 +', ' ', '<a> 1 +0000 ', 'author '])('a megabyte of %p in a line', (filler) => {
    const long = filler.repeat(1_000_000 / filler.length);
    for (const text of [commit.replace('A U Thor', long), commit.replace('\n\n', `\nnote ${long}\n\n`)]) {
      expect(requireGitPayload(serializeUtf8(text))).toBeUndefined();
    }
  });

  test.each([
    ['nothing', ''],
    ['any text', 'hello\n\n'],
    ['a statement', 'DSSEv1 28 application/vnd.in-toto+json 2 {}'],
    ['signed attributes', '1\u00183\n\n'],
    ['a tree alone', 'tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\n'],
    ['a commit without its blank line', commit.split('\n\n')[0] as string],
    ['a commit without committer', commit.replace(/committer .*\n/, '')],
    ['headers in another order', commit.replace(/(author .*\n)(committer .*\n)/, '$2$1')],
    ['an object ID of another length', commit.replace(/tree ..../, 'tree ')],
    ['upper-case hexadecimal', commit.replace('4b825dc', '4B825DC')],
    ['an object ID alone', '4b825dc642cb6eb9a060e54bf8d69288fbee4904'],
    ['a commit with a signature', commit.replace('\n\n', '\ngpgsig -----BEGIN SIGNED MESSAGE-----\n\n')],
    ['a commit with the other signature', commit.replace('\n\n', '\ngpgsig-sha256 -----BEGIN SIGNED MESSAGE-----\n\n')],
    ['NUL in a header', commit.replace('\n\n', '\nx-note a\0b\n\n').replace('x-note', '\0')],
    ['a tag without its name', tag.replace(/tag .*\n/, '')],
    ['a committer without a time', commit.replace(/(committer .*>).*/, '$1')],
    ['an author without an address', commit.replace(/author .*> /, 'author name ')],
    ['a tag of something else', tag.replace('type commit', 'type secret')],
    ['a push certificate of another version', push.replace('0.1', '0.2')],
    ['a push certificate with an unknown header', push.replace('nonce', 'once')],
  ])('refused: %s', async (_, text) => {
    const agent = start();
    const request = requestOf({ payload: serializeUtf8(text) });
    expect((await rejectionOf(signWithAgent(agent.address, request, never))).code).toBe('AGENT_REFUSED');
    expect(agent.keys).toHaveLength(0);
  });
});

describe('which stacks it signs for', () => {
  test('one that is none of the user’s is left to the client', async () => {
    const agent = start();
    const other = requestOf({ stack: { kind: 'trust', name: 'other' } });
    expect(await signWithAgent(agent.address, other, never)).toBeUndefined();
    expect(await signWithAgent(agent.address, requestOf({ stack: { kind: 'global' } }), never)).toBeUndefined();
  });

  test('one that reads differently at the two ends is left to the client', async () => {
    const agent = start();
    await signWithAgent(agent.address, requestOf(), login().token);
    expect(await signWithAgent(agent.address, requestOf({ digest: 'f'.repeat(64) }), never)).toBeUndefined();
  });

  test.each([
    ['name', { name: 'two' }],
    ['certificate authority', { certificateAuthority: 'https://other.example' }],
    ['issuer', { issuer: 'https://other-issuer.example' }],
    ['client', { clientId: 'other' }],
  ] as const)('the identity of one is never used for another, by %s', async (_, change) => {
    const agent: TestAgent = start({
      stacks: (name): AgentStack | undefined =>
        name.kind === 'trust' && name.name === 'two' ? { ...agent.stack, ...change } : agent.stack,
    });
    await signWithAgent(agent.address, requestOf(), login().token);
    const two = requestOf({ stack: { kind: 'trust', name: 'two' } });
    const { counted, token } = login({
      ...('issuer' in change && { iss: change.issuer }),
      ...('clientId' in change && { aud: change.clientId }),
    });
    await signWithAgent(agent.address, two, token);
    expect(counted.times).toBe(1);
    expect(agent.keys).toHaveLength(2);
    // The first one's is still there, and still its own.
    await signWithAgent(agent.address, requestOf(), never);
  });
});

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

  test('a path that no socket can have is refused', () =>
    expect(clientEnd(join(place(), 'x'.repeat(100)))).resolves.toBe('AGENT_UNSAFE'));

  test('the socket is for its owner alone', () => {
    const agent = start();
    expect(lstatSync(agent.path).mode & 0o077).toBe(0);
  });
});

describe('messages', () => {
  const prefix = (header: number, body: number): Uint8Array => {
    const view = new DataView(new ArrayBuffer(8));
    view.setUint32(0, header);
    view.setUint32(4, body);
    return new Uint8Array(view.buffer);
  };
  const framed = (header: string, body: Uint8Array = new Uint8Array()): Uint8Array =>
    concat(prefix(Buffer.byteLength(header), body.length), serializeUtf8(header), body);
  const valid = (): Record<string, unknown> => ({
    version: 1,
    type: 'sign',
    stack: { kind: 'trust', name: 'lab' },
    digest: '0'.repeat(64),
    source: { kind: 'login' },
    services: { rekorVersion: 1 },
    options: { rekorMode: 'offline' },
  });
  const json = (change: Record<string, unknown>): Uint8Array =>
    framed(JSON.stringify({ ...valid(), ...change }), COMMIT);

  test('round trip', () => {
    const request = requestOf({ source: { kind: 'token', issuer: ISSUER, tokenSubject: 's' } });
    const [message] = messageReader()(serializeRequest(request));
    expect(parseRequest(message!)).toEqual(request);
    const signed = {
      type: 'signed',
      cms: Uint8Array.of(1, 2),
      certificate: Uint8Array.of(3),
      identity: 'a',
      issuer: 'b',
      logEntries: [{ url: 'https://log.example', logIndex: 2n ** 60n }],
    } as const;
    const [answer] = messageReader()(serializeAnswer(signed));
    expect(parseAnswer(answer!)).toEqual(signed);
  });

  test('in any pieces', () => {
    const whole = concat(serializeRequest(requestOf()), serializeToken(tokenOf()), serializeRequest({ type: 'lock' }));
    for (const size of [1, 7, 8, 9, 100, whole.length]) {
      const read = messageReader();
      const messages = [];
      for (let at = 0; at < whole.length; at += size) messages.push(...read(whole.subarray(at, at + size)));
      expect(messages).toHaveLength(3);
      expect(messages[0]?.body).toEqual(COMMIT);
    }
  });

  test.each([
    ['a header over its bound', prefix(MAX_AGENT_HEADER_BYTES + 1, 0)],
    ['a body over its bound', prefix(2, MAX_AGENT_PAYLOAD_BYTES + 1)],
    ['lengths of four gigabytes', prefix(0xffff_ffff, 0xffff_ffff)],
    ['no JSON', framed('{')],
    ['no UTF-8', concat(prefix(2, 0), Uint8Array.of(0xff, 0xfe))],
    ['no object', framed('[]')],
    ['an empty header', framed('')],
    ['another version', json({ version: 2 })],
    ['no version', json({ version: undefined })],
    ['no type', json({ type: undefined })],
    ['an unknown type', json({ type: 'key' })],
    ['the type of an answer', json({ type: 'signed' })],
    ['a token that nobody asked for', serializeToken(tokenOf())],
    ['an unknown member', json({ bytes: 'AA==' })],
    ['a member twice', framed(JSON.stringify(valid()).replace('{', '{"version":1,'), COMMIT)],
    ['an unknown member of the stack', json({ stack: { kind: 'trust', name: 'lab', url: 'https://evil.example' } })],
    ['an unknown kind of stack', json({ stack: { kind: 'local' } })],
    ['an unknown source', json({ source: { kind: 'key' } })],
    ['a digest that is none', json({ digest: '00' })],
    ['another version of Rekor', json({ services: { rekorVersion: 3 } })],
    ['another mode', json({ options: { rekorMode: 'none' } })],
    ['a body where none belongs', framed('{"version":1,"type":"status"}', COMMIT)],
    ['JSON too deep', framed('['.repeat(60_000))],
    ['too many members', framed(`{"version":1,"type":"status",${Array.from({ length: 1000 }, (_, i) => `"${i}":0`)}}`)],
    ['two requests', concat(framed('{"version":1,"type":"status"}'), framed('{"version":1,"type":"stop"}'))],
  ])('refused: %s', async (_, bytes) => {
    const agent = start();
    const answer = await send(agent.path, bytes);
    expect(codeOf(answer)).toBe('AGENT_MESSAGE_INVALID');
    expect(agent.keys).toHaveLength(0);
    expect(agent.stopped).toBe(false);
    // The next one is served.
    expect(await askAgent(agent.address, { type: 'status' })).toBeDefined();
  });

  test('a request that never ends is given up', async () => {
    const agent = start({ requestTimeoutMs: 20 });
    expect(codeOf(await send(agent.path, serializeRequest(requestOf()).subarray(0, 100)))).toBe('AGENT_REFUSED');
    expect(codeOf(await send(agent.path))).toBe('AGENT_REFUSED');
  });

  test('a login that never ends is given up', async () => {
    const agent = start({ loginTimeoutMs: 20 });
    const answer = await send(agent.path, serializeRequest(requestOf()));
    expect(answer.answers.map(({ type }) => type)).toEqual(['login', 'refused']);
  });

  test('a payload of the largest size gets through', async () => {
    const agent = start();
    const payload = concat(COMMIT, new Uint8Array(MAX_AGENT_PAYLOAD_BYTES - COMMIT.length).fill(0x61));
    expect(await signWithAgent(agent.address, requestOf({ payload }), login().token)).toBeDefined();
  });
});

describe('secrets', () => {
  test('neither key nor token is in any answer or log line, whatever is asked', async () => {
    const agent = start({ requestTimeoutMs: 50 });
    const jwt = tokenOf();
    const outputs: Uint8Array[] = [];
    const ask = async (...chunks: Uint8Array[]): Promise<void> => {
      outputs.push((await send(agent.path, ...chunks)).bytes);
    };
    const sign = serializeRequest(requestOf());
    await ask(sign, serializeToken(jwt));
    await ask(sign);
    await ask(serializeRequest(requestOf({ options: { rekorMode: 'online' } })));
    for (const type of ['status', 'lock', 'status', 'unlock', 'stop'] as const) await ask(serializeRequest({ type }));
    await ask(sign, serializeToken(jwt));
    await ask(sign, serializeToken(`${jwt}x`));
    // Whatever is made of a good request by changing a byte, or by cutting it off.
    for (let at = 0; at < sign.length; at += 3) await ask(sign.with(at, (sign[at] ?? 0) ^ (1 << (at % 8))));
    for (const type of ['key', 'export', 'identities', 'certificate', 'token', 'dump'])
      await ask(serializeRequest({ type } as never));

    expect(agent.keys.length).toBeGreaterThan(1);
    const log = serializeUtf8(agent.lines.join('\n'));
    const spoken = Buffer.concat([...outputs, log]);
    expect(spoken.length).toBeGreaterThan(10_000);
    for (const { native } of agent.keys) {
      const { d = '' } = native.export({ format: 'jwk' });
      const secret = Buffer.from(d, 'base64url');
      expect(secret).toHaveLength(32);
      for (const form of spellings(secret)) expect(spoken.includes(form)).toBe(false);
    }
    for (const part of jwt.split('.').slice(1)) expect(spoken.includes(part)).toBe(false);
  }, 30_000);

  // As bytes, in hexadecimal, in base64 at each of its three phases, in decimal.
  function spellings(secret: Buffer): Buffer[] {
    const phases = [0, 1, 2].map((skip) => Buffer.from(secret.subarray(skip, skip + 27).toString('base64')));
    const hex = secret.toString('hex');
    return [
      secret.subarray(0, 16),
      Buffer.from(hex.slice(0, 32)),
      Buffer.from(hex.toUpperCase().slice(0, 32)),
      Buffer.from(BigInt(`0x${hex}`).toString().slice(0, 30)),
      ...phases,
      ...phases.map((text) => Buffer.from(text.toString().replaceAll('+', '-').replaceAll('/', '_'))),
    ];
  }

  test('a bug says where it is, not what it held', async () => {
    const agent = start({
      sign: async () => {
        throw new Error('internal: broken');
      },
    });
    const error = await rejectionOf(signWithAgent(agent.address, requestOf(), login().token));
    expect([error.code, error.message]).toEqual(['AGENT_REFUSED', 'the agent failed: internal error']);
    expect(agent.lines.join()).toContain('internal: broken');
  });
});
