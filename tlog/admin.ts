import { Fields } from '../core/bytes/fields.ts';
import { type Json, parseJson } from '../core/bytes/json.ts';
import { HallmarkError, InputError } from '../core/errors.ts';
import { type Handle, jsonResponse, readBody } from '../core/http/front-end.ts';
import { ROTATED_LOGS, type RotatedLog } from '../core/instance/shard-history.ts';
import { MAX_FORM_BYTES } from '../core/limits.ts';

/** What an operator may do to a running server, and learn of it. */
export interface AdminActions {
  rotate(log: RotatedLog, url: string | undefined): Promise<void>;
  freeze(log: RotatedLog): Promise<void>;
  /** The shards of each log that runs. */
  describe(): Json;
}

/**
 * `GET /log`, `POST /log/rotate` and `/log/freeze` with `{"log":"v1","url":...}`, each answered with what is then true. For a
 * socket that its owner alone can reach: whoever can send here may change the logs. Errors are `{code,message,hint}`.
 */
export function createAdmin(actions: AdminActions, onFault: (error: unknown) => void): Handle {
  const routes: Readonly<Record<string, (fields: Fields) => Promise<void>>> = {
    __proto__: null as never,
    '/log/rotate': (fields) => actions.rotate(logOf(fields), fields.optionalString('url')),
    '/log/freeze': (fields) => actions.freeze(logOf(fields)),
  };

  async function change(request: Request, act: (fields: Fields) => Promise<void>): Promise<Response> {
    try {
      const body = await readBody(request, MAX_FORM_BYTES);
      if (!body) throw new InputError('INPUT_TOO_LARGE', `more than ${MAX_FORM_BYTES} bytes`);
      await act(new Fields(parseJson(body), '', 'FIELD_INVALID'));
      return jsonResponse(200, actions.describe());
    } catch (error) {
      onFault(error);
      const known = error instanceof HallmarkError ? error : undefined;
      return jsonResponse(500, {
        code: known?.code ?? '',
        message: known?.message ?? 'internal error',
        hint: known?.hint ?? '',
      });
    }
  }

  return (request, url) => {
    if (url.pathname === '/log' && request.method === 'GET') return jsonResponse(200, actions.describe());
    const act = routes[url.pathname];
    return act && request.method === 'POST' ? change(request, act) : undefined;
  };
}

function logOf(fields: Fields): RotatedLog {
  const log = ROTATED_LOGS.find((name) => name === fields.string('log'));
  if (!log) throw fields.fail('log', `expected one of ${ROTATED_LOGS.join(', ')}`);
  return log;
}
