import { serializeHex, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { sha256 } from '../../core/crypto/hash.ts';
import { MAX_ENTRY_NAMES } from '../../core/limits.ts';
import { parseEntryExtra } from '../entry-extra.ts';
import type { Leaf } from '../store.ts';
import { type EntryFacts, type EntrySigner, entryFacts } from './entry-facts.ts';

/** What an entry is found by, beside the beginnings of its identities. */
export type TermKind =
  | 'digest'
  | 'key'
  | 'subject'
  | 'fingerprint'
  | 'domain'
  | 'issuer'
  | 'serial'
  | 'repository'
  | 'commit';

/**
 * The key of a term: a hash of its kind and value, so that a value of one kind is never found as another. Case does not
 * matter, as in Rekor v1.
 */
export const termKey = (kind: TermKind, value: string): Uint8Array =>
  sha256(serializeUtf8(`search ${kind} ${value.toLowerCase()}`));

/** An entry as it is found. */
export interface EntryTerms {
  readonly facts: EntryFacts;
  /** Of what its body tells, and of what was kept beside it: the things that its statement is about. */
  readonly keys: readonly Uint8Array[];
  /** Its identities in lower case, each once. */
  readonly names: readonly string[];
}

/**
 * The terms of a stored entry: nothing but the entry is needed to find them. One that cannot be read at all has none, as it
 * must not keep the index from all that comes after it.
 */
export function entryTerms(entry: Pick<Leaf, 'body' | 'extra'>): EntryTerms {
  try {
    return readTerms(entry);
  } catch {
    return { facts: { kind: 'unknown', version: 'unknown', digests: [], signers: [] }, keys: [], names: [] };
  }
}

function readTerms({ body, extra }: Pick<Leaf, 'body' | 'extra'>): EntryTerms {
  const facts = entryFacts(body);
  const keys = [...parseEntryExtra(extra).searchKeys];
  for (const { algorithm, value } of facts.digests) keys.push(termKey('digest', `${algorithm}:${value}`));
  const names = new Set<string>();
  const isEnvelope = facts.kind === 'dsse' || facts.kind === 'intoto';
  for (const signer of facts.signers) {
    keys.push(...signerKeys(signer, isEnvelope));
    for (const { value } of signer.identities.slice(0, MAX_ENTRY_NAMES)) {
      names.add(value.toLowerCase());
      keys.push(termKey('subject', value));
      for (const domain of domainsOf(value)) keys.push(termKey('domain', domain));
    }
  }
  return { facts, keys, names: [...names] };
}

function signerKeys(signer: EntrySigner, isEnvelope: boolean): Uint8Array[] {
  const keys = [termKey('fingerprint', signer.key)];
  if (signer.pem !== undefined) {
    const pemHash = serializeHex(sha256(serializeUtf8(signer.pem)));
    // The public key of Rekor v1's own search: which certificate or key it was, not which key is in it.
    keys.push(termKey('key', pemHash));
    // So the reference finds those of envelopes: as if they were artifacts.
    if (isEnvelope) keys.push(termKey('digest', `sha256:${pemHash}`));
  }
  if (signer.serial !== undefined) keys.push(termKey('serial', signer.serial));
  if (signer.issuer !== undefined) keys.push(termKey('issuer', signer.issuer));
  if (signer.commit !== undefined) keys.push(termKey('commit', signer.commit));
  if (signer.repository !== undefined) keys.push(termKey('repository', repositoryName(signer.repository)));
  return keys;
}

/** The domain of an identity, an email address or a URI, and those above it but the last one. */
export function domainsOf(identity: string): string[] {
  const host =
    /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?([^/?#:]+)/i.exec(identity)?.[1] ??
    /[@!]([^@!]+)$/.exec(identity)?.[1] ??
    identity;
  const labels = host.toLowerCase().split('.');
  if (labels.length > MAX_DOMAIN_LABELS || labels.some((label) => !/^[a-z0-9_-]+$/.test(label))) return [];
  if (labels.length === 1) return labels;
  return labels.slice(0, -1).map((_, i) => labels.slice(i).join('.'));
}

/** Labels of a host that can exist (RFC 1035 §2.3.4) are up to 127; more than these have one identity alone. */
const MAX_DOMAIN_LABELS = 16;

/**
 * A repository as it is compared: without scheme, final slash and `.git`; GitHub's also without the host, as its older
 * certificates name it.
 */
export const repositoryName = (repository: string): string =>
  repository
    .toLowerCase()
    .replace(/^[a-z][a-z0-9+.-]*:\/\//, '')
    .replace(/^github\.com\//, '')
    .replace(/\/$/, '')
    .replace(/\.git$/, '');
