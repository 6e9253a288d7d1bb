import { createHash } from 'node:crypto';
import { serializeHex } from '../core/bytes/bytes.ts';
import type { Certificate } from '../core/x509/certificate.ts';

/** What the user's policy says of a signer whose signature is valid. */
export type TrustLevel = 'FULLY' | 'UNDEFINED' | 'NEVER';

/** The outcome of a verification, as git is told of it. */
export type Verdict =
  | {
      readonly kind: 'good';
      readonly certificate: Certificate;
      readonly name: string;
      readonly time: Date;
      readonly trust: TrustLevel;
    }
  /** Digest or signature is wrong. `certificate` is what the signature claims to be by. */
  | { readonly kind: 'bad'; readonly certificate: Certificate; readonly name: string }
  /** Anything else is wrong, or cannot be read. */
  | { readonly kind: 'error'; readonly certificate: Certificate | undefined };

const PREFIX = '[GNUPG:] ';
/** ECDSA and SHA-256 as OpenPGP numbers them (RFC 9580 §9.1, §9.5), and a signature of a binary document (§5.2.1). */
const ALGORITHMS = '19 8 00';
const UNKNOWN_KEY = '0'.repeat(40);

/** How gpg's protocol names the signer: SHA-1 of the certificate, as gitsign and gpgsm do. It is shown, never relied upon. */
export const statusFingerprint = ({ der }: Certificate): string =>
  serializeHex(createHash('sha1').update(der).digest());

/** The first line of every verification; git looks for the next one behind a line end. */
export const NEW_SIGNATURE = `${PREFIX}NEWSIG\n`;

/**
 * The status lines that follow NEWSIG (GnuPG's doc/DETAILS): one of GOODSIG, BADSIG and ERRSIG, and a TRUST line, without which
 * some versions of git take any level for reached.
 */
export function verdictLines(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'good': {
      const fingerprint = statusFingerprint(verdict.certificate);
      const seconds = Math.floor(verdict.time.getTime() / 1000);
      const day = verdict.time.toISOString().slice(0, 10);
      return lines(
        `GOODSIG ${fingerprint} ${statusName(verdict.name)}`,
        `VALIDSIG ${fingerprint} ${day} ${seconds} 0 4 0 ${ALGORITHMS} ${fingerprint}`,
        `TRUST_${verdict.trust} 0 shell`,
      );
    }
    case 'bad':
      return lines(
        `BADSIG ${statusFingerprint(verdict.certificate)} ${statusName(verdict.name)}`,
        'TRUST_UNDEFINED 0 shell',
      );
    case 'error': {
      const key = verdict.certificate === undefined ? UNKNOWN_KEY : statusFingerprint(verdict.certificate);
      return lines(`ERRSIG ${key} ${ALGORITHMS} 0 1 ${key}`, 'TRUST_UNDEFINED 0 shell');
    }
  }
}

/** Before a signature is made: older versions of git look for the next line behind a line end. */
export const BEGIN_SIGNING = `${PREFIX}BEGIN_SIGNING H8\n`;

/** After all of a signature was written. */
export const signatureCreated = (certificate: Certificate, now: Date): string =>
  lines(`SIG_CREATED D ${ALGORITHMS} ${Math.floor(now.getTime() / 1000)} ${statusFingerprint(certificate)}`);

const lines = (...texts: readonly string[]): string => texts.map((text) => `${PREFIX}${text}\n`).join('');

// Never empty, or git takes the next line for it; never with a line end, or it would be a status line of its own.
function statusName(name: string): string {
  const visible = name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return visible === '' ? 'unknown' : visible;
}
