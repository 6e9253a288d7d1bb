import type { TransparencyLogEntry } from '../bundle/bundle.ts';
import { serializeDsseV001, serializeHashedRekordV002 } from '../bundle/entry.ts';
import { parseSignatureVerifier } from '../bundle/entry-v2.ts';
import { parseBase64, parseUtf8, serializeBase64, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { parseJson } from '../bytes/json.ts';
import { KEY_DETAILS } from '../crypto/algorithms.ts';
import { sha256 } from '../crypto/hash.ts';
import { parseEnvelope } from '../dsse/envelope.ts';

/** Test only: what a Rekor v1 log stores of a request to log an envelope. */
export function dsseBodyV001(request: Uint8Array): Uint8Array {
  const proposed = new Fields(parseJson(request), '', 'ENTRY_INVALID').object('spec').object('proposedContent');
  const text = proposed.string('envelope');
  const [verifier] = proposed.array('verifiers', 1);
  const envelope = parseEnvelope(text);
  return serializeDsseV001({
    envelopeHash: { hash: 'sha256', digest: sha256(serializeUtf8(text)) },
    payloadHash: { hash: 'sha256', digest: sha256(envelope.payload) },
    signatures: envelope.signatures.map(({ sig }) => ({
      signature: sig,
      verifierPem: parseUtf8(parseBase64(String(verifier))),
    })),
  });
}

/** Test only: what a Rekor v2 log stores of a request. */
export function hashedRekordBodyV002(request: Uint8Array): Uint8Array {
  const asked = new Fields(parseJson(request), '', 'ENTRY_INVALID').object('hashedRekordRequestV002');
  const signature = asked.object('signature');
  const verifier = parseSignatureVerifier(signature.object('verifier'));
  return serializeHashedRekordV002({
    hash: KEY_DETAILS[verifier.keyDetails].hash ?? 'sha512',
    digest: asked.bytes('digest'),
    signature: signature.bytes('content'),
    ...verifier,
  });
}

/** Test only: an entry as Rekor v1 answers it. */
export function logEntryV1(id: string, entry: TransparencyLogEntry): object {
  const { inclusionProof: proof, inclusionPromise } = entry;
  return {
    [id]: {
      body: serializeBase64(entry.canonicalizedBody),
      integratedTime: Number(entry.integratedTime ?? 0n),
      logID: serializeHex(entry.logId),
      logIndex: Number(entry.logIndex),
      verification: {
        ...(inclusionPromise && { signedEntryTimestamp: serializeBase64(inclusionPromise) }),
        inclusionProof: {
          logIndex: Number(proof?.logIndex),
          rootHash: serializeHex(proof?.rootHash ?? new Uint8Array()),
          treeSize: Number(proof?.treeSize),
          hashes: proof?.hashes.map(serializeHex),
          checkpoint: proof?.checkpoint,
        },
      },
    },
  };
}
