import { headersEnd } from './object.ts';

/** Who made an object, as its header says; nobody vouches for it. */
export interface Person {
  readonly name: string;
  readonly email: string;
}

/**
 * The committer of a commit, the tagger of a tag or the pusher of a push certificate. Undefined if there is none, if there are
 * several, or if the line is not one that git writes.
 */
export function makerOf(payload: Uint8Array): Person | undefined {
  const headers = Buffer.from(payload.subarray(0, headersEnd(payload))).toString('utf8');
  const found = [...headers.matchAll(/^(?:committer|tagger|pusher) (.*)$/gm)];
  if (found.length !== 1) return undefined;
  const [, name, email] = /^([^<>]*) ?<([^<>]*)> -?[0-9]+ [+-][0-9]{4,6}$/.exec(found[0]?.[1] ?? '') ?? [];
  return name === undefined || email === undefined ? undefined : { name: name.trimEnd(), email };
}

/**
 * True if the signer is who made the object: of an email address the addresses are equal, of a URI or any other name the names.
 * Names are free text: an address there is not whoever has it.
 */
export function isMaker(maker: Person | undefined, subjectAlternativeName: string): boolean {
  if (maker === undefined) return false;
  const isAddress = subjectAlternativeName.includes('@') && !subjectAlternativeName.includes('://');
  return (isAddress ? maker.email : maker.name) === subjectAlternativeName;
}
