// What the fuzzers start from: the test data beside the checkout, and a few inputs that are made here.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bitString, contextTag, element, integer, sequence } from '../../core/asn1/der.ts';
import { sharedPath } from '../../core/bytes/shared-data.ts';
import { generateKey, sign } from '../../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../../core/crypto/public-key.ts';
import { serializeVkey, vkeyOf } from '../../core/merkle/vkey.ts';
import { serializeTimestampRequest } from '../../core/timestamp/request.ts';
import { serializeSignatureAlgorithm } from '../../core/x509/algorithms.ts';
import { distinguishedName } from '../../core/x509/build.ts';
import { corpusItems } from '../../core/x509/testing.ts';
import { messageReader, serializeAnswer, serializeRequest, serializeToken } from '../../gitsign/agent-protocol.ts';
import { COMMIT, requestOf, tokenOf } from '../../gitsign/testing-agent.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const MAX_SEEDS = 60;

/** Documents of a folder that hold these members, each once; not so many that the rare ones drown. */
function documents(folders: readonly string[], ...members: readonly string[]): Uint8Array[] {
  const found = folders
    .flatMap((folder) => filesBelow(sharedPath(folder)))
    .filter((path) => /json|sigstore|provenance|attestation/.test(path))
    .map((path) => readFileSync(path, 'utf8'))
    .flatMap((text) => [text, ...text.split('\n')])
    .filter((text) => (text.startsWith('{') && text.endsWith('}')) || text.endsWith('}\n'))
    .filter((text) => members.every((member) => text.includes(`"${member}"`)) && isJson(text));
  return [...new Set(found)].slice(0, MAX_SEEDS).map(utf8);
}

function filesBelow(folder: string | undefined): string[] {
  if (folder === undefined || !existsSync(folder)) return [];
  if (!statSync(folder).isDirectory()) return [folder];
  return readdirSync(folder)
    .sort()
    .flatMap((name) => filesBelow(join(folder, name)));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export const bundles = (): Uint8Array[] =>
  documents(['corpus/conformance', 'corpus/bundles'], 'verificationMaterial', 'mediaType');

type Parts = Record<string, unknown>;

/** Every value under this name in the bundles. */
function partsOfBundles(name: string): unknown[] {
  const found: unknown[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, member] of Object.entries(value as Parts)) {
      if (key === name) found.push(member);
      else walk(member);
    }
  };
  for (const bundle of bundles()) walk(JSON.parse(Buffer.from(bundle).toString()));
  return found;
}

const unique = (items: readonly Uint8Array[]): Uint8Array[] =>
  [...new Map(items.map((item) => [Buffer.from(item).toString('base64'), item])).values()].slice(0, MAX_SEEDS);

const base64Parts = (name: string): Uint8Array[] =>
  unique(partsOfBundles(name).map((text) => new Uint8Array(Buffer.from(String(text), 'base64'))));

export const certificates = (): Uint8Array[] => unique(corpusItems('certificates').map(({ der }) => der));
export const timestamps = (): Uint8Array[] => unique(corpusItems('timestamps').map(({ der }) => der));
export const envelopes = (): Uint8Array[] =>
  unique(partsOfBundles('dsseEnvelope').map((each) => utf8(JSON.stringify(each))));
export const statements = (): Uint8Array[] => base64Parts('payload');
export const checkpoints = (): Uint8Array[] => unique(partsOfBundles('envelope').map((text) => utf8(String(text))));
/** The example of C2SP signed-note, and keys of witnesses. */
export const verifierKeys = (): Uint8Array[] => [
  utf8('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'),
  ...['w', 'witness.example.com/w1'].map((name) =>
    utf8(serializeVkey(vkeyOf(name, 'witness', generateKey('ed25519').publicKey))),
  ),
];
export const entryBodies = (): Uint8Array[] => base64Parts('canonicalizedBody');
export const logEntries = (): Uint8Array[] =>
  unique(
    partsOfBundles('tlogEntries')
      .flat()
      .map((each) => utf8(JSON.stringify(each))),
  );
export const trustedRoots = (): Uint8Array[] =>
  documents(['trust', 'corpus/conformance'], 'certificateAuthorities', 'tlogs');
export const signingConfigs = (): Uint8Array[] => documents(['trust'], 'rekorTlogUrls');
export const tufMetadata = (): Uint8Array[] => documents(['trust/tuf-public-good'], 'signed', 'signatures');

/** The signatures of git objects: CMS in PEM, with and without embedded log entries. */
export function cmsMessages(): Uint8Array[] {
  const objects = ['corpus/git/commit', 'corpus/git/tag', 'corpus/git/fixtures'].flatMap((folder) =>
    filesBelow(sharedPath(folder)),
  );
  const signatures = objects.flatMap((path) => {
    const text = readFileSync(path, 'utf8').replaceAll('\n ', '\n');
    const [, body] = /-----BEGIN SIGNED MESSAGE-----\n([\s\S]*?)-----END/.exec(text) ?? [];
    return body === undefined ? [] : [new Uint8Array(Buffer.from(body, 'base64'))];
  });
  // A timestamp is CMS behind a status.
  const tokens = timestamps().map((response) => response.subarray(response[1] === 0x82 ? 9 : 8));
  return unique([...signatures.slice(0, MAX_SEEDS / 2), ...tokens]);
}

export function keyFiles(): Uint8Array[] {
  const folder = join(import.meta.dir, '../../core/crypto/testdata');
  const kinds = ['p256', 'p384', 'p521', 'ed25519'] as const;
  return [
    ...filesBelow(folder)
      .filter((path) => path.endsWith('.pem'))
      .map((path) => readFileSync(path)),
    ...kinds.map((kind) => utf8(serializePublicKeyPem(generateKey(kind).publicKey))),
    ...filesBelow(sharedPath('corpus/conformance'))
      .filter((path) => path.endsWith('key.pub'))
      .map((path) => readFileSync(path)),
    ...certificates()
      .slice(0, 4)
      .map((der) => utf8(pem('CERTIFICATE', der))),
  ].map((bytes) => new Uint8Array(bytes));
}

