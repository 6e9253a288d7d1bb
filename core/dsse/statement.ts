import { Fields } from '../bytes/fields.ts';
import { type Json, parseJson } from '../bytes/json.ts';
import { MAX_STATEMENT_SUBJECTS } from '../limits.ts';

/** Values of `_type` that are understood: in-toto Statement v0.1 and v1, whose fields have the same meaning. */
const STATEMENT_TYPES = ['https://in-toto.io/Statement/v0.1', 'https://in-toto.io/Statement/v1'] as const;
type StatementType = (typeof STATEMENT_TYPES)[number];

/** A thing that a statement is about. `digest` is by algorithm name, mostly lower-case hexadecimal; own members only. */
interface StatementSubject {
  readonly name?: string;
  readonly digest: Readonly<Record<string, string>>;
}

/** An in-toto statement. `predicate` is null if it has none. */
export interface Statement {
  readonly type: StatementType;
  readonly subjects: readonly StatementSubject[];
  readonly predicateType: string;
  readonly predicate: Json;
}

/**
 * Parses the payload of type application/vnd.in-toto+json: known `_type`, at least one subject, each with a digest. Fields
 * that are not known are ignored, as the specification asks (in-toto attestation v1, parsing rules). STATEMENT_INVALID
 */
export function parseStatement(payload: Uint8Array): Statement {
  const fields = new Fields(parseJson(payload), '', 'STATEMENT_INVALID');
  const type = fields.string('_type');
  if (!isStatementType(type)) throw fields.fail('_type', `not one of ${STATEMENT_TYPES.join(', ')}`);
  const subjects = fields.objects('subject', MAX_STATEMENT_SUBJECTS).map(parseSubject);
  if (subjects.length === 0) throw fields.fail('subject', 'missing');
  const predicateType = fields.string('predicateType');
  if (predicateType === '') throw fields.fail('predicateType', 'empty');
  return { type, subjects, predicateType, predicate: fields.json('predicate') ?? null };
}

const isStatementType = (type: string): type is StatementType => (STATEMENT_TYPES as readonly string[]).includes(type);

function parseSubject(subject: Fields): StatementSubject {
  const name = subject.optionalString('name');
  const set = subject.object('digest');
  // Without prototype, so that `__proto__` is a name like any other.
  const digest: Record<string, string> = Object.create(null);
  for (const algorithm of set.keys()) digest[algorithm] = set.string(algorithm);
  if (set.keys().length === 0) throw subject.fail('digest', 'empty');
  return { ...(name === undefined ? {} : { name }), digest };
}
