import { Fields } from '../bytes/fields.ts';
import { type Json, parseJson } from '../bytes/json.ts';
import { parsePublicKeyPem, serializePublicKeyPem } from '../crypto/public-key.ts';
import { InputError } from '../errors.ts';
import { MAX_PINS } from '../limits.ts';
import type { Pin, PinnedSigner, Pins } from './policy-pin.ts';

/** Parses signers.lock, strictly: it decides what is accepted. PINS_INVALID, JSON_* */
export function parsePins(bytes: Uint8Array): Pins {
  const fields = new Fields(parseJson(bytes), '', 'PINS_INVALID');
  if (fields.optionalInteger('version', 0, Number.MAX_SAFE_INTEGER) !== 1) throw fields.fail('version', 'expected 1');
  const artifacts = fields.object('artifacts');
  fields.end();
  const names = artifacts.keys();
  if (names.length > MAX_PINS) throw fields.fail('artifacts', `more than ${MAX_PINS}`);
  return new Map(names.map((name) => [name, parsePin(artifacts.object(name))]));
}

function parsePin(fields: Fields): Pin {
  const signer = parseSigner(fields.object('signer'));
  const provenance = fields.optionalBoolean('provenance');
  if (provenance === undefined) throw fields.fail('provenance', 'missing');
  fields.end();
  return { signer, provenance };
}

function parseSigner(fields: Fields): PinnedSigner {
  if (fields.has('publicKey')) {
    const pem = fields.string('publicKey');
    fields.end();
    try {
      return { kind: 'key', key: parsePublicKeyPem(pem) };
    } catch (cause) {
      if (!(cause instanceof InputError)) throw cause;
      throw fields.fail('publicKey', cause.message, cause);
    }
  }
  const given = (name: string): string | undefined => {
    const text = fields.optionalString(name);
    if (text === '') throw fields.fail(name, 'empty');
    return text;
  };
  const [issuer, subjectAlternativeName] = [given('issuer'), given('subjectAlternativeName')];
  const sourceRepository = given('sourceRepository');
  const sourceRepositoryIdentifier = given('sourceRepositoryIdentifier');
  const sourceRepositoryOwnerIdentifier = given('sourceRepositoryOwnerIdentifier');
  fields.end();
  if (issuer === undefined) throw fields.fail('issuer', 'missing');
  if (subjectAlternativeName === undefined) throw fields.fail('subjectAlternativeName', 'missing');
  return {
    kind: 'certificate',
    issuer,
    subjectAlternativeName,
    ...(sourceRepository !== undefined && { sourceRepository }),
    ...(sourceRepositoryIdentifier !== undefined && { sourceRepositoryIdentifier }),
    ...(sourceRepositoryOwnerIdentifier !== undefined && { sourceRepositoryOwnerIdentifier }),
  };
}

/** signers.lock as text: names sorted, one member a line, so that a change is a change of few lines. */
export function serializePins(pins: Pins): string {
  // Without prototype and from entries, so that `__proto__` is a name like any other.
  const artifacts: Record<string, Json> = Object.create(null);
  for (const name of [...pins.keys()].sort()) {
    const { signer, provenance } = pins.get(name) as Pin;
    artifacts[name] = { signer: signerJson(signer), provenance };
  }
  return `${JSON.stringify({ version: 1, artifacts }, null, 2)}\n`;
}

function signerJson(signer: PinnedSigner): Json {
  if (signer.kind === 'key') return { publicKey: serializePublicKeyPem(signer.key) };
  const { kind: _, ...members } = signer;
  return members;
}
