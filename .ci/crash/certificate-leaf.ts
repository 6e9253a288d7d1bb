// What a CT log must hold for a certificate that carries its SCT (RFC 6962 §3.2 to §3.4), read from the certificate's own
// bytes with a few lines of DER: shares no code with the CA and the log.
import { createHash, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { leafHash } from './rfc6962.ts';

const SCT_LIST = Buffer.from('060a2b06010401d679020402', 'hex');
const SEQUENCE = 0x30;
const EXTENSIONS = 0xa3;
const OCTET_STRING = 0x04;

interface Element {
  readonly tag: number;
  readonly whole: Buffer;
  readonly content: Buffer;
}

function elements(bytes: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes.readUInt8(at + 1);
    const more = first < 0x80 ? 0 : first - 0x80;
    const length = more === 0 ? first : bytes.readUIntBE(at + 2, more);
    const start = at + 2 + more;
    found.push({
      tag: bytes.readUInt8(at),
      whole: bytes.subarray(at, start + length),
      content: bytes.subarray(start, start + length),
    });
    at = start + length;
  }
  return found;
}

function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

const only = (bytes: Buffer): Element => {
  const [first] = elements(bytes);
  if (!first) throw new Error('an empty DER value');
  return first;
};

/** The leaf hash in base64 under which the log has the certificate; throws if its one SCT is not by `logKey`. */
export function ctLeafHash(certificatePem: string, issuerPem: string, logKey: KeyObject): string {
  const [tbs] = elements(only(new X509Certificate(certificatePem).raw).content);
  if (!tbs) throw new Error('a certificate without TBSCertificate');
  let list: Buffer | undefined;
  const parts = elements(tbs.content).map((part) => {
    if (part.tag !== EXTENSIONS) return part.whole;
    const kept = elements(only(part.content).content).filter((extension) => {
      const fields = elements(extension.content);
      if (!fields[0]?.whole.equals(SCT_LIST)) return true;
      const value = fields.find(({ tag }) => tag === OCTET_STRING);
      list = value && only(value.content).content;
      return false;
    });
    return element(EXTENSIONS, element(SEQUENCE, Buffer.concat(kept.map(({ whole }) => whole))));
  });
  if (!list || list.readUInt16BE(0) !== list.length - 2 || list.readUInt16BE(2) !== list.length - 4) {
    throw new Error('a certificate without exactly one SCT');
  }
  const precertificate = element(SEQUENCE, Buffer.concat(parts));

  // SignedCertificateTimestamp (§3.2): version, log ID, timestamp, extensions, then algorithms and signature.
  const sct = list.subarray(4);
  const extensionsEnd = 43 + sct.readUInt16BE(41);
  const issuerKey = new X509Certificate(issuerPem).publicKey.export({ type: 'spki', format: 'der' });
  const signature = sct.subarray(extensionsEnd + 4);
  const length = Buffer.alloc(3);
  length.writeUIntBE(precertificate.length, 0, 3);
  // MerkleTreeLeaf (§3.4) and what the SCT signs (§3.2) are the same bytes.
  const leaf = Buffer.concat([
    Buffer.from([0, 0]),
    sct.subarray(33, 41),
    Buffer.from([0, 1]),
    createHash('sha256').update(issuerKey).digest(),
    length,
    precertificate,
    sct.subarray(41, extensionsEnd),
  ]);
  if (!verify('sha256', leaf, logKey, signature)) throw new Error('an SCT that the CT log did not sign');
  return leafHash(leaf).toString('base64');
}
