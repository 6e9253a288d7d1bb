import { describe, expect, test } from 'bun:test';
import { concat, serializeUtf8 } from '../core/bytes/bytes.ts';
import { MAX_AGENT_HEADER_BYTES, MAX_AGENT_PAYLOAD_BYTES } from '../core/limits.ts';
import { rejectionOf } from '../core/testing.ts';
import { askAgent, signWithAgent } from './agent-client.ts';
import {
  messageReader,
  parseAnswer,
  parseRequest,
  serializeAnswer,
  serializeRequest,
  serializeToken,
} from './agent-protocol.ts';
import { COMMIT, ISSUER, requestOf, tokenOf } from './testing-agent.ts';
import { codeOf, login, send, start } from './testing-agents.ts';

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
    version: 2,
    type: 'sign',
    stack: { kind: 'trust', name: 'lab' },
    digest: '0'.repeat(64),
    source: { kind: 'login' },
    services: { rekorVersion: 1 },
    options: { rekorMode: 'offline', matchCommitter: false },
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
    ['another version', json({ version: 1 })],
    ['no version', json({ version: undefined })],
    ['no type', json({ type: undefined })],
    ['an unknown type', json({ type: 'key' })],
    ['the type of an answer', json({ type: 'signed' })],
    ['a token that nobody asked for', serializeToken(tokenOf())],
    ['an unknown member', json({ bytes: 'AA==' })],
    ['a member twice', framed(JSON.stringify(valid()).replace('{', '{"version":2,'), COMMIT)],
    ['an unknown member of the stack', json({ stack: { kind: 'trust', name: 'lab', url: 'https://evil.example' } })],
    ['an unknown kind of stack', json({ stack: { kind: 'local' } })],
    ['an unknown source', json({ source: { kind: 'key' } })],
    ['a digest that is none', json({ digest: '00' })],
    ['another version of Rekor', json({ services: { rekorVersion: 3 } })],
    ['another mode', json({ options: { rekorMode: 'none', matchCommitter: false } })],
    ['no word on the committer', json({ options: { rekorMode: 'offline' } })],
    ['a body where none belongs', framed('{"version":2,"type":"status"}', COMMIT)],
    ['JSON too deep', framed('['.repeat(60_000))],
    ['too many members', framed(`{"version":2,"type":"status",${Array.from({ length: 1000 }, (_, i) => `"${i}":0`)}}`)],
    ['two requests', concat(framed('{"version":2,"type":"status"}'), framed('{"version":2,"type":"stop"}'))],
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
    await ask(serializeRequest(requestOf({ options: { rekorMode: 'online', matchCommitter: false } })));
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
