import { describe, expect, test } from 'bun:test';
import { generateKey, type PrivateKey } from '../core/crypto/private-key.ts';
import { hashedRekordV1, hashedRekordV2, openTestLog, type TestLog } from './testing.ts';

const CLIENT = { address: '192.0.2.7', loopback: false, client: '192.0.2.7' };
const HERE = { address: '127.0.0.1', loopback: true };

const dialects = [
  ['v1', '/api/v1/log/entries', hashedRekordV1],
  ['v2', '/api/v2/log/entries', hashedRekordV2],
] as const;

for (const [name, path, proposal] of dialects) {
  describe(`the rate of a key, ${name}`, () => {
    const post = async (log: TestLog, text: string, key: PrivateKey, peer: typeof HERE = CLIENT): Promise<Response> => {
      const request = new Request(`http://log.example:8080${path}`, {
        method: 'POST',
        body: JSON.stringify(proposal(text, key)),
      });
      const answer = await log.handle(request, new URL(request.url), peer);
      if (!answer) throw new Error('no route');
      return answer;
    };

    test('beyond it the answer is 429 with Retry-After, and nothing is logged; another key goes on', async () => {
      const log = await openTestLog();
      const [key, other] = [generateKey('p256'), generateKey('p256')];
      const statuses: number[] = [];
      for (const text of ['a', 'b', 'c']) statuses.push((await post(log, text, key)).status);
      expect(statuses).toEqual([201, 201, 429]);
      const refused = await post(log, 'd', key, { ...CLIENT, client: '192.0.2.8' } as never);
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
      expect((await post(log, 'e', other)).status).toBe(201);
      await log.close();
    });

    test('is not used up by who does not have the key', async () => {
      const log = await openTestLog();
      const key = generateKey('p256');
      const forged = JSON.stringify(proposal('a', key)).replace(/"content":"ME./, '"content":"MEB');
      for (let i = 0; i < 5; i++) {
        const request = new Request(`http://log.example:8080${path}`, { method: 'POST', body: forged });
        expect((await log.handle(request, new URL(request.url), CLIENT))?.status).toBe(400);
      }
      expect((await post(log, 'a', key)).status).toBe(201);
      await log.close();
    });

    test('does not bind this machine', async () => {
      const log = await openTestLog();
      const key = generateKey('p256');
      for (let i = 0; i < 10; i++) expect((await post(log, `entry ${i}`, key, HERE)).status).toBe(201);
      await log.close();
    });
  });
}
