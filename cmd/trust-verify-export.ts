import { HallmarkError, InputError, TrustError } from '../core/errors.ts';
import { type ExportedInstance, mirrorOf } from '../core/trust/trust-export.ts';
import type { StoredName, TufStore } from '../core/trust/tuf/client.ts';
import { requirePlainUrl } from './plain-url.ts';
import { type Contents, fetchContents, fingerprintOf, type Material, parseMaterial } from './trust-fetch.ts';
import { type Instance, SOURCE } from './trust-instances.ts';

/** An instance of an export that was verified, and the TUF metadata that is new. */
export interface VerifiedExport {
  readonly contents: Contents;
  readonly tuf: ReadonlyMap<StoredName, Uint8Array>;
}

/**
 * Verifies one instance of an export. TUF metadata as when it was fetched, from the root that `known` trusts, else from the
 * first one in the export; other material by its fingerprint. Errors name the instance.
 */
export async function verifyExported(exported: ExportedInstance, known: Instance | undefined): Promise<VerifiedExport> {
  const { name, fingerprint, fetchedAt, files } = exported;
  const material = materialOf(exported);
  if (fingerprintOf(material) !== fingerprint) {
    throw new TrustError(
      'TRUST_FINGERPRINT_MISMATCH',
      `${name}: the export holds something else than its fingerprint`,
      {
        hint: 'the file was changed or damaged; export again',
      },
    );
  }
  const start = known === undefined ? material : startFrom(known, material, fingerprint);
  const tuf = new Map<StoredName, Uint8Array>();
  const store: TufStore = {
    // What is built in lies in no folder yet: the client writes its root there like that of a new instance.
    read: (file) => tuf.get(file) ?? (known?.builtIn ? undefined : known?.read(`tuf/${file}`)),
    write: (file, bytes) => tuf.set(file, bytes),
  };
  try {
    const contents = await fetchContents(start, fingerprint, { store, mirror: () => mirrorOf(files), now: fetchedAt });
    return { contents: known === undefined ? contents : continued(contents, known), tuf };
  } catch (cause) {
    if (!(cause instanceof HallmarkError)) throw cause;
    const details = { cause, ...(cause.hint !== undefined && { hint: cause.hint }) };
    if (cause instanceof TrustError) throw new TrustError(codeOf(cause), `${name}: ${cause.message}`, details);
    throw new InputError('TRUST_EXPORT_INVALID', `${name}: ${cause.message}`, details);
  }
}

type TrustErrorCode = ConstructorParameters<typeof TrustError>[0];
const codeOf = (error: TrustError): TrustErrorCode => error.code as TrustErrorCode;

function materialOf({ name, url, files }: ExportedInstance): Material {
  if (url === undefined) {
    const source = files.get(SOURCE);
    if (source !== undefined) return parseMaterial(source, `${name}/${SOURCE}`, undefined);
    throw new InputError('TRUST_EXPORT_INVALID', `${name}: neither a TUF repository nor ${SOURCE}`);
  }
  const versions = [...files.keys()].flatMap((file) => /^([1-9][0-9]{0,9})\.root\.json$/.exec(file)?.[1] ?? []);
  const root = files.get(`${Math.min(...versions.map(Number))}.root.json`);
  if (root === undefined) throw new InputError('TRUST_EXPORT_INVALID', `${name}: no TUF root`);
  return { kind: 'tuf', url: requirePlainUrl(url, 'the export was changed or damaged; export again'), root };
}

// TUF goes on from the root that is trusted here, never from one that the export brings along. A file stands for itself:
// another one is something else, not something newer.
function startFrom(known: Instance, material: Material, fingerprint: string): Material {
  if (material.kind === 'tuf' && known.meta.url !== undefined) {
    const root = known.read('tuf/root.json');
    if (root !== undefined) return { ...material, root };
  }
  if (known.meta.fingerprint !== fingerprint) throw differs(known, fingerprint);
  return material;
}

/** Another instance of the same name. */
export const differs = ({ name, meta }: Instance, fingerprint: string): TrustError =>
  new TrustError(
    'TRUST_FINGERPRINT_MISMATCH',
    `${name} is stored with fingerprint ${meta.fingerprint} and has ${fingerprint} in the export`,
    { hint: `if the instance was set up anew, forget the old one first: hallmark trust remove ${name}` },
  );

// What it came from is not for the export to change, nor when it was last known to be up to date.
function continued({ meta, files }: Contents, known: Instance): Contents {
  const { url, fingerprint } = known.meta;
  const fetchedAt = new Date(Math.max(known.meta.fetchedAt.getTime(), meta.fetchedAt.getTime()));
  return { meta: { ...meta, url, fingerprint, fetchedAt }, files };
}
