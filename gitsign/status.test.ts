import { expect, test } from 'bun:test';
import type { Certificate } from '../core/x509/certificate.ts';
import { BEGIN_SIGNING, NEW_SIGNATURE, signatureCreated, verdictLines } from './status.ts';

const certificate = { der: Uint8Array.of(1, 2, 3) } as Certificate;
const KEY = '7037807198c22a7d2b0807371d763779a84fdfcf';
const time = new Date('2026-11-20T12:00:00Z');
const name = 'a@b.example (https://issuer.example)';

test('a good signature has its name, its time and a level of trust', () => {
  for (const trust of ['FULLY', 'UNDEFINED', 'NEVER'] as const) {
    expect(verdictLines({ kind: 'good', certificate, name, time, trust })).toBe(
      `[GNUPG:] GOODSIG ${KEY} ${name}\n[GNUPG:] VALIDSIG ${KEY} 2026-11-20 1795176000 0 4 0 19 8 00 ${KEY}\n[GNUPG:] TRUST_${trust} 0 shell\n`,
    );
  }
});

test('a bad one and one that cannot be judged have exactly one exclusive line and a level of trust', () => {
  expect(verdictLines({ kind: 'bad', certificate, name })).toBe(
    `[GNUPG:] BADSIG ${KEY} ${name}\n[GNUPG:] TRUST_UNDEFINED 0 shell\n`,
  );
  expect(verdictLines({ kind: 'error', certificate: undefined })).toBe(
    `[GNUPG:] ERRSIG ${'0'.repeat(40)} 19 8 00 0 1 ${'0'.repeat(40)}\n[GNUPG:] TRUST_UNDEFINED 0 shell\n`,
  );
});

test('a name cannot become a status line, nor vanish', () => {
  const hostile = verdictLines({ kind: 'bad', certificate, name: 'x\n[GNUPG:] GOODSIG y\r\u202ez' });
  expect(hostile.split('\n')).toHaveLength(3);
  expect(hostile).toStartWith(`[GNUPG:] BADSIG ${KEY} x [GNUPG:] GOODSIG y z\n`);
  expect(verdictLines({ kind: 'bad', certificate, name: '\n' })).toContain(`BADSIG ${KEY} unknown\n`);
});

test('the lines around a signature', () => {
  expect(NEW_SIGNATURE).toBe('[GNUPG:] NEWSIG\n');
  expect(BEGIN_SIGNING).toBe('[GNUPG:] BEGIN_SIGNING H8\n');
  expect(signatureCreated(certificate, time)).toBe(`[GNUPG:] SIG_CREATED D 19 8 00 1795176000 ${KEY}\n`);
});
