import { describe, expect, test } from 'bun:test';
import { concat } from '../bytes/bytes.ts';
import { parseKeyPem, parsePem, serializePem } from './pem.ts';

const BODY = Uint8Array.from({ length: 100 }, (_, i) => i);
const BLOCK = serializePem('PUBLIC KEY', BODY);
const CERTIFICATE = serializePem('CERTIFICATE', BODY);
const ENCRYPTED = serializePem('EC PRIVATE KEY', BODY).replace(
  '\n',
  `\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,${'0a'.repeat(16)}\n\n`,
);
const invalid = expect.objectContaining({ code: 'PEM_INVALID' });

describe('parsePem', () => {
  test('reads what serializePem writes, at every length', () => {
    for (let length = 1; length < 200; length++) {
      const der = concat(BODY, BODY).subarray(0, length);
      expect(parsePem(serializePem('SOME KEY', der))).toEqual([{ label: 'SOME KEY', der: Uint8Array.from(der) }]);
    }
  });

  test('reads several blocks, blank lines between them, CRLF and any line width', () => {
    const oneLine = `-----BEGIN X-----\n${Buffer.from(BODY).toString('base64')}\n-----END X-----`;
    const blocks = parsePem(`\n${BLOCK}\n \n${oneLine}`.replaceAll('\n', '\r\n'));
    expect(blocks.map((block) => block.label)).toEqual(['PUBLIC KEY', 'X']);
    expect(blocks.map((block) => block.der)).toEqual([BODY, BODY]);
  });

  test('writes lines of 64 characters and a final newline', () => {
    expect(BLOCK.split('\n').map((line) => line.length)).toEqual([26, 64, 64, 8, 24, 0]);
  });

  test('allows other text around certificates', () => {
    expect(parsePem(`# Root\n${CERTIFICATE}Issuer: me\n${CERTIFICATE}end\n`, 'CERTIFICATE')).toHaveLength(2);
  });

  const flaws: [string, string, string?][] = [
    ['an empty text', ''],
    ['no block, text only, for certificates', 'hello\n', 'CERTIFICATE'],
    ['text before the block', `hello\n${BLOCK}`],
    ['text after the block', `${BLOCK}hello\n`],
    ['another label than asked for', BLOCK, 'CERTIFICATE'],
    ['a block of another label after the right one', CERTIFICATE + BLOCK, 'CERTIFICATE'],
    ['no end line', BLOCK.slice(0, -26)],
    ['an end line of another label', BLOCK.replace('END PUBLIC', 'END PRIVATE')],
    ['an end line without begin, among certificates', `-----END CERTIFICATE-----\n${CERTIFICATE}`, 'CERTIFICATE'],
    ['a begin line with trailing blank', BLOCK.replace('KEY-----\n', 'KEY----- \n')],
    ['a misspelt begin line among certificates', `----- BEGIN CERTIFICATE-----\n${CERTIFICATE}`, 'CERTIFICATE'],
    ['a label in lower case', BLOCK.replaceAll('PUBLIC KEY', 'public key')],
    ['a blank line inside', BLOCK.replace('\n', '\n\n')],
    ['a blank inside a line', BLOCK.replace('AAEC', 'AA EC')],
    ['a character outside of base64', BLOCK.replace('AAEC', 'AA-C')],
    ['padding in the middle', BLOCK.replace('AAEC', 'AA==')],
    ['missing padding', BLOCK.replace('=\n', '\n').replace('=\n', '\n')],
    ['bits after the last byte', BLOCK.replace(/.==\n/, 'B==\n')],
    ['an empty body', '-----BEGIN X-----\n-----END X-----\n'],
    ['a begin line inside a block', BLOCK.replace('\n', '\n-----BEGIN PUBLIC KEY-----\n')],
    ['headers', BLOCK.replace('\n', '\nProc-Type: 4,ENCRYPTED\n')],
    ['headers of an encrypted key', ENCRYPTED],
    ['a text above the bound', `${BLOCK}${'\n'.repeat(1024 * 1024)}`],
  ];
  for (const [flaw, text, label] of flaws) {
    test(`refuses ${flaw}`, () => {
      expect(() => parsePem(text, label)).toThrow(invalid);
    });
  }
});

describe('parseKeyPem', () => {
  test('reads plain and encrypted keys', () => {
    const dekInfo = `AES-128-CBC,${'0a'.repeat(16)}`;
    expect(parseKeyPem(ENCRYPTED + BLOCK)).toEqual([
      { label: 'EC PRIVATE KEY', der: BODY, dekInfo },
      { label: 'PUBLIC KEY', der: BODY },
    ]);
    expect(parseKeyPem(ENCRYPTED.replaceAll('\n', '\r\n'))[0]?.dekInfo).toBe(dekInfo);
  });

  const flaws: [string, string, string?][] = [
    ['headers under a label that has none', ENCRYPTED.replaceAll('EC PRIVATE', 'PRIVATE')],
    ['another Proc-Type', ENCRYPTED.replace('4,ENCRYPTED', '4,MIC-ONLY')],
    ['a missing Proc-Type', ENCRYPTED.replace('Proc-Type: 4,ENCRYPTED\n', '')],
    ['a missing DEK-Info', ENCRYPTED.replace(/DEK-Info.*\n/, '')],
    ['a third header', ENCRYPTED.replace('\n\n', '\nX: y\n\n')],
    ['no blank line after the headers', ENCRYPTED.replace('\n\n', '\n')],
    ['headers without a body', ENCRYPTED.replace(/\n\n[^-]*/, '\n\n')],
    ['an IV that is too short', ENCRYPTED.replace(',0a', ',')],
    ['an IV that is too long', ENCRYPTED.replace(',0a', ',0a0a')],
    ['an IV that is not hex', ENCRYPTED.replace(',0a', ',xx')],
    ['an unknown cipher', ENCRYPTED.replace('AES-128-CBC', 'CAMELLIA-128-CBC'), 'KEY_UNSUPPORTED'],
    ['single DES', ENCRYPTED.replace('AES-128-CBC', 'DES-CBC'), 'KEY_UNSUPPORTED'],
  ];
  for (const [flaw, text, code = 'PEM_INVALID'] of flaws) {
    test(`refuses ${flaw}`, () => {
      expect(text).not.toBe(ENCRYPTED);
      expect(() => parseKeyPem(text)).toThrow(expect.objectContaining({ code }));
    });
  }
});