const pem = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der)
    .toString('base64')
    .replaceAll(/(.{64})(?=.)/g, '$1\n')}\n-----END ${label}-----\n`;

/** PKCS#10 (RFC 2986 §4) of each kind of key. */
export function certificateRequests(): Uint8Array[] {
  return (['p256', 'p384', 'ed25519'] as const).map((kind) => {
    const key = generateKey(kind);
    const name = distinguishedName({ organization: 'test', commonName: 'somebody' });
    const info = sequence(integer(0), name, key.publicKey.spki, element(contextTag(0)));
    return sequence(info, serializeSignatureAlgorithm(key.publicKey), bitString(sign(key, info)));
  });
}

export function timestampRequests(): Uint8Array[] {
  const imprint = (hash: 'sha256' | 'sha384' | 'sha512', bytes: number) => ({
    hash,
    digest: new Uint8Array(bytes).fill(7),
  });
  return [
    { imprint: imprint('sha256', 32), policy: undefined, nonce: 0x1234567890abcdefn, certificateRequested: true },
    { imprint: imprint('sha384', 48), policy: '1.3.6.1.4.1.57264.2', nonce: undefined, certificateRequested: false },
    { imprint: imprint('sha512', 64), policy: '2.999.1', nonce: -5n, certificateRequested: true },
  ].map(serializeTimestampRequest);
}

export function identityTokens(): Uint8Array[] {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    iss: 'https://issuer.example.com',
    sub: 'somebody',
    aud: ['sigstore', 'other'],
    exp: 2_000_000_000,
    iat: 1.5,
    nonce: 'n',
    email: 'a@example.com',
    email_verified: true,
    federated_claims: { connector_id: 'https://accounts.example.com', user_id: '1' },
  };
  return [claims, { ...claims, email_verified: 'True', aud: 'sigstore' }, { iss: 'i', sub: 's', aud: [], exp: 1 }].map(
    (each) => utf8(`${part({ alg: 'RS256', kid: '1', typ: 'JWT' })}.${part(each)}.${'c2ln'.repeat(20)}`),
  );
}

/** Headers of the messages between an agent and its clients. */
export function agentMessages(): Uint8Array[] {
  const signature = { cms: Uint8Array.of(1), certificate: Uint8Array.of(2), identity: 'a', issuer: 'b' };
  const held = { stack: 'lab', certificateAuthority: 'https://ca.example', identity: 'a', issuer: 'b', signatures: 3 };
  const messages = [
    serializeRequest(requestOf()),
    serializeRequest(requestOf({ source: { kind: 'token', issuer: 'https://i.example', tokenSubject: 's' } })),
    serializeRequest(requestOf({ stack: { kind: 'global' }, source: { kind: 'provider', name: 'GitHub Actions' } })),
    serializeRequest({ type: 'lock' }),
    serializeToken(tokenOf()),
    serializeAnswer({ type: 'login' }),
    serializeAnswer({ type: 'signed', ...signature, logEntries: [{ url: 'https://log.example', logIndex: 7n }] }),
    serializeAnswer({
      type: 'status',
      pid: 7,
      programVersion: '1.2.3',
      locked: true,
      identities: [{ ...held, notAfter: new Date(0) }],
    }),
    serializeAnswer({ type: 'refused', code: 'AGENT_LOCKED', message: 'm', hint: 'h' }),
  ];
  return messages.flatMap((bytes) => messageReader()(bytes).map(({ header }) => header));
}

/** What git has signed: a commit, a merge with further headers, a tag, a push certificate. */
export function gitPayloads(): Uint8Array[] {
  const commit = Buffer.from(COMMIT).toString();
  const id = '1'.repeat(40);
  return [
    commit,
    commit
      .replace('author', `parent ${id}\nparent ${id}\nauthor`)
      .replace('\n\n', `\nmergetag object ${id}\n type commit\n\n`),
    `object ${id}\ntype commit\ntag v1\ntagger A <a@example.com> 1700000000 +0100\n\nm\n`,
    `certificate version 0.1\npusher A <a@example.com> 1700000000 +0100\nnonce n\n\n${id} ${id} refs/heads/main\n`,
  ].map(utf8);
}

/** Signed objects of gitsign's own history, bodies as git stores them. */
export function gitObjects(): Uint8Array[] {
  const objects = [...filesBelow(sharedPath('corpus/git/commit')), ...filesBelow(sharedPath('corpus/git/tag'))];
  return [
    ...unique(objects.map((path) => new Uint8Array(readFileSync(path)))).slice(0, MAX_SEEDS / 2),
    ...gitPayloads(),
  ];
}

/** Their signatures, those with an entry in them first. */
export const gitSignatures = (): Uint8Array[] =>
  cmsMessages().filter((der) => Buffer.from(der).includes('hashedrekord'));

export function gitPolicies(): Uint8Array[] {
  const identities = [{ issuer: 'https://i.example', subjectAlternativeName: { glob: '**@example.com' } }];
  return [
    { version: 1, rules: [{ name: 'all', identities }] },
    {
      version: 1,
      rules: [{ name: 'a', identities, branches: ['main', 'release/*'], paths: ['x/**'], committer: 'anybody' }],
    },
    { version: 1, rules: [{ name: 'b', identities: [{ from: 'github:o/r' }], tags: ['v*'] }] },
  ].map((policy) => utf8(JSON.stringify(policy)));
}
