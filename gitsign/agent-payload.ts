import { StorageError } from '../core/errors.ts';

/** Lines that are looked at; a commit that merges this many is no commit that git wrote. */
const MAX_LINES = 10_000;
const LF = 0x0a;

/** One line of a payload, and how often it comes: once, or any number of times. */
type Line = readonly [is: (text: string) => boolean, often: 'once' | 'any'];

const ID = '(?:[0-9a-f]{40}|[0-9a-f]{64})';
const like = (pattern: string): Line[0] => {
  const whole = new RegExp(`^${pattern}$`);
  return (text) => whole.test(text);
};

/** Characters in which `> TIME ZONE` has to fit. */
const MAX_TIME_CHARS = 40;
const TIME = / -?[0-9]+ [+-][0-9]{4,6}$/;
const PERSON_TIME = /> -?[0-9]+ [+-][0-9]{4,6}$/;

// Only the end is matched: what comes before may be anything, of any length.
const signedBy =
  (header: string, time: RegExp): Line[0] =>
  (text) =>
    text.startsWith(`${header} `) && time.test(text.slice(-MAX_TIME_CHARS)) && text.length > header.length + 1;
const person =
  (header: string): Line[0] =>
  (text) =>
    signedBy(header, PERSON_TIME)(text) && text.includes('<');

// A header of a signature is none of the payload; NUL ends what some readers see.
const furtherHeader: Line[0] = (text) =>
  !text.includes('\0') && !/^gpgsig(?:-sha256)? /.test(text) && /^(?:[a-z][a-z0-9-]{0,60})? /.test(text);

/** The lines before the blank one, in their order, of the three things that git has signed (gitformat, git-push). */
const FORMS: readonly (readonly Line[])[] = [
  [
    [like(`tree ${ID}`), 'once'],
    [like(`parent ${ID}`), 'any'],
    [person('author'), 'once'],
    [person('committer'), 'once'],
    [furtherHeader, 'any'],
  ],
  [
    [like(`object ${ID}`), 'once'],
    [like('type (?:commit|tag|tree|blob)'), 'once'],
    [(text) => text.startsWith('tag ') && text.length > 4, 'once'],
    [person('tagger'), 'once'],
    [furtherHeader, 'any'],
  ],
  [
    [like('certificate version 0\\.1'), 'once'],
    [signedBy('pusher', TIME), 'once'],
    [(text) => /^(?:pushee|nonce|push-option) /.test(text), 'any'],
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
  for (const [is, often] of form) {
    if (often === 'any') {
      while (at < lines.length && is(lines[at] as string)) at++;
    } else {
      if (!is(lines[at] ?? '')) return false;
      at++;
    }
  }
  return at === lines.length;
}
