import { type Handle, jsonResponse } from '../../http/front-end.ts';
import type { Publication } from '../publication.ts';
import type { RepositoryFolder } from './repository-folder.ts';

/** Answers the documents of a stack below its public URL, its TUF repository at `/tuf/`, `/healthz`, and `/` with a list of them. */
export const createTrustFrontEnd =
  (repository: Pick<RepositoryFolder, 'files' | 'publication'>): Handle =>
  (request, { pathname }, peer) => {
    const [publication, files] = [repository.publication(), repository.files()];
    const tuf = pathname.startsWith('/tuf/') ? files.get(pathname.slice('/tuf/'.length)) : undefined;
    const document = publication.documents.get(pathname) ?? (tuf && { contentType: 'application/json', bytes: tuf });
    const known = document !== undefined || pathname === '/healthz' || pathname === '/';
    if (!known) return undefined;
    peer.matched?.(tuf === undefined ? pathname : '/tuf/{file}');
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return jsonResponse(405, { code: 405, message: 'method not allowed' });
    if (pathname === '/healthz') return jsonResponse(200, { status: 'SERVING' });
    if (document === undefined)
      return new Response(frontPage(publication), { headers: { 'content-type': 'text/plain; charset=utf-8' } });
    const cacheControl = pathname === '/tuf/timestamp.json' ? 'no-cache' : 'public, max-age=60';
    return new Response(document.bytes, {
      headers: { 'content-type': document.contentType, 'cache-control': cacheControl },
    });
  };

const frontPage = (publication: Publication): string =>
  ['Hallmark: a Sigstore instance', '', ...[...publication.documents.keys()], '/tuf/', '/healthz', ''].join('\n');
