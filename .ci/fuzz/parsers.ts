// The parsers of outside data, one row each: what they start from, how it is changed, and what has to hold of what they accept.
import {
  parseBundle,
  parseTransparencyLogEntry,
  serializeBundle,
  serializeTransparencyLogEntry,
} from '../../core/bundle/bundle.ts';
import { parseEntryBody } from '../../core/bundle/entry.ts';
import { equal, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { Fields } from '../../core/bytes/fields.ts';
import { canonicalizeJson, parseJson } from '../../core/bytes/json.ts';
import { parseSignedData } from '../../core/cms/signed-data.ts';
import { verifySignerInfo } from '../../core/cms/verify.ts';
import { parsePem, serializePem } from '../../core/crypto/pem.ts';
import { parsePrivateKey, serializePrivateKey } from '../../core/crypto/private-key.ts';
import { parsePublicKeyPem, serializePublicKeyPem } from '../../core/crypto/public-key.ts';
import { parseEnvelope, preAuthEncoding, serializeEnvelope } from '../../core/dsse/envelope.ts';
import { parseStatement } from '../../core/dsse/statement.ts';
import { serializeStatement } from '../../core/dsse/testing.ts';
import { parseCheckpoint } from '../../core/merkle/checkpoint.ts';
import { parseNote, serializeNote } from '../../core/merkle/note.ts';
import { leafHash, verifyConsistency, verifyInclusion } from '../../core/merkle/tree.ts';
import { parseVkey, serializeVkey } from '../../core/merkle/vkey.ts';
import { parseIdentityToken, possessionText } from '../../core/sign/identity-token.ts';
import { parseTimestampRequest, serializeTimestampRequest } from '../../core/timestamp/request.ts';
import { parseTimestampResponse } from '../../core/timestamp/response.ts';
import { verifySignedTimestamp } from '../../core/timestamp/verify.ts';
import { parseClientTrustConfig } from '../../core/trust/client-trust-config.ts';
import { parseSigningConfig, serializeSigningConfig } from '../../core/trust/signing-config.ts';
import { parseTrustedRoot, serializeTrustedRoot } from '../../core/trust/trusted-root.ts';
import {
  parseRoot,
  parseSnapshot,
  parseTargets,
  parseTimestamp,
  verifyMetadata,
} from '../../core/trust/tuf/metadata.ts';
import { requiredHashes } from '../../core/verify/artifact.ts';
import { verifyBundle } from '../../core/verify/verify.ts';
import { parseCertificate, parseCertificatesPem } from '../../core/x509/certificate.ts';
import { verifyChain } from '../../core/x509/chain.ts';
import { parseCertificateRequest } from '../../core/x509/csr.ts';
import { fulcioClaims, oidcIssuer } from '../../core/x509/fulcio.ts';
import { commonName, organization, subjectAlternativeNames } from '../../core/x509/names.ts';
import { verifyEmbeddedScts } from '../../core/x509/sct.ts';
import { requireGitPayload } from '../../gitsign/agent-payload.ts';
import {
  messageReader,
  parseAnswer,
  parseRequest,
  parseToken,
  serializeAnswer,
  serializeRequest,
} from '../../gitsign/agent-protocol.ts';
import { parseEmbeddedEntry, serializeEmbeddedEntry } from '../../gitsign/log-entry.ts';
import { parseSignedObject } from '../../gitsign/object.ts';
import { loggedObjectIds } from '../../gitsign/object-id.ts';
import { makerOf } from '../../gitsign/person.ts';
import { parseGitPolicy } from '../../gitsign/policy.ts';
import { isOurArmor, parseArmor, parseCmsSignature } from '../../gitsign/signature.ts';
import { objectStatement } from '../../gitsign/statement.ts';
import { verifyGitSignature } from '../../gitsign/verify.ts';
import { parseAddCheckpoint, serializeAddCheckpoint } from '../../tlog/add-checkpoint.ts';
import { attempt, requireSame } from './properties.ts';
import * as seeds from './seeds.ts';

export interface Parser {
  readonly shape: 'der' | 'json' | 'text' | 'token';
  readonly seeds: () => Uint8Array[];
  /**
   * Parses, and does with what is accepted what its users do. Throws an error of ours for what is refused; every other error is
   * a fault, as is a second parse that gives something else than the first.
   */
  readonly parse: (input: Uint8Array) => void;
}

/** What stands before the checkpoint in a request to a witness. */
const ADD_CHECKPOINT = `old 12\n${`${Buffer.alloc(32, 7).toString('base64')}\n`.repeat(3)}\n`;
const text = (input: Uint8Array): string => Buffer.from(input).toString();
const once = <T>(make: () => T): (() => T) => {
  let value: T | undefined;
  return () => {
    value ??= make();
    return value;
  };
};
const root = once(() => parseTrustedRoot(seeds.trustedRoots()[0] as Uint8Array));
const tufRoot = once(() =>
  parseRoot(
    seeds
      .tufMetadata()
      .find((file) => text(file).includes('"_type": "root"') || text(file).includes('"_type":"root"')) as Uint8Array,
  ),
);
const AT = new Date('2026-01-01T00:00:00Z');

/** Only what our server publishes is ever written: whole seconds, no URL that ends in a slash. The rest has no written form. */
function publishable(serialize: () => string): string | undefined {
  try {
    return serialize();
  } catch (error) {
    if (error instanceof Error && /^internal: (?:published URL|validFor)/.test(error.message)) return undefined;
    throw error;
  }
}

export const PARSERS: Readonly<Record<string, Parser>> = {
  certificate: {
    shape: 'der',
    seeds: seeds.certificates,
    parse(input) {
      const certificate = parseCertificate(input);
      requireSame('the DER', certificate.der, input);
      attempt(() => certificate.publicKey);
      attempt(() => subjectAlternativeNames(certificate));
      attempt(() => fulcioClaims(certificate));
      attempt(() => oidcIssuer(certificate));
      for (const name of [certificate.issuerName, certificate.subjectName]) {
        attempt(() => commonName(name));
        attempt(() => organization(name));
      }
      for (const { chain } of root().certificateAuthorities) {
        attempt(() => verifyChain(certificate, chain.slice(0, -1), chain.slice(-1), AT, 'codeSigning'));
        attempt(() => verifyEmbeddedScts(certificate, chain[0] ?? certificate, root().ctlogs, 1));
      }
    },
  },
  'certificate-request': {
    shape: 'der',
    seeds: seeds.certificateRequests,
    parse: (input) => void parseCertificateRequest(input),
  },
  cms: {
    shape: 'der',
    seeds: seeds.cmsMessages,
    parse(input) {
      const { signerInfos, certificates, contentType, content } = parseSignedData(input);
      for (const der of certificates) {
        const certificate = attempt(() => parseCertificate(der));
        for (const signer of signerInfos) {
          if (certificate) attempt(() => verifySignerInfo(signer, contentType, content ?? input, certificate));
        }
      }
    },
  },
  'timestamp-response': {
    shape: 'der',
    seeds: seeds.timestamps,
    parse(input) {
      const timestamp = parseTimestampResponse(input);
      attempt(() => verifySignedTimestamp(timestamp, input, root().timestampAuthorities));
    },
  },
  'timestamp-request': {
    shape: 'der',
    seeds: seeds.timestampRequests,
    parse: (input) => requireSame('the request', serializeTimestampRequest(parseTimestampRequest(input)), input),
  },
  json: {
    shape: 'json',
    seeds: () => [...seeds.bundles(), ...seeds.tufMetadata()],
    parse(input) {
      const value = parseJson(input);
      const canonical = canonicalizeJson(value);
      requireSame('canonical JSON', canonicalizeJson(parseJson(canonical)), canonical);
      requireSame('the value', parseJson(JSON.stringify(value)), value);
    },
  },
  envelope: {
    shape: 'json',
    seeds: seeds.envelopes,
    parse(input) {
      const envelope = parseEnvelope(input);
      requireSame('the envelope', parseEnvelope(serializeEnvelope(envelope)), envelope);
      preAuthEncoding(envelope.payloadType, envelope.payload);
    },
  },
  statement: {
    shape: 'json',
    seeds: seeds.statements,
    parse(input) {
      const statement = parseStatement(input);
      requireSame('the statement', parseStatement(serializeStatement(statement)), statement);
    },
  },
  checkpoint: {
    shape: 'text',
    seeds: seeds.checkpoints,
    parse(input) {
      const note = text(input);
      requireSame('the note', serializeNote(parseNote(note)), note);
      parseCheckpoint(note);
    },
  },
  verifierKey: {
    shape: 'text',
    seeds: seeds.verifierKeys,
    parse: (input) => requireSame('the verifier key', serializeVkey(parseVkey(text(input))), text(input)),
  },
  addCheckpoint: {
    shape: 'text',
    seeds: () => seeds.checkpoints().map((note) => Buffer.concat([Buffer.from(ADD_CHECKPOINT), note])),
    parse(input) {
      const request = parseAddCheckpoint(text(input));
      requireSame('the request', serializeAddCheckpoint(request), text(input));
      parseCheckpoint(request.checkpoint);
    },
  },
  proof: {
    shape: 'json',
    seeds: seeds.logEntries,
    parse(input) {
      const fields = (json: Uint8Array | string): Fields => new Fields(parseJson(json), '', 'BUNDLE_INVALID');
      const entry = parseTransparencyLogEntry(fields(input));
      const again = JSON.stringify(serializeTransparencyLogEntry(entry));
      requireSame('the entry', parseTransparencyLogEntry(fields(again)), entry);
      const { inclusionProof: proof, canonicalizedBody } = entry;
      if (proof === undefined) return;
      attempt(() => verifyInclusion({ ...proof, index: proof.logIndex, leafHash: leafHash(canonicalizedBody) }));
      const { rootHash, treeSize, hashes } = proof;
      const trees = { firstRoot: rootHash, secondRoot: rootHash, hashes };
      attempt(() => verifyConsistency({ ...trees, firstSize: proof.logIndex, secondSize: treeSize }));
    },
  },
  'entry-body': { shape: 'json', seeds: seeds.entryBodies, parse: (input) => void parseEntryBody(input) },
  bundle: {
    shape: 'json',
    seeds: seeds.bundles,
    parse(input) {
      const bundle = parseBundle(input);
      const again = attempt(() => serializeBundle(bundle));
      if (again !== undefined) requireSame('the bundle', serializeBundle(parseBundle(serializeUtf8(again))), again);
      attempt(() => requiredHashes(bundle));
      const any = { kind: 'exact', value: 'nobody' } as const;
      const policy = { identities: [{ issuer: any, subjectAlternativeName: any }] };
      const artifact = { digests: { sha256: new Uint8Array(32) } };
      attempt(() => verifyBundle(bundle, { trustedRoot: root(), policy, artifact, now: AT }));
    },
  },
  'trusted-root': {
    shape: 'json',
    seeds: seeds.trustedRoots,
    parse(input) {
      const parsed = parseTrustedRoot(input);
      const { tlogs, ctlogs, certificateAuthorities, timestampAuthorities } = parsed;
      for (const log of [...tlogs, ...ctlogs]) attempt(() => log.publicKey);
      for (const authority of [...certificateAuthorities, ...timestampAuthorities]) attempt(() => authority.chain);
      const again = publishable(() => serializeTrustedRoot(parsed));
      if (again === undefined) return;
      requireSame('the trusted root', serializeTrustedRoot(parseTrustedRoot(serializeUtf8(again))), again);
    },
  },
  'signing-config': {
    shape: 'json',
    seeds: seeds.signingConfigs,
    parse(input) {
      const config = parseSigningConfig(input);
      const again = publishable(() => serializeSigningConfig(config));
      if (again !== undefined) requireSame('the signing config', parseSigningConfig(serializeUtf8(again)), config);
    },
  },
  'client-trust-config': {
    shape: 'json',
    seeds: () =>
      seeds
        .signingConfigs()
        .map((config) =>
          serializeUtf8(
            `{"mediaType":"application/vnd.dev.sigstore.clienttrustconfig.v0.1+json","trustedRoot":${text(seeds.trustedRoots()[0] as Uint8Array)},"signingConfig":${text(config)}}`,
          ),
        ),
    parse: (input) => void parseClientTrustConfig(input),
  },
  tuf: {
    shape: 'json',
    seeds: seeds.tufMetadata,
    parse(input) {
      const parsers = [parseRoot, parseTimestamp, parseSnapshot, parseTargets];
      for (const parse of parsers) {
        const metadata = attempt(() => parse(input));
        if (metadata !== undefined) attempt(() => verifyMetadata(metadata, tufRoot().signed));
      }
    },
  },
  keys: {
    shape: 'text',
    seeds: seeds.keyFiles,
    parse(input) {
      const pem = text(input);
      const blocks = attempt(() => parsePem(pem));
      if (blocks !== undefined) {
        const again = blocks.map(({ label, der }) => serializePem(label, der)).join('');
        requireSame('the blocks', parsePem(again), blocks);
      }
      const publicKey = attempt(() => parsePublicKeyPem(pem));
      if (publicKey !== undefined) {
        requireSame('the public key', parsePublicKeyPem(serializePublicKeyPem(publicKey)).spki, publicKey.spki);
      }
      const privateKey = attempt(() => parsePrivateKey(pem, undefined));
      if (privateKey !== undefined) {
        const { spki } = parsePrivateKey(serializePrivateKey(privateKey), undefined).publicKey;
        if (!equal(spki, privateKey.publicKey.spki)) throw new Error('another private key');
      }
      attempt(() => parseCertificatesPem(pem));
      if (blocks === undefined) parsePem(pem);
    },
  },
  'identity-token': {
    shape: 'token',
    seeds: seeds.identityTokens,
    parse: (input) => void possessionText(parseIdentityToken(text(input))),
  },
  'agent-message': {
    shape: 'json',
    seeds: seeds.agentMessages,
    parse(header) {
      const framed = (bytes: Uint8Array) => messageReader()(bytes)[0] as { header: Uint8Array; body: Uint8Array };
      for (const body of [seeds.gitPayloads()[0] as Uint8Array, new Uint8Array()]) {
        const message = { header, body };
        const request = attempt(() => parseRequest(message));
        if (request) requireSame('the request', parseRequest(framed(serializeRequest(request))), request);
        const answer = attempt(() => parseAnswer(message));
        if (answer) requireSame('the answer', parseAnswer(framed(serializeAnswer(answer))), answer);
        attempt(() => parseToken(message));
      }
      parseRequest({ header, body: new Uint8Array() });
    },
  },
  'agent-payload': {
    shape: 'text',
    seeds: seeds.gitPayloads,
    parse: (input) => requireGitPayload(input),
  },
  'git-object': {
    shape: 'text',
    seeds: seeds.gitObjects,
    parse(body) {
      for (const kind of ['commit', 'tag'] as const) {
        const object = attempt(() => parseSignedObject(kind, body, 'sha1'));
        if (object?.signature === undefined) continue;
        attempt(() => makerOf(object.payload));
        attempt(() => loggedObjectIds(object.payload, object.signature as Uint8Array));
        attempt(() => objectStatement(object, { id: '', format: 'sha1', url: undefined, signerInfo: [] }));
        isOurArmor(object.signature);
        attempt(() => parseArmor(object.signature as Uint8Array));
      }
      parseSignedObject('commit', body, 'sha1');
    },
  },
  'git-signature': {
    shape: 'der',
    seeds: seeds.gitSignatures,
    parse(der) {
      const signature = parseCmsSignature(der);
      const options = { trustedRootFor: root, now: AT };
      attempt(() => verifyGitSignature(new Uint8Array(), new Uint8Array(), signature, options));
      if (signature.entry === undefined) return;
      const again = parseEmbeddedEntry(serializeEmbeddedEntry(signature.entry));
      requireSame('the entry', again, signature.entry);
    },
  },
  'git-policy': {
    shape: 'json',
    seeds: seeds.gitPolicies,
    parse: (input) => void parseGitPolicy(parseJson(input)),
  },
};
