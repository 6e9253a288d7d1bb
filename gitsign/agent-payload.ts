import { StorageError } from '../core/errors.ts';

/** Lines that are looked at; a commit that merges this many is no commit that git wrote. */
const MAX_LINES = 10_000;
const LF = 0x0a;

const ID = '(?:[0-9a-f]{40}|[0-9a-f]{64})';
const PERSON = '.*<.*> -?[0-9]+ [+-][0-9]{4,6}';
const HEADER = '[a-z][a-z0-9-]* .*';

/** One line of a payload, and how often it comes: once, or any number of times. */
type Line = readonly [pattern: RegExp, often: 'once' | 'any'];

// The dot takes a carriage return too.
const line = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`, 's');

/** The lines before the blank one, in their order, of the three things that git has signed (gitformat, git-push). */
const FORMS: readonly (readonly Line[])[] = [
  [
    [line(`tree ${ID}`), 'once'],
    [line(`parent ${ID}`), 'any'],
    [line(`author ${PERSON}`), 'once'],
    [line(`committer ${PERSON}`), 'once'],
    [line(`${HEADER}| .*`), 'any'],
  ],
  [
    [line(`object ${ID}`), 'once'],
    [line('type (?:commit|tag|tree|blob)'), 'once'],
    [line('tag .+'), 'once'],
    [line(`tagger ${PERSON}`), 'once'],
    [line(`${HEADER}| .*`), 'any'],
  ],
  [
    [line('certificate version 0\\.1'), 'once'],
    [line('pusher .+ [0-9]+ [+-][0-9]{4,6}'), 'once'],
    [line('(?:pushee|nonce|push-option) .*'), 'any'],
  ],
];

/**
 * Throws AGENT_REFUSED unless the payload is a commit, an annotated tag or a push certificate as git writes them, without a
 * signature: what an agent signs can be nothing else, whoever asks.
 */
export function requireGitPayload(payload: Uint8Array): void {
  const headers = headerLines(payload);
  if (headers !== undefined && FORMS.some((form) => matches(headers, form))) return;
  throw new StorageError('AGENT_REFUSED', 'the agent signs commits, tags and push certificates, and this is none', {
    hint: 'sign it with: hallmark sign',
  });
}

// The lines before the blank one, which has to be there.
function headerLines(payload: Uint8Array): string[] | undefined {
  const lines: string[] = [];
  for (let at = 0; lines.length < MAX_LINES; ) {
    const end = payload.indexOf(LF, at);
    if (end < 0) return undefined;
    if (end === at) return lines;
    lines.push(Buffer.from(payload.buffer, payload.byteOffset + at, end - at).toString('latin1'));
    at = end + 1;
  }
  return undefined;
}

function matches(lines: readonly string[], form: readonly Line[]): boolean {
  let at = 0;
  for (const [pattern, often] of form) {
    if (often === 'once') {
      if (!pattern.test(lines[at] ?? '')) return false;
      at++;
    } else {
      while (at < lines.length && isPlain(lines[at] as string) && pattern.test(lines[at] as string)) at++;
    }
  }
  return at === lines.length;
}

// A header of a signature is none of the payload; NUL ends what some readers see.
const isPlain = (text: string): boolean => !/^gpgsig(?:-sha256)? |\0/.test(text);
