import { parseUtf8, serializeHex } from '../core/bytes/bytes.ts';
import { parseJson } from '../core/bytes/json.ts';
import type { HashName } from '../core/crypto/hash.ts';
import { HallmarkError, InputError } from '../core/errors.ts';

/** Types whose predicate is not the file's JSON itself, as cosign has them: how the file's text becomes the predicate. */
const WRAPPED: Record<string, (text: string, now: Date) => string> = {
  custom: (text, now) => JSON.stringify({ Data: text, Timestamp: now.toISOString().replace(/\.\d+Z$/, 'Z') }),
  spdx: (text) => JSON.stringify(text),
};

/**
 * An in-toto Statement v1 (in-toto attestation framework, spec/v1/statement.md) as JSON text. The predicate's text goes in
 * as it is, so that no number and no unknown member of it changes. PREDICATE_INVALID if it is not a JSON object.
 */
export function makeStatement(options: {
  subject: { name: string | undefined; digests: Partial<Record<HashName, Uint8Array>> };
  type: string;
  predicateType: string;
  predicate: Uint8Array;
  now: Date;
}): string {
  const { subject, type, predicateType, predicate, now } = options;
  const digest = Object.fromEntries(
    Object.entries(subject.digests).map(([hash, bytes]) => [hash, serializeHex(bytes)]),
  );
  const head = JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ ...(subject.name !== undefined && { name: subject.name }), digest }],
    predicateType,
  });
  return `${head.slice(0, -1)},"predicate":${predicateText(type, predicate, now)}}`;
}

function predicateText(type: string, predicate: Uint8Array, now: Date): string {
  const invalid = (problem: string, cause?: unknown): InputError =>
    new InputError('PREDICATE_INVALID', `the predicate ${problem}`, {
      cause,
      hint: 'give a JSON object, or use --type custom for any other text',
    });
  let text: string;
  try {
    text = parseUtf8(predicate);
    const wrap = Object.hasOwn(WRAPPED, type) ? WRAPPED[type] : undefined;
    if (wrap !== undefined) return wrap(text, now);
    const value = parseJson(text);
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw invalid('is not a JSON object');
  } catch (cause) {
    if (!(cause instanceof HallmarkError) || cause.code === 'PREDICATE_INVALID') throw cause;
    throw invalid(`cannot be used: ${cause.message}`, cause);
  }
  return text.trim();
}
