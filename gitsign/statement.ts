import type { Json } from '../core/bytes/json.ts';
import { headersEnd, type ObjectFormat, type SignedObject } from './object.ts';

/** What a statement says beside the object itself. */
interface StatementContext {
  readonly id: string;
  readonly format: ObjectFormat;
  /** Of the repository, if it has one. */
  readonly url: string | undefined;
  /** Of each signer: signed attributes in base64, certificate in PEM. */
  readonly signerInfo: Json[];
}

/**
 * A commit or tag as in-toto statement with gitsign's predicate: what it holds, its signature, its signers. Text that is not
 * UTF-8 is shown as well as it can be: the object ID says what it is.
 */
export function objectStatement(
  object: SignedObject,
  { id, format, url, signerInfo }: StatementContext,
): { [key: string]: Json } {
  const headers = headersOf(object.payload);
  const one = (name: string): string => headers.find(([key]) => key === name)?.[1] ?? '';
  const isCommit = object.kind === 'commit';
  const message = Buffer.from(object.payload.subarray(headersEnd(object.payload) + 1)).toString('utf8');
  const source: { [key: string]: Json } = isCommit
    ? {
        tree: one('tree'),
        parents: headers.filter(([key]) => key === 'parent').map(([, value]) => value),
        author: person(one('author')),
        committer: person(one('committer')),
        message,
      }
    : { object: one('object'), object_type: one('type'), tag: one('tag'), tagger: person(one('tagger')), message };
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [
      {
        ...(url !== undefined && { name: url }),
        digest: { [format]: id, ...(!isCommit && { gitTag: id }) },
      },
    ],
    predicateType: `https://gitsign.sigstore.dev/predicate/${isCommit ? 'git' : 'tag'}/v0.1`,
    predicate: {
      source,
      signature: object.signature === undefined ? '' : Buffer.from(object.signature).toString('utf8'),
      signer_info: signerInfo,
    },
  };
}

// Names and values; a line that begins with a space goes on with the one before.
function headersOf(payload: Uint8Array): [string, string][] {
  const text = Buffer.from(payload.subarray(0, headersEnd(payload))).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(' '))
    .map((line) => {
      const at = line.indexOf(' ');
      return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
    });
}

// The instant alone, as protobuf writes one; the offset is of no use to a machine.
function person(line: string): Json {
  const [, name = line, email = '', seconds] = /^(.*?) ?<([^<>]*)> (\d{1,11}) [+-]\d{4}$/.exec(line) ?? [];
  if (seconds === undefined) return { name, email };
  return { name, email, date: `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}Z` };
}
