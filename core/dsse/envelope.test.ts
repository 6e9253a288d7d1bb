import { describe, expect, test } from 'bun:test';
import { parseUtf8, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import type { Json } from '../bytes/json.ts';
import { HallmarkError } from '../errors.ts';
import { MAX_LOGGED_SIGNATURES } from '../limits.ts';
import { type Envelope, parseEnvelope, preAuthEncoding, serializeEnvelope } from './envelope.ts';

// The test vector of DSSE v1 (protocol.md).
const PAYLOAD_TYPE = 'http://example.com/HelloWorld';
const PAYLOAD = serializeUtf8('hello world');
const SIG = 'A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==';
const envelopeWith = (changes: { [member: string]: Json }): string =>
  JSON.stringify({
    payload: serializeBase64(PAYLOAD),
    payloadType: PAYLOAD_TYPE,
    signatures: [{ sig: SIG }],
    ...changes,
  });

function refusalOf(input: string, unknownFields?: 'ignored'): string {
  try {
    parseEnvelope(input, unknownFields);
  } catch (error) {
    if (error instanceof HallmarkError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('preAuthEncoding', () => {
  test('the vector of the specification', () =>
    expect(parseUtf8(preAuthEncoding(PAYLOAD_TYPE, PAYLOAD))).toBe(
      'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
    ));
  test('counts bytes, not characters', () =>
    expect(parseUtf8(preAuthEncoding('é', serializeUtf8('€')))).toBe('DSSEv1 2 é 3 €'));
  test('of nothing', () => expect(parseUtf8(preAuthEncoding('', new Uint8Array()))).toBe('DSSEv1 0  0 '));
});

describe('parseEnvelope', () => {
  const envelope: Envelope = {
    payloadType: PAYLOAD_TYPE,
    payload: PAYLOAD,
    signatures: [
      { sig: Uint8Array.of(1, 2, 3), keyid: '' },
      { sig: Uint8Array.of(4), keyid: 'key' },
    ],
  };
  test('is the inverse of serializeEnvelope', () =>
    expect(parseEnvelope(serializeEnvelope(envelope))).toEqual(envelope));
  test('writes no empty keyid', () => expect(serializeEnvelope(envelope).match(/keyid/g)?.length).toBe(1));
  test('accepts an empty payload', () => expect(parseEnvelope(envelopeWith({ payload: '' })).payload.length).toBe(0));
  test('accepts the most signatures', () =>
    expect(refusalOf(envelopeWith({ signatures: Array(MAX_LOGGED_SIGNATURES).fill({ sig: SIG }) }))).toBe('accepted'));
  test('ignores unknown fields only if told so', () => {
    expect(refusalOf(envelopeWith({ more: 1 }))).toStartWith('ENVELOPE_INVALID more');
    expect(refusalOf(envelopeWith({ more: 1 }), 'ignored')).toBe('accepted');
    expect(refusalOf(envelopeWith({ signatures: [{ sig: SIG, cert: 'x' }] }), 'ignored')).toBe('accepted');
  });
  test('takes the error code of the document around it', () =>
    expect(() => parseEnvelope(new Fields({}, 'dsseEnvelope', 'BUNDLE_INVALID'))).toThrow('dsseEnvelope.payloadType'));
  for (const [flaw, changes, message] of [
    ['no payload', { payload: null }, 'payload: missing'],
    ['a payload that is not base64', { payload: 'zz$$' }, 'payload: expected base64'],
    ['a payload in URL-safe base64', { payload: '-_-_' }, 'payload: expected base64'],
    ['no payload type', { payloadType: null }, 'payloadType: missing'],
    ['an empty payload type', { payloadType: '' }, 'payloadType: empty'],
    ['a payload type with half of a surrogate pair', { payloadType: '\ud800' }, 'payloadType: not Unicode text'],
    ['no signatures', { signatures: null }, 'signatures: missing'],
    ['an empty list of signatures', { signatures: [] }, 'signatures: missing'],
    ['a signature of no bytes', { signatures: [{ sig: '' }] }, 'signatures[0].sig: empty'],
    ['a signature that is not base64', { signatures: [{ sig: 'A' }] }, 'signatures[0].sig: expected base64'],
    ['a signature that is a string', { signatures: [SIG] }, 'signatures[0]: expected an object'],
    ['an unknown field of a signature', { signatures: [{ sig: SIG, cert: '' }] }, 'signatures[0].cert: unknown field'],
    ['a keyid that is a number', { signatures: [{ sig: SIG, keyid: 1 }] }, 'signatures[0].keyid: expected a string'],
    [
      'too many signatures',
      { signatures: Array(MAX_LOGGED_SIGNATURES + 1).fill({ sig: SIG }) },
      'signatures: more than',
    ],
  ] as const) {
    test(`refuses ${flaw}`, () =>
      expect(refusalOf(envelopeWith(changes as unknown as { [member: string]: Json }))).toStartWith(
        `ENVELOPE_INVALID ${message}`,
      ));
  }
  test('refuses a list', () => expect(refusalOf('[]')).toStartWith('ENVELOPE_INVALID'));
  test('refuses what is no JSON', () => expect(refusalOf('{')).toStartWith('JSON_INVALID'));
});
