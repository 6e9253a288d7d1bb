import { equal } from '../core/bytes/bytes.ts';
import type { PrivateKey } from '../core/crypto/private-key.ts';
import { keyFingerprint, type PublicKey } from '../core/crypto/public-key.ts';
import { InputError } from '../core/errors.ts';
import { distinguishedName, serializeTbsCertificate, signCertificate } from '../core/x509/build.ts';
import { type Certificate, type Extension, parseCertificate } from '../core/x509/certificate.ts';
import {
  authorityExtension,
  authorityKeyIdExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectKeyIdExtension,
} from '../core/x509/extensions.ts';
import { randomSerialNumber } from './profile.ts';

/** Who a new chain is for. `organization` is in every name; the root's key signs once and may be put away. */
interface ChainOptions {
  readonly rootKey: PrivateKey;
  readonly key: PublicKey;
  readonly organization: string;
  readonly now: Date;
  readonly random: (bytes: number) => Uint8Array;
}

const DAY_MS = 24 * 60 * 60_000;
/** Ten years: an instance that outlives its root needs new trust material everywhere. */
const LIFETIME_MS = 3653 * DAY_MS;
/** How far validity starts back, ms: clocks differ, and what is signed at once must lie inside. */
const BACKDATE_MS = 60_000;

/** The chain of a code signing authority: intermediate for `key`, which may issue leaves only, then root. */
export function createCaChain(options: ChainOptions): Certificate[] {
  const root = selfSign(options, `${options.organization} root`, 1);
  const intermediate = certify(options, root, `${options.organization} intermediate`, [
    keyUsageExtension('keyCertSign', 'crlSign'),
    extendedKeyUsageExtension('codeSigning'),
    authorityExtension(0),
  ]);
  return [intermediate, root];
}

/** The chain of a timestamp authority (RFC 3161 §2.3): the leaf for `key`, good for nothing else, then root. */
export function createTsaChain(options: ChainOptions): Certificate[] {
  const root = selfSign(options, `${options.organization} timestamp root`, 0);
  const leaf = certify(options, root, `${options.organization} timestamp authority`, [
    keyUsageExtension('digitalSignature'),
    extendedKeyUsageExtension('timeStamping', true),
  ]);
  return [leaf, root];
}

function selfSign(options: ChainOptions, commonName: string, pathLength: number): Certificate {
  const { publicKey } = options.rootKey;
  const name = distinguishedName({ organization: options.organization, commonName });
  return sign(options, name, name, publicKey, [
    keyUsageExtension('keyCertSign', 'crlSign'),
    authorityExtension(pathLength),
    subjectKeyIdExtension(keyIdentifier(publicKey)),
  ]);
}

function certify(
  options: ChainOptions,
  root: Certificate,
  commonName: string,
  extensions: readonly Extension[],
): Certificate {
  const subjectName = distinguishedName({ organization: options.organization, commonName });
  return sign(options, root.subjectName, subjectName, options.key, [
    ...extensions,
    subjectKeyIdExtension(keyIdentifier(options.key)),
    authorityKeyIdExtension(keyIdentifier(options.rootKey.publicKey)),
  ]);
}

function sign(
  options: ChainOptions,
  issuerName: Uint8Array,
  subjectName: Uint8Array,
  subjectKey: PublicKey,
  extensions: readonly Extension[],
): Certificate {
  const start = Math.floor((options.now.getTime() - BACKDATE_MS) / 1000) * 1000;
  const tbs = serializeTbsCertificate({
    serialNumber: randomSerialNumber(options.random),
    issuerKey: options.rootKey.publicKey,
    issuerName,
    subjectName,
    notBefore: new Date(start),
    notAfter: new Date(start + LIFETIME_MS),
    spki: subjectKey.spki,
    extensions,
  });
  return parseCertificate(signCertificate(tbs, options.rootKey));
}

/** The certificate of `key`, which is the first of its chain. KEY_INVALID if key and chain come from different instances. */
export function requireChainOf(key: PrivateKey, chain: readonly Certificate[]): Certificate {
  const [certificate] = chain;
  if (!certificate) throw new Error('internal: empty certificate chain');
  if (!equal(certificate.spki, key.publicKey.spki))
    throw new InputError('KEY_INVALID', 'private key and certificate chain do not belong together', {
      hint: 'restore key and chain from the same backup',
    });
  return certificate;
}

/** RFC 7093 §2, method 4: SHA-256 of the whole SubjectPublicKeyInfo. */
const keyIdentifier = keyFingerprint;
