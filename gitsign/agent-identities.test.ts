import { describe, expect, test } from 'bun:test';
import { lstatSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isValidSignature } from '../core/crypto/verify.ts';
import { VerificationError } from '../core/errors.ts';
import { MAX_AGENT_IDENTITIES } from '../core/limits.ts';
import { rejectionOf } from '../core/testing.ts';
import { parseCertificate } from '../core/x509/certificate.ts';
import { askAgent, signWithAgent } from './agent-client.ts';
import { makePrivateDirectory, socketPath } from './agent-directory.ts';
import type { AgentStack } from './agent-identities.ts';
import { COMMIT, ISSUER, requestOf, type TestAgent, tokenOf, uid } from './testing-agent.ts';
import { login, never, start } from './testing-agents.ts';

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
    const starting = async (): Promise<number> => {
      setTimeout(() => start({}, directory), 20);
      return 0;
    };
    const address = { directory, uid, start: starting };
    expect(await signWithAgent(address, requestOf(), login().token)).toBeDefined();
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
