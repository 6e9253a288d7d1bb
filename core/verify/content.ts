import type { Bundle } from '../bundle/bundle.ts';
import type { HashName } from '../crypto/hash.ts';
import { preAuthEncoding } from '../dsse/envelope.ts';
import { VerificationError } from '../errors.ts';

/** What a bundle's one signature is over. `signature` is also what timestamps are about and what log entries repeat. */
export type SignedContent =
  | {
      readonly kind: 'message';
      readonly signature: Uint8Array;
      readonly digest: { readonly hash: HashName; readonly digest: Uint8Array } | undefined;
    }
  | {
      readonly kind: 'dsse';
      readonly signature: Uint8Array;
      readonly payloadType: string;
      readonly payload: Uint8Array;
      /** A hint that nobody signed. */
      readonly keyid: string;
      /** The bytes that are signed: PAE(payloadType, payload). */
      readonly encoding: Uint8Array;
    };

/** The bundle's content with its one signature; an envelope with none or several is refused (client specification §4.1). */
export function requireOneSignature(bundle: Bundle): SignedContent {
  const { content } = bundle;
  if (content.kind === 'message') return { kind: 'message', signature: content.signature, digest: content.digest };
  const { payloadType, payload, signatures } = content.envelope;
  const [only, ...others] = signatures;
  if (only === undefined || others.length > 0) {
    throw new VerificationError(
      'SIGNATURE_INVALID',
      'parse',
      `the envelope has ${signatures.length} signatures, not one`,
      {
        evidence: 'dsseEnvelope.signatures',
      },
    );
  }
  const encoding = preAuthEncoding(payloadType, payload);
  return { kind: 'dsse', signature: only.sig, payloadType, payload, keyid: only.keyid, encoding };
}
